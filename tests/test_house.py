"""The rules of the house that a machine can hold."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "distill_jax"
FILES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 300
MOST_LINES_OF_FUNCTION = 80

# A file imports only from lower floors; inside one folder any order without a
# cycle will do (Python itself refuses the cycle).
FLOORS = [
    ("task", "progress", "folders", "workdir", "settings", "detection"),
    ("claims", "latecomers", "watchdog"),
    ("audio", "weights", "losses", "metrics", "sharding", "optimizer", "integrity"),
    ("processes", "timing"),
    ("distillation",),
    ("report", "checkpoints", "step", "streaming"),
    ("classifier",),
    ("train", "models", "data"),
    ("quant", "teachers"),
    ("tasks",),
    ("sound", "semantic", "student", "export"),
    ("sound_report", "sound_analysis", "teacher_report", "quantised", "exported"),
    ("word_report",),
    ("ledger", "delivery", "inspection"),
    ("jobs",),
    ("wakeword",),
    ("app", "notebook"),
    ("main", "cli"),
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
EVERYWHERE = {"jax", "flax", "numpy", "optax"}
TABS = "wakeword", "listen", "sound", "checkpoints", "runs", "whole"
PAGES = ("", *(f".{name}" for name in TABS))
HOME = {
    "IPython": {"notebook.showing"},
    "absl": {"main", "data.stream"},  # Grain's workers read absl's flags
    "ai_edge_litert": {"export.runtimes", "export.tflite"},
    "espeakng_loader": {"data.espeak"},
    "fastapi": {"app.server"},
    "flatbuffers": {"export.tflite"},
    # The room `app.pages` is its home; what else the app does knows nothing of it.
    "gradio": {"app.server", *(f"app.pages{tab}" for tab in PAGES)},
    "grain": {"data.stream"},
    "librosa": {"audio.descriptors"},
    "matplotlib": {"report.plots"},
    "ml_collections": {"main", "checkpoints.reading"},
    "onnx": {"export.onnx_file"},
    "onnxruntime": {"export.runtimes"},
    "orbax": {"checkpoints.reading", "checkpoints.store"},
    "pyroomacoustics": {"audio.rooms"},
    "scipy": {
        "data.sounds",
        "detection.intervals",
        "sound_analysis",
        "teachers.calibration",
    },
    "sounddevice": {"audio.microphone"},
    "soundfile": {"audio.files"},
    "soxr": {"audio.files"},
    "starlette": {"app.server"},
    "tensorboardX": {"metrics"},
    "tflite_micro": {"export.runtimes"},
    "tqdm": {"progress"},
    "uvicorn": {"app.server"},
    "tyro": {
        "cli",
        "cli.typed.checkpoints",
        "cli.typed.sounds",
        "cli.typed.speech",
        "cli.typed.words",
    },
}


def module_name(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            if node.module.split(".")[0] == "distill_jax":
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_imported(path):
    for name in imported(path):
        if name.startswith("distill_jax.") and not name.endswith(".__version__"):
            yield name.split(".")[1]


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_come_from_lower_floors_only(path):
    room = module_name(path).split(".")[0]
    for other in set(rooms_imported(path)) - {room}:
        assert room and FLOOR[other] < FLOOR[room], (
            f"{module_name(path)} imports {other}: not on a lower floor"
        )


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_each_package_is_imported_in_its_own_module_only(path):
    for name in imported(path):
        package = name.split(".")[0]
        if package in EVERYWHERE | {"distill_jax"} | set(sys.stdlib_module_names):
            continue
        assert module_name(path) in HOME.get(package, ()), (
            f"{package} is imported in {module_name(path)}; "
            f"its home is {sorted(HOME.get(package, ['nowhere']))}"
        )


@pytest.mark.parametrize(
    "path",
    FILES + sorted((ROOT / "tests").rglob("*.py")) + sorted(ROOT.glob("*/*.py")),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_file_is_short(path):
    lines = len(path.read_text().splitlines())
    assert lines <= MOST_LINES, f"{path.name} has {lines} lines"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_functions_are_short(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            lines = node.end_lineno - node.lineno + 1
            assert lines <= MOST_LINES_OF_FUNCTION, f"{node.name} has {lines} lines"


def test_configs_are_short_and_self_contained():
    for path in sorted((ROOT / "configs").glob("*.py")):
        assert len(path.read_text().splitlines()) <= 100, path.name
        assert {name.split(".")[0] for name in imported(path)} <= {"ml_collections"}
