"""The one folder that the app reads, writes and serves, and paths within it."""

import os
import re
from pathlib import Path

# Folders for what is uploaded and made, in the root.
UPLOADS, HIDDEN = "uploads", ".app"
# Suffixes of what reports consist of and what is worth a download.
SERVED = (
    *(".html", ".png", ".svg", ".wav", ".flac", ".json", ".txt"),
    *(".tflite", ".onnx", ".npz", ".h", ".safetensors"),
)
NAME = re.compile(r"\w[\w .-]{0,79}")
DEEPEST = 4


class OutsideError(ValueError):
    """A path that leads out of the root."""


def inside(root, text):
    """A path within the root, links followed.

    Args:
      root: the folder.
      text: relative to it, or absolute.

    Returns:
      The resolved path; it need not exist.

    Raises:
      OutsideError: it leads out of the root.
      ValueError: it is empty or no path at all.
    """
    text = str(text).strip()
    if not text or "\0" in text:
        raise ValueError("a path is missing; give one inside the work directory")
    root = Path(root).resolve()
    try:
        path = (root / text).resolve()
        path.exists()
    except (OSError, RuntimeError) as error:  # Too long, or links in a circle.
        raise ValueError(f"the path cannot be followed: {error}") from None
    if not path.is_relative_to(root):
        raise OutsideError(
            f"{text!r} is outside the work directory {root}; copy it in, or start the "
            "app with another --workdir"
        )
    return path


def recordings(root, text):
    """An existing folder or table within the root that no link leads out of.

    Raises:
      ValueError: it is missing, outside, or holds links that lead outside.
    """
    path = inside(root, text)
    if not path.exists():
        raise ValueError(f"{text!r} does not exist in the work directory")
    for link in links(path):
        inside(root, link)
    return path


def links(folder):
    """Every link in a folder, at any depth; itself is not looked at."""
    for place, inner, files in os.walk(folder):
        for name in (*inner, *files):
            path = Path(place, name)
            if path.is_symlink():
                yield path


def named(root, text):
    """Where a run of that name is, or will be, in the root.

    Raises:
      ValueError: it is no name.
    """
    text = str(text or "").strip()
    if not NAME.fullmatch(text) or text == UPLOADS:
        raise ValueError(
            f"{text!r} is no name for a run; expected letters, digits, spaces, _ . or -"
        )
    return inside(root, text)


def shown(root, path):
    """A path as people see it: relative to the root, with /."""
    return Path(path).resolve().relative_to(Path(root).resolve()).as_posix()


def served(root, text):
    """A file of the root that a browser may have; None for all else.

    Hidden files and folders are not, nor is what links lead out to, nor a file of
    another kind than reports consist of.
    """
    try:
        path = inside(root, text)
    except ValueError:
        return None
    parts = (*Path(text).parts, *path.relative_to(Path(root).resolve()).parts)
    hidden = any(part.startswith(".") for part in parts)
    good = path.suffix.lower() in SERVED and path.is_file() and not hidden
    return path if good else None


def folders(root, wanted):
    """Folders in the root that are wanted, not deep and through no link.

    Args:
      root: the folder.
      wanted: path -> whether it is; what is inside of one is looked at, too.

    Returns:
      Their names as `shown` gives them, sorted.
    """
    root = Path(root).resolve()
    found, todo = [], [(root, 0)]
    while todo:
        folder, depth = todo.pop()
        if folder != root and wanted(folder):
            found.append(shown(root, folder))
        if depth < DEEPEST:
            todo += [(each, depth + 1) for each in _below(folder)]
    return sorted(found)


def size(folder):
    """Bytes of all files in a folder, at any depth; no link is followed."""
    return sum(
        Path(place, name).lstat().st_size
        for place, _, names in os.walk(folder)
        for name in names
    )


def _below(folder):
    with os.scandir(folder) as entries:
        return [
            Path(each.path)
            for each in entries
            if each.is_dir(follow_symlinks=False) and not each.name.startswith(".")
        ]
