"""What the README and the guides tell people to type and to open is there."""

import ast
import importlib.util
import re
from pathlib import Path

import jax
import numpy as np
import pytest
import typed_commands
from test_house import FLOORS
from tiny_words import RATE_HZ, word

from distill_jax import checkpoints, weights
from distill_jax.audio import files
from distill_jax.data import noises
from distill_jax.task import Task

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "launch" / "README.md"]
PAGES += sorted((ROOT / "docs").glob("*.md"))
EXAMPLE = ROOT / "docs" / "examples" / "speech_present.py"
FENCE = re.compile(r"^```(\{?\w*\}?)[^\n]*\n(.*?)^```$", re.M | re.S)
# What ml_collections reads a config with.
pytestmark = pytest.mark.filterwarnings("ignore:.*load_module:DeprecationWarning")
FILE = re.compile(
    r"\.(py|md|jsonl?|html|safetensors|npz|h|csv|wav|tflite|onnx|png|sh|sbatch)$"
)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def page_name(path):
    return path.relative_to(ROOT).as_posix()


def blocks(path, language):
    """The fenced blocks of a page in that language."""
    return [text for kind, text in FENCE.findall(path.read_text()) if kind == language]


def prose(path):
    """A page without its fenced and its indented blocks."""
    return re.sub(r"^    .*$", "", FENCE.sub("", path.read_text()), flags=re.M)


def spans(path):
    """What a page sets as code inside its lines."""
    found = re.findall(r"(?<!`)`([^`]+)`(?!`)", prose(path))
    return [" ".join(text.split()) for text in found]


def slugs(path):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text()), re.M)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_commands_can_be_typed(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    for block in blocks(page, "sh"):
        for words in typed_commands.commands(block):
            typed_commands.check(words)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_commands_inside_lines_can_be_typed(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    for span in spans(page):
        typed_commands.check_span(span)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_somewhere(page):
    for target in LINK.findall(prose(page)):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target} is not there"
        assert not anchor or anchor in slugs(file), f"{target} has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_files_that_are_named_are_there(page):
    for span in spans(page):
        if re.fullmatch(r"[a-z_./*]+\.(py|md)(:[\w,]+)?", span) and "x.py" not in span:
            name = span.partition(":")[0]
            near = (ROOT, ROOT / "distill_jax", ROOT / "tests", ROOT / "docs")
            assert any(list(folder.glob(name)) for folder in near), span
        if re.fullmatch(r"(distill_jax|configs|benchmarks|tests|docs)/[\w/]+", span):
            assert (ROOT / span).exists(), span


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_names_that_are_used_are_there(page):
    for span in spans(page):
        if re.fullmatch(r"[a-z_]+(\.\w+)+", span) and not FILE.search(span):
            assert typed_commands.is_known(span), f"nothing is called {span}"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_python_names_what_is_there(page):
    for block in blocks(page, "python"):
        tree = ast.parse(block)
        modules = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                for name in (each.name for each in node.names):
                    modules[name] = typed_commands.found(f"{node.module}.{name}")
                    assert modules[name] is not None, f"{node.module}.{name}"
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                owner = modules.get(node.value.id)
                assert owner is None or hasattr(owner, node.attr), ast.unparse(node)


def rows_of(page, heading):
    """The cells of every row of the first table below a heading."""
    text = (ROOT / "docs" / page).read_text().split(heading)[1]
    rows = re.search(r"^\|.*?^\|[-|]+$\n(.*?)^$", text, re.M | re.S)[1]
    return [row.split("|")[1:-1] for row in rows.splitlines()]


def test_tables_tell_what_the_code_says():
    fields = [row[0].strip(" `") for row in rows_of("extending.md", "## Task")]
    assert {name.partition("(")[0] for name in fields} == set(Task._fields)
    extras = rows_of("quick_start.md", "## Installing by hand")
    named = {name for row in extras for name in re.findall(r"`(\w+)`", row[0])}
    assert named == typed_commands.extras()
    floors = rows_of("design.md", "## Rooms and floors")
    rooms = [set(re.findall(r"`(\w+)`", row[1])) for row in floors]
    assert rooms == [set(floor) for floor in reversed(FLOORS)]


@pytest.mark.parametrize(
    "command",
    [
        "sing --loud",
        "make coffee",
        "make vae COLOUR=red",
        "distill-jax sing",
        "distill-jax generate --workdir runs/vae --count many",
        "distill-jax cache-teachers configs/distill.py:dual --set data.rot=x/",
        "distill-jax wakeword hello --workdir runs/x --set student.stepps=3",
        "python -m distill_jax.main --config=configs/vea.py --workdir=runs/x",
        "python -m distill_jax.main --config=configs/vae.py:large,x --workdir=r --n=1",
        "python -m distill_jax.main --config=configs/vae.py",
        "python -m distill_jax.main --config=configs/vae.py --workdir=r --config.x=1",
        "python -m distill_jax.main --config=configs/vae.py --workdir=r "
        "--config.steps=few",
        "python -m benchmarks.nothing",
        "python -m benchmarks.encoder --depth 3",
        "pip install 'distill_jax[sound]'",
        "pytest tests/test_nothing.py",
    ],
)
def test_what_cannot_be_typed_is_found(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    (words,) = typed_commands.commands(command)
    with pytest.raises((AssertionError, ValueError)):
        typed_commands.check(words)


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("speech_present", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """A folder of glides that stand for speech, and one of noise."""
    rng, root = np.random.default_rng(0), tmp_path_factory.mktemp("sounds")
    for number in range(10):
        audio_s = word(("high", "low")[number % 2], rng)
        noise_s = noises.noise(number % 3, "steady", (1.5, RATE_HZ), rng)
        for name, sound_s in (("speech", audio_s), ("other", noise_s)):
            (root / name).mkdir(exist_ok=True)
            files.write(root / name / f"{number}.wav", sound_s, RATE_HZ, {})
    return root


def test_example_task_learns(example, sounds, tmp_path, capsys):
    folders = sounds / "speech", sounds / "other", tmp_path
    example.main(*folders, "steps=20", "batch=8", "eval_every=20")
    assert capsys.readouterr().out == "step 20: 100.0% right\n"
    assert checkpoints.read(tmp_path, "latest")["step"] == 20


def test_example_model_has_a_complete_table(example):
    net = example.Probe(2)
    variables = net.init(jax.random.key(0), np.zeros((1, 5, 4), np.float32))
    tensors = weights.to_torch(variables, example.WEIGHT_RULES)
    assert {name: x.shape for name, x in tensors.items()} == {
        "classifier.weight": (2, 8),
        "classifier.bias": (2,),
    }
    again = weights.to_flax(tensors, example.WEIGHT_RULES, variables)
    jax.tree.map(np.testing.assert_array_equal, again, variables)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_commands_stand_in_blocks_that_are_checked(page):
    text = page.read_text()
    other = [block for kind, block in FENCE.findall(text) if kind != "sh"]
    other += re.findall(r"^    .*$", FENCE.sub("", text), re.M)
    command = re.compile(rf"^ *(\S*/)?({typed_commands.PROGRAMS}) ", re.M)
    assert not [block for block in other if command.search(block)]
