"""What is uploaded: held against what it should be, then kept in the root."""

import hashlib
import re
import shutil
from pathlib import Path

from distill_jax.app import archives, places
from distill_jax.audio import files

# A compressed file can be hours of sound and gigabytes of memory.
LONGEST_SECONDS = 900.0
FIRST = 5  # problems that are told
MOST_BYTES = 20_000_000_000  # of all uploads together


def recordings(root, paths, most_bytes=MOST_BYTES):
    """Keeps an archive, or single sounds, as a folder in the root.

    Args:
      root: work directory.
      paths: one .zip, or sound files, as they were uploaded.
      most_bytes: that all uploads together may take.

    Returns:
      The folder; the same one for the same content, and a line on what was kept.

    Raises:
      ValueError: neither; tells which files are no sounds, and why. Or there is no
        room for it; tells what to delete.
    """
    paths = [Path(path) for path in paths or ()]
    if not paths:
        raise ValueError("nothing was uploaded yet")
    zips = [path for path in paths if path.suffix.lower() == ".zip"]
    if zips and len(paths) > 1:
        raise ValueError("upload one .zip archive, or sound files, not both")
    folder = _folder(root, paths)
    if not folder.is_dir():
        if zips:
            archives.unpack(zips[0], folder)
            checked(sorted(_sounds(folder)), folder)
        else:
            checked(paths)
            _copy(paths, folder)
        # Now that it is known what an archive takes.
        _in_room(folder, most_bytes)
    top, count = _top(folder), sum(1 for _ in _sounds(folder))
    return top, f"{count} recordings in {places.shown(root, top)}"


def checked(paths, remove=None):
    """Refuses files that are not sound, all in one message.

    Args:
      paths: of files.
      remove: folder to be removed if they are refused, or None.

    Raises:
      ValueError: tells which, and why.
    """
    problems = [f"{path.name}: {text}" for path in paths if (text := problem(path))]
    if problems:
        if remove is not None:
            shutil.rmtree(remove)
        more = len(problems) - FIRST
        lines = problems[:FIRST] + [f"and {more} more"] * (more > 0)
        raise ValueError(
            f"{len(problems)} of {len(paths)} files cannot be used: {'; '.join(lines)}"
        )


def problem(path, longest=LONGEST_SECONDS):
    """Why a file is no sound that can be used; "" if it is one."""
    path = Path(path)
    if path.suffix.lower() not in files.SUFFIXES:
        return f"expected {', '.join(files.SUFFIXES)}"
    try:
        frames, rate_hz = files.promised(path)
    except ValueError as error:
        return str(error).removeprefix(f"{path} ")
    if frames > longest * rate_hz:
        return (
            f"is {frames / rate_hz / 60:.0f} minutes long, at most "
            f"{longest / 60:.0f} are taken; cut it"
        )
    return ""


def sound(path, rate_hz, longest=LONGEST_SECONDS):
    """Reads an uploaded or recorded sound.

    Raises:
      ValueError: there is none, or it is none.
    """
    if path is None:
        raise ValueError("there is no sound yet; record or upload one")
    text = problem(path, longest)
    if text:
        raise ValueError(f"{Path(path).name}: {text}")
    return files.read(path, rate_hz)


def has_sound(folder):
    """Whether a sound file lies in a folder itself."""
    return any(each.suffix.lower() in files.SUFFIXES for each in folder.iterdir())


def has_words(folder):
    """Whether a folder has two folders of sounds or more, as wake words need it."""
    inner = [each for each in folder.iterdir() if each.is_dir()]
    return sum(map(has_sound, inner[:50])) > 1


def _folder(root, paths):
    """A folder that is named by the content."""
    seen = hashlib.sha256()
    for path in sorted(paths, key=lambda path: path.name):
        seen.update(f"{path.name}/{path.stat().st_size}/".encode())
        with path.open("rb") as file:
            seen.update(hashlib.file_digest(file, "sha256").digest())
    stem = re.sub(r"[^\w-]+", "_", paths[0].stem)[:40] or "sounds"
    folder = places.inside(root, f"{places.UPLOADS}/{stem}-{seen.hexdigest()[:10]}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder


def _in_room(folder, most_bytes):
    """Takes an upload away again where all of them take too much room."""
    mine, every = (places.size(each) for each in (folder, folder.parent))
    if every > most_bytes:
        shutil.rmtree(folder)
        raise ValueError(
            f"this takes {mine / 1e9:.3g} GB and earlier uploads "
            f"{(every - mine) / 1e9:.3g}, at most {most_bytes / 1e9:.3g} are kept in "
            f"all; delete folders that no run needs any more in {folder.parent}, or "
            "start the app with a higher --uploads-gb"
        )


def _copy(paths, folder):
    partial = folder.with_name(f".{folder.name}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for number, path in enumerate(paths):
        name = path.name
        if (partial / name).exists():
            name = f"{path.stem}-{number}{path.suffix}"
        shutil.copyfile(path, partial / name)
    partial.replace(folder)


def _sounds(folder):
    for path in folder.rglob("*"):
        if path.suffix.lower() in files.SUFFIXES and path.is_file():
            yield path


def _top(folder):
    """Past folders that hold nothing but one folder, as archives often begin."""
    while True:
        inner = list(folder.iterdir())
        if len(inner) != 1 or not inner[0].is_dir():
            return folder
        folder = inner[0]
