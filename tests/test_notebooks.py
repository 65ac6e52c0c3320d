"""Notebooks: what is stored, and what comes out where they are run."""

import ast
import base64
import io
import os
import re
from pathlib import Path

import matplotlib.image
import nbformat
import numpy as np
import pytest
import soundfile
import typed_commands
from nbclient import NotebookClient

from distill_jax import semantic

ROOT = Path(__file__).parents[1]
BOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST_CELLS, SECONDS = 15, 1800
PLAYER = re.compile(r'<audio controls src="data:audio/wav;base64,([^"]+)"')
# Pictures and players that come out at the least.
WANTED = {
    "qat_and_export": (4, 1),
    "semantic_features": (2, 2),
    "sound_vae": (5, 8),
    "teachers_and_distillation": (8, 0),
}


def read(path):
    return nbformat.read(path, as_version=4)


def code(book):
    return [cell.source for cell in book.cells if cell.cell_type == "code"]


def test_every_notebook_is_known():
    assert [path.stem for path in BOOKS] == sorted(WANTED)
    page = (ROOT / "docs" / "notebooks.md").read_text()
    assert all(f"../notebooks/{name}.ipynb" in page for name in WANTED)


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_stored_notebook_is_clean_and_short(path):
    book = read(path)
    nbformat.validate(book)
    assert len(book.cells) <= MOST_CELLS
    assert book.metadata.kernelspec.name == "python3"
    ids = [cell.id for cell in book.cells]
    assert ids == [f"{ids[0][:-3]}-{n:02d}" for n in range(1, len(ids) + 1)]
    for cell in book.cells:
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None
        assert not cell.metadata


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_no_cell_defines_a_function(path):
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef
    for source in code(read(path)):
        found = [
            x for x in ast.walk(ast.parse(source)) if isinstance(x, kinds | ast.For)
        ]
        assert not found, ast.unparse(found[0])


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_first_code_cell_installs_and_tells_the_devices(path):
    first, *others = code(read(path))
    assert '"pip", "install"' in first and 'find_spec("distill_jax") is None' in first
    assert first.endswith("notebook.begin()")
    (extras,) = re.findall(r"distill_jax\[([\w,]+)\] @", first)
    assert set(extras.split(",")) <= typed_commands.extras()
    assert first == code(read(BOOKS[0]))[0]
    assert any("DISTILL_JAX_SMALL" in source for source in others[:1])


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_cells_name_what_is_there(path):
    modules = {}
    for node in ast.walk(ast.parse("\n".join(code(read(path))))):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("distill_jax"):
            for name in (each.name for each in node.names):
                modules[name] = typed_commands.found(f"{node.module}.{name}")
                assert modules[name] is not None, f"{node.module}.{name}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = modules.get(node.value.id)
            assert owner is None or hasattr(owner, node.attr), ast.unparse(node)


@pytest.fixture(scope="module")
def place(tmp_path_factory, one_device):
    """Where they run, one after the other, and in what environment."""
    folder, before = tmp_path_factory.mktemp("runs"), os.environ.get("PYTHONPATH", "")
    changes = {
        "DISTILL_JAX_SMALL": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), before]),
        "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")),
    }
    return folder, one_device | changes


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_notebook_runs_from_top_to_bottom(path, place):
    book = executed(path, *place)
    pictures, players = WANTED[path.stem]
    found = [png for png in outputs(book, "image/png") if png]
    assert len(found) >= pictures
    for png in found:
        image_yxc = matplotlib.image.imread(io.BytesIO(base64.b64decode(png)))
        assert min(image_yxc.shape[:2]) > 200 and image_yxc.std() > 0.01
    sounds = [
        data for html in outputs(book, "text/html") for data in PLAYER.findall(html)
    ]
    assert len(sounds) >= players
    for data in sounds:
        audio_s, _ = soundfile.read(io.BytesIO(base64.b64decode(data)))
        assert np.isfinite(audio_s).all() and audio_s.std() > 1e-5
    CHECKS[path.stem](text(book), outputs(book, "text/html"))


def executed(path, folder, environment):
    """The notebook with its outputs; raises where a cell does."""
    book = read(path)
    where = {"metadata": {"path": str(folder)}}
    client = NotebookClient(
        book, timeout=SECONDS, startup_timeout=SECONDS, resources=where
    )
    client.execute(env=environment)
    nbformat.write(book, folder / path.name)  # to be looked at
    return book


def outputs(book, kind):
    every = [out for cell in book.cells for out in cell.get("outputs", [])]
    return [out.data[kind] for out in every if kind in out.get("data", {})]


def text(book):
    every = [out for cell in book.cells for out in cell.get("outputs", [])]
    return "\n".join(out.text for out in every if out.get("name") == "stdout")


def check_sounds(said, html):
    rows = dict(re.findall(r"^([a-z() ]+?)\s{2,}([\d.]+) ", said, re.M))
    assert (
        0 < float(rows["no network (the ceiling)"]) < float(rows["reconstruction"]) < 9
    )


def check_teachers(said, html):
    right = re.findall(r"(\d+) of (\d+) right", said)
    assert len(right) == 4 and all(0 < int(n) <= int(of) for n, of in right)
    assert len(re.findall(r"ECE 0\.\d+ before, 0\.\d+ after", said)) == 4
    assert re.search(r"^[1-9]\d* views", said, re.M)
    (table,) = [text for text in html if "two teachers" in text]
    shares = [float(share) for share in re.findall(r"([\d.]+)% \(", table)]
    # Clean and in noise, each of the two; more than nothing is learnt.
    assert len(shares) >= 4 and all(20 < share <= 100 for share in shares)


def check_files(said, html):
    assert said.count("all as specified") >= 2 and "NOT as specified" not in said
    assert "heard 'hey_jarvis'" in said
    (table,) = [text for text in html if "integer reference" in text]
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in table.split("<tr>")[2:]]
    assert all(20 < float(row[1]) <= 100 for row in rows)
    runtimes = [row for row in rows if "LiteRT" in row[0] or "ONNX" in row[0]]
    assert len(runtimes) >= 2 and all(row[3] == "0" for row in runtimes)


def check_features(said, html):
    assert "its features mean nothing" in said and "every tensor fits" in said
    frames, width = map(int, re.search(r"(\d+) frames of (\d+) feat", said).groups())
    assert 10 < frames < 500 and width == semantic.stand_in.CONFIG["hidden_size"]


CHECKS = {
    "qat_and_export": check_files,
    "semantic_features": check_features,
    "sound_vae": check_sounds,
    "teachers_and_distillation": check_teachers,
}
