"""Integer networks as files, each with a manifest, and held against the reference."""

import hashlib
import importlib
import json
from pathlib import Path

from distill_jax import folders, workdir
from distill_jax.export.card import Card, described, manifest

__all__ = [
    "FORMATS",
    "Card",
    "content",
    "described",
    "manifest_path",
    "read",
    "write",
]

# Format: the module that writes it and how its files end.
FORMATS = {
    "tflite": ("tflite", ".tflite"),
    "onnx": ("onnx_file", ".onnx"),
    "c": ("header", ".h"),
    "npz": ("arrays", ".npz"),
}
STEM = "student"


def content(form, model, card):
    """The bytes of a file.

    Args:
      form: one of `FORMATS`.
      model: `integer.Model`.
      card: `Card`.

    Raises:
      ModuleNotFoundError: what writes the format is not installed.
    """
    module, _ = FORMATS[form]
    # Late: what writes some formats comes with an extra.
    writer = importlib.import_module(f"distill_jax.export.{module}")
    return writer.write(model, card if form == "c" else card.description)


def write(folder, model, card, forms):
    """Writes a network in some formats, a manifest beside each file.

    Args:
      folder: where, made if missing.
      model: `integer.Model`.
      card: `Card`.
      forms: out of `FORMATS`.

    Returns:
      {format: path}.

    Raises:
      ModuleNotFoundError: see `content`; nothing is written then.
    """
    made = {form: content(form, model, card) for form in forms}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for form, data in made.items():
        path = folder / (STEM + FORMATS[form][1])
        with folders.replacing(path) as file:
            file.write(data)
        workdir.write_json(
            manifest_path(path), manifest(card, model, (path.name, data))
        )
        paths[form] = path
    return paths


def manifest_path(path):
    """Where the manifest of a file is."""
    path = Path(path)
    return path.with_name(path.name + ".json")


def read(path):
    """A file, checked, and its manifest.

    Args:
      path: of an exported file.

    Returns:
      bytes and the JSON values of the manifest.

    Raises:
      FileNotFoundError: it or its manifest is missing.
      ValueError: it is not the file that the manifest is about.
    """
    path, beside = Path(path), manifest_path(path)
    missing = [str(each) for each in (path, beside) if not each.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{' and '.join(missing)} missing; an exported network is a file and the "
            "manifest beside it, keep both"
        )
    data, about = path.read_bytes(), _manifest(beside)
    if len(data) != about["bytes"]:
        raise ValueError(
            f"{path} has {len(data)} bytes, its manifest says {about['bytes']}; it is "
            "cut short or another file: copy both again or export again"
        )
    if hashlib.sha256(data).hexdigest() != about["sha256"]:
        raise ValueError(
            f"{path} is not the file that {beside.name} is about: the hashes differ; "
            "copy both again or export again"
        )
    return data, about


def _manifest(path):
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{path} is not JSON ({error}); copy it again or export again"
        ) from error
    if not isinstance(about, dict) or not {"bytes", "sha256"} <= about.keys():
        raise ValueError(
            f"{path} is not the manifest of an exported network; copy it again or "
            "export again"
        )
    return about
