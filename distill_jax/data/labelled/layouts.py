"""Folders with a word each: whose label and whose voice every file is."""

import logging
import re
from pathlib import Path, PurePosixPath

from distill_jax.data.labelled.clips import SILENCE, UNKNOWN, Clip

log = logging.getLogger(__name__)

BACKGROUND = "_background_noise_"
LISTS = {"valid": "validation_list.txt", "test": "testing_list.txt"}
# What the speaker's name ends at in a file name of Speech Commands.
NOHASH = "_nohash_"
RENAMED = {"_silence_": SILENCE, "_unknown_": UNKNOWN}


def folders(root, files):
    """Reads a folder per word, with or without the lists of Speech Commands.

    The first folder under root is the label. Where `validation_list.txt` or
    `testing_list.txt` is there, they decide the split and all else is to train on;
    suffixes are not compared, as the recordings may have been converted. Names like
    `<speaker>_nohash_<n>` tell the speaker. `_background_noise_` is no word.

    Args:
      root: folder.
      files: list of `manifest.Clip` in it.

    Returns:
      list of `Clip` in the order of files.

    Raises:
      ValueError: lists the sounds that are in no folder of their own.
    """
    root = Path(root)
    names = {PurePosixPath(Path(file.path).relative_to(root)): file for file in files}
    loose = [str(name) for name in names if len(name.parts) < 2]
    if loose:
        raise ValueError(
            f"{len(loose)} sound(s) in {root} are in no folder that names their "
            f"label: {', '.join(loose[:20])}; move them into one each word, or give a "
            "CSV or JSONL file of path and label instead"
        )
    held = _held_out(root, names)
    return [
        _clip(name, file, held)
        for name, file in names.items()
        if name.parts[0] != BACKGROUND
    ]


def _clip(name, file, held):
    label = RENAMED.get(name.parts[0], name.parts[0])
    split = held.get(name.with_suffix(""), "train") if held is not None else ""
    speaker, found, _ = name.name.partition(NOHASH)
    return Clip(
        file.path, label, split, speaker=speaker if found else "", sha256=file.sha256
    )


def _held_out(root, names):
    """{name without suffix: split} of the lists; None where there are none."""
    paths = {
        split: root / name for split, name in LISTS.items() if (root / name).exists()
    }
    if not paths:
        return None
    known = {name.with_suffix("") for name in names}
    held, twice, absent = {}, [], []
    for split, path in paths.items():
        for line in path.read_text(encoding="utf-8").split("\n"):
            if not line.strip():
                continue
            name = PurePosixPath(re.sub(r"\\", "/", line.strip())).with_suffix("")
            if held.setdefault(name, split) != split:
                twice.append(str(name))
            if name not in known and name.parts[0] in {k.parts[0] for k in known}:
                absent.append(str(name))
    if twice:
        raise ValueError(
            f"{len(twice)} name(s) are in both lists of {root}: "
            f"{', '.join(twice[:20])}; leave each in one"
        )
    if absent:
        log.warning(
            "%d recording(s) of the lists are not in %s: %s",
            len(absent),
            root,
            ", ".join(absent[:20]),
        )
    return held
