"""Which files of a folder are sounds, and where what is made of them goes."""

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


def with_targets(paths, out, suffix):
    """Every sound file in `paths`, and the path of its result, each a different one.

    Args:
      paths: of sound files, and of folders to search for them.
      out: folder for the results.
      suffix: of the results, without the dot.

    Returns:
      List of (path of the sound, path of its result).

    Raises:
      OSError: a path is missing, or see `sound_names`.
      ValueError: a result would replace a sound.
    """
    pairs, taken = [], set()
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist")
        names = sound_names(path) if path.is_dir() else [path.name]
        folder = path if path.is_dir() else path.parent
        for name in names:
            stem, number = out / Path(name).with_suffix(""), 1
            target = stem.with_name(f"{stem.name}.{suffix}")
            while target in taken:
                number += 1
                target = stem.with_name(f"{stem.name}-{number}.{suffix}")
            taken.add(target)
            pairs.append((folder / name, target))
    lost = _resolved(source for source, _ in pairs) & _resolved(taken)
    if lost:
        names = ", ".join(sorted(map(str, lost)))
        raise ValueError(f"the results would replace {names}; choose another --out")
    return pairs


def _resolved(paths):
    """Where paths really lead, as a set."""
    return {path.resolve() for path in paths}


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
