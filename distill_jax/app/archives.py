"""Archives from strangers: unpacked whole or not at all, and nowhere else."""

import shutil
import stat
import uuid
import zipfile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from distill_jax.audio import files
from distill_jax.data.labelled import layouts

# The lists of Speech Commands; tables could name files anywhere and are not taken.
KEPT = (*files.SUFFIXES, *layouts.LISTS.values())
CHUNK = 1 << 20


class Limits(NamedTuple):
    """What an archive may hold.

    Attributes:
      bytes: of all files together, unpacked.
      files: how many.
    """

    bytes: int = 4_000_000_000
    files: int = 200_000


class ArchiveError(ValueError):
    """An archive that is damaged, or that does harm."""


def unpack(archive, folder, limits=None):
    """Unpacks the sounds of a zip archive.

    Args:
      archive: path of the file.
      folder: where to; must not exist yet.
      limits: `Limits`; None takes the usual ones.

    Returns:
      How many files were unpacked, and how many were left out as they are no sounds.

    Raises:
      ArchiveError: no archive, damaged, too large, or with links or with names that
        lead out of it; nothing is left behind.
    """
    limits, folder = limits or Limits(), Path(folder)
    partial = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    try:
        with zipfile.ZipFile(archive) as opened:
            wanted, left_out = _wanted(opened, limits)
            room = limits.bytes
            for info in wanted:
                room -= _write(opened, info, partial / info.filename, room)
        partial.replace(folder)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError) as error:
        raise ArchiveError(
            f"{Path(archive).name} is no zip archive that can be read ({error}); make "
            "a .zip of the folder again"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return len(wanted), left_out


def _wanted(opened, limits):
    """The entries to unpack, all held against the rules before one is."""
    infos = [info for info in opened.infolist() if not info.is_dir()]
    if len(infos) > limits.files:
        raise ArchiveError(
            f"the archive holds {len(infos):,} files, at most {limits.files:,} are "
            "taken"
        )
    problems = [text for info in infos if (text := _problem(info))]
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ArchiveError(
            "the archive is refused, nothing was unpacked: "
            f"{'; '.join(problems[:5])}{more}"
        )
    size = sum(info.file_size for info in infos)
    if size > limits.bytes:
        raise _too_large(limits)
    wanted = [info for info in infos if _is_kept(info.filename)]
    if not wanted:
        raise ArchiveError(
            f"there is no sound in the archive; expected {', '.join(files.SUFFIXES)}"
        )
    return wanted, len(infos) - len(wanted)


def _problem(info):
    """Why an entry is not to be trusted; "" for a good one."""
    name = PurePosixPath(info.filename)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if name.is_absolute() or ".." in name.parts or "\\" in info.filename:
        return f"{info.filename!r} leads out of the archive"
    if ":" in info.filename or not info.filename.isprintable():
        return f"{info.filename!r} is no plain name"
    if kind not in (0, stat.S_IFREG):
        return f"{info.filename!r} is a link or a device"
    if info.flag_bits & 1:
        return f"{info.filename!r} is encrypted"
    return ""


def _is_kept(name):
    parts = PurePosixPath(name).parts
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return not hidden and parts[-1].lower().endswith(KEPT)


def _write(opened, info, target, room):
    """Writes an entry; what its header says of its size is not believed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    with opened.open(info) as source, target.open("xb") as file:
        while chunk := source.read(CHUNK):
            size += len(chunk)
            if size > room:
                raise ArchiveError(f"{info.filename!r} is larger than it says")
            file.write(chunk)
    return size


def _too_large(limits):
    return ArchiveError(
        f"the archive is more than {limits.bytes / 1e9:g} GB when unpacked; put the "
        "folder into the work directory instead"
    )
