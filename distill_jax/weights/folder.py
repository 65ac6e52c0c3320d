"""Which safetensors files make up a checkpoint: one, or several and their index."""

import os
from pathlib import Path

from distill_jax.weights import header

FILE = "model.safetensors"
INDEX = "model.safetensors.index.json"
SUFFIX = ".safetensors"


def read(path):
    """Reads the headers of a checkpoint and checks them.

    Args:
      path: a safetensors file, an index of several, or a folder with either.

    Returns:
      `Contents`.

    Raises:
      FileNotFoundError: there is no such file, or no safetensors in the folder.
      ValueError: a header is damaged or lies; all that is wrong with it is named.
    """
    path = locate(path)
    if path.suffix != ".json":
        return header.read_file(path)
    names = _index(path)
    parts = [
        header.read_file(path.with_name(name)) for name in sorted(set(names.values()))
    ]
    tensors, problems = {}, []
    for part in parts:
        for name, tensor in part.tensors.items():
            if name in names and names[name] != part.path.name:
                problems.append(
                    f"{name} is in {part.path.name}, the index says {names[name]}"
                )
            elif name not in names:
                problems.append(f"{name} of {part.path.name} is not in the index")
            tensors.setdefault(name, tensor)
    problems += [
        f"{name} is not in {file}, as the index says"
        for name, file in names.items()
        if name not in tensors
    ]
    header.refuse(path, problems, "the index and its files are not of one checkpoint")
    return header.Contents(path, tensors, parts[0].metadata if parts else {})


def locate(path):
    """The file, or the index of several, that a checkpoint is.

    Args:
      path: that file itself, or a folder.

    Returns:
      A path that exists.

    Raises:
      FileNotFoundError: there is none, or a choice of several.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if not path.is_dir():
        return path
    for name in (FILE, INDEX):
        if (path / name).is_file():
            return path / name
    others = sorted(path.glob(f"*{SUFFIX}"))
    if len(others) == 1:
        return others[0]
    pickles = sorted(file.name for file in path.glob("*.bin"))
    found = [file.name for file in others] or pickles
    raise FileNotFoundError(
        f"{path} has neither {FILE} nor {INDEX}"
        + (f", but {', '.join(found)}" if found else "")
        + "; "
        + (
            "name one of them"
            if others
            else "write it with save_pretrained(folder, safe_serialization=True)"
        )
    )


def read_json(path):
    """Reads a JSON object, as the checkpoint's other files are.

    Raises:
      ValueError: it is too large, not UTF-8, not JSON, or not an object.
    """
    size = os.path.getsize(path)
    if size > header.MOST_HEADER_BYTES:
        raise ValueError(
            f"{path} has {size} bytes, at most {header.MOST_HEADER_BYTES} are read; "
            "it is not the file that its name promises"
        )
    return header.parse(Path(path), Path(path).read_bytes())


def _index(path):
    """{tensor name: file name} of an index, held to plain names of files beside it."""
    names = read_json(path).get("weight_map")
    if not isinstance(names, dict):
        raise ValueError(f'{path} has no "weight_map" object; download it again')
    if not all(isinstance(file, str) for file in names.values()):
        raise ValueError(f'{path}: "weight_map" should hold file names only')
    files = sorted(set(names.values()))
    strange = [file for file in files if not _is_plain(file)]
    header.refuse(
        path,
        [f"{file!r} is not the plain name of a {SUFFIX} file" for file in strange],
        "an index may only name files beside it; do not use this checkpoint",
    )
    # Not one system call per name: a hostile one may not even be legal there.
    present = {entry.name for entry in os.scandir(path.parent) if entry.is_file()}
    header.refuse(
        path,
        [f"{file} is missing" for file in files if file not in present],
        "download the files that it names",
    )
    return names


def _is_plain(file):
    return file.endswith(SUFFIX) and not any(sign in file for sign in "/\\:\0")
