"""How the guides and the docstrings become a site. `make docs` builds it, offline."""

import importlib
import pkgutil
import re
from pathlib import Path

from docutils import nodes

import distill_jax

HERE = Path(__file__).parent
PACKAGE = Path(distill_jax.__file__).parent
# Cannot be imported without PortAudio, which is no Python package.
LEFT_OUT = {"distill_jax.audio.microphone"}
# Files beside the guides, and the pages that include them.
ELSEWHERE = {
    "benchmarks/RESULTS.md": "results.md",
    "launch/README.md": "launching.md",
}

project, author = "distill_jax", "the authors of distill_jax"
version = release = distill_jax.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"distill_jax {version}"
html_show_sphinx = html_show_copyright = False
html_copy_source = False
pygments_style, pygments_dark_style = "friendly", "monokai"

myst_heading_anchors = 3
smartquotes = False  # --flags are no dashes
default_role = "literal"  # docstrings have Markdown's code
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings tell shapes, which says more
add_module_names = False
python_maximum_signature_line_length = 70


def setup(app):
    """Called by Sphinx."""
    app.connect("builder-inited", write_reference)
    app.connect("source-read", stay_inside)
    # Before napoleon, which is at 500.
    app.connect("autodoc-process-docstring", as_rst, priority=100)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("doctree-read", draw_dashes)


def write_reference(app):
    """Writes a page for each room of the package, and their index."""
    folder = HERE / "api"
    folder.mkdir(exist_ok=True)
    rooms = sorted(each.name for each in pkgutil.iter_modules([str(PACKAGE)]))
    pages = {room: page(f"distill_jax.{room}") for room in rooms if room != "configs"}
    pages["index"] = index(pages)
    for name, text in pages.items():
        path = folder / f"{name}.rst"
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)
    for path in folder.glob("*.rst"):
        if path.stem not in pages:
            path.unlink()


def index(rooms):
    """The page that lists the rooms, with the first line of each."""
    rows = []
    for room in rooms:
        said = importlib.import_module(f"distill_jax.{room}").__doc__.splitlines()[0]
        rows += [f":doc:`{room} <{room}>`", f"    {said}", ""]
    listed = [f"   {room}" for room in rooms]
    head = ["API reference", "=============", ""]
    return "\n".join([*head, *rows, ".. toctree::", "   :hidden:", "", *listed, ""])


def page(room):
    """The page of a room: what others use of it, then each of its modules."""
    package = importlib.import_module(room)
    lines = [*section(room, "="), "   :ignore-module-all:", ""]
    if not hasattr(package, "__path__"):
        return "\n".join(lines)
    names = getattr(package, "__all__", ())
    if names:
        lines += ["Used from outside: " + ", ".join(used(package, names)) + ".", ""]
    for found in pkgutil.walk_packages(package.__path__, f"{room}."):
        if found.name not in LEFT_OUT:
            lines += [*section(found.name, "-"), "   :ignore-module-all:", ""]
    return "\n".join(lines)


def section(name, mark):
    """The heading of a module, and what is in it."""
    title = name.partition(".")[2]
    return [title, mark * len(title), "", f".. automodule:: {name}", "   :members:"]


def used(package, names):
    """Names of a package, each leading to where it is told."""
    short = package.__name__.partition(".")[2]
    for name in names:
        thing = getattr(package, name)
        home, inside = (getattr(thing, x, "") for x in ("__module__", "__qualname__"))
        shown = f"{short}.{name}"
        known = inside and home.startswith(package.__name__)
        yield f":py:obj:`{shown} <{home}.{inside}>`" if known else f"``{shown}``"


def stay_inside(app, name, source):
    """Links from guides to what lies elsewhere lead to its page of the site."""
    for file, shown in ELSEWHERE.items():
        source[0] = source[0].replace(f"](../{file}", f"]({shown}")
    source[0] = re.sub(
        r"\]\(\.\./distill_jax/(\w+)[\w/]*(?:\.py|/)\)", r"](api/\1.rst)", source[0]
    )


def as_rst(*event):
    """Docstrings have the marks of Markdown: `code`, and code as indented blocks."""
    lines = event[-1]
    shown, above, inside = [], "", False
    for number, line in enumerate(lines):
        deep = line.startswith("    ")
        begins = deep and number and not lines[number - 1]
        if begins and above and not above.startswith(" "):
            shown += ["::", ""]
            inside = True
        inside = inside and (deep or not line)
        shown.append(line if inside else _told(above, _marked(line), shown))
        above = line or above
    lines[:] = shown


def _told(above, line, shown):
    """A line below the head of a section, kept from being taken for a type."""
    if above in ("Returns:", "Yields:"):
        return f"  : {line.strip()}"  # the type before the colon is empty
    if above == "Raises:" and not re.match(r" +[\w., ]+: ", line):
        shown.pop()
        return f"Raises: {line.strip()}"
    return line


def _marked(line):
    """A line in which bars are bars, and code may have an ending: `Pair`s."""
    parts = re.split("(`[^`]+`)", line)
    parts[::2] = [part.replace("|", "\\|") for part in parts[::2]]
    return re.sub(r"(`[^`]+`)(?=\w)", r"\1\\ ", "".join(parts))


def skip_fields(app, what, name, thing, *options):
    """Fields of a NamedTuple are told in its docstring."""
    alias = str(getattr(thing, "__doc__", "")).startswith("Alias for field number")
    return True if alias else None


def draw_dashes(app, doctree):
    """Sphinx writes two hyphens between a parameter and what it is."""
    for node in list(doctree.findall(nodes.Text)):
        if node == " -- ":
            node.parent.replace(node, nodes.Text(" – "))
