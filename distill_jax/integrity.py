"""What a checkpoint holds, written down beside it and compared when it is read."""

import hashlib
import json
import math
from pathlib import Path

import jax

from distill_jax import workdir

RECORD = "record.json"
# Orbax writes these two after the record; all that can be asked is whether they are
# there and, for the first, well-formed.
METADATA = "_CHECKPOINT_METADATA"
COMMITTED = "commit_success.txt"
SMALL = 1 << 20


def spec(tree):
    """Every array of a tree as `{path: [shape, dtype]}`, as JSON has it.

    Args:
      tree: arrays or `jax.ShapeDtypeStruct`s; paths are joined by "/".
    """
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): [
            list(leaf.shape),
            str(leaf.dtype),
        ]
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def differences(expected, found, most=8):
    """How two specs differ, in lines for a person.

    Args:
      expected: spec of what the program asks for.
      found: spec of what is on disk.
      most: how many lines; one more tells how many were left out.

    Returns:
      A line for each array that is missing, left over or of another shape or type;
      the optimizer's and the average's only if the model's own agree.
    """
    paths = sorted(
        path
        for path in expected.keys() | found.keys()
        if expected.get(path) != found.get(path)
    )
    paths = [path for path in paths if path.startswith(("params", "state"))] or paths
    lines = [
        f"{path}: expected {_describe(expected.get(path))}, "
        f"found {_describe(found.get(path))}"
        for path in paths
    ]
    return lines[:most] + [f"and {len(lines) - most} more"] * (len(lines) > most)


def steps(directory):
    """The steps saved in a folder, ascending; unfinished ones have other names."""
    if not directory.is_dir():
        return []
    return sorted(int(path.name) for path in directory.iterdir() if path.name.isdigit())


def write(folder, **facts):
    """Writes the record of a folder: its files with their hashes, and facts.

    Args:
      folder: where all files are already in place.
      **facts: what else to keep, of plain values.
    """
    files = {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": _sha256(path),
        }
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and path.relative_to(folder).as_posix() != METADATA
    }
    workdir.write_json(Path(folder) / RECORD, {"files": files, **facts})


def read(folder):
    """The record of a folder as `write` made it.

    Raises:
      OSError: there is none.
      ValueError: it is not JSON.
    """
    return json.loads((Path(folder) / RECORD).read_text(encoding="utf-8"))


def loss(folder):
    """Evaluation loss in a record; infinite if it was not evaluated or is illegible."""
    try:
        value = read(folder)["loss"]
    except (OSError, ValueError, KeyError, TypeError):
        value = None
    return math.inf if value is None else value


def problem(folder, thorough=True):
    """What is wrong with a folder, or None.

    Args:
      folder: a checkpoint, which has a record.
      thorough: whether every byte is compared; else the sizes of all files but only
        the bytes of those under 1 MiB.
    """
    folder = Path(folder)
    try:
        files = read(folder)["files"]
        json.loads((folder / METADATA).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{RECORD} or {METADATA} cannot be read: {error}"
    wrong = [_wrong(folder / name, fact, thorough) for name, fact in files.items()]
    if not (folder / COMMITTED).is_file():
        wrong.append(f"{COMMITTED} is missing")
    return "; ".join(filter(None, wrong)) or None


def _wrong(path, fact, thorough):
    if not path.is_file():
        return f"{path.name} is missing"
    size = path.stat().st_size
    if size != fact["bytes"]:
        return f"{path.name} has {size} bytes, {fact['bytes']} were written"
    if (thorough or size < SMALL) and _sha256(path) != fact["sha256"]:
        return f"the bytes of {path.name} are not those that were written (SHA-256)"
    return None


def _describe(entry):
    return "nothing" if entry is None else f"{entry[1]}{entry[0]}"


def _sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
