"""Which files of a folder are sounds."""

import os
from pathlib import Path

from distill_jax.audio import files


def sound_names(root):
    """Finds the sound files in a folder and its subfolders by their suffix.

    Hidden files and folders are skipped. Links are followed, and every real folder
    is walked once, as a link may lead back up.

    Args:
      root: pathlib.Path of the folder.

    Returns:
      list of paths relative to root, sorted, with / on every system.

    Raises:
      FileNotFoundError: no such folder, or no sound file in it.
      NotADirectoryError: root is a file.
      PermissionError: lists the folders that cannot be read.
    """
    if not root.exists():
        raise FileNotFoundError(
            f"{root} does not exist; config.data.root should be a folder of "
            f"recordings ({', '.join(files.SUFFIXES)})"
        )
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is a file; give the folder that holds it")
    names, others, refused, seen = [], [], [], set()
    for folder, inner, here in os.walk(root, onerror=refused.append, followlinks=True):
        real = os.path.realpath(folder)
        inner[:] = [name for name in inner if not name.startswith(".")]
        if real in seen:
            inner.clear()
            continue
        seen.add(real)
        paths = [Path(folder, name) for name in here if not name.startswith(".")]
        for path in paths:
            sound = path.suffix.lower() in files.SUFFIXES
            (names if sound else others).append(path.relative_to(root).as_posix())
    _check_found(root, names, others, refused)
    return sorted(names)


def _check_found(root, names, others, refused):
    if refused:
        listing = "\n".join(
            f"  {error.filename}: {error.strerror}" for error in refused
        )
        raise PermissionError(
            f"{len(refused)} folder(s) in {root} cannot be listed:\n{listing}\n"
            "Grant read and search permission (chmod u+rx) or move them elsewhere."
        )
    if not names:
        suffixes = sorted({Path(name).suffix or name for name in others})
        raise FileNotFoundError(
            f"no sound file in {root}: {', '.join(files.SUFFIXES)} are read, found "
            f"{len(others)} other file(s) {', '.join(suffixes[:10])}; convert them"
        )
