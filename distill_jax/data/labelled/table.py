"""CSV and JSONL files of labelled stretches of recordings."""

import csv
import json
import logging
import math
import os

from distill_jax.data.labelled.clips import SPLITS, Clip

log = logging.getLogger(__name__)

SUFFIXES = (".csv", ".jsonl")
FIELDS = ("path", "label", "split", "start", "end", "speaker")
SPLIT_NAMES = {name: name for name in SPLITS} | {
    "training": "train",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "testing": "test",
}
MOST_FAULTS = 50


def read(path):
    """Reads a CSV file with a header, or a JSONL file with an object per line.

    `path`, relative to the file's own folder, and `label` are needed; `split` (train,
    valid or test), `start` and `end` in seconds, and `speaker` are not. Either all
    rows have a split or none. What else there is, is named and not used.

    Args:
      path: pathlib.Path; the suffix `.csv` or `.jsonl` tells which.

    Returns:
      list of `Clip` in the order of the rows; `end_s` 0 is the end of the recording.

    Raises:
      ValueError: lists every row that cannot be used and why.
      OSError: the file cannot be read.
    """
    rows = list(_csv(path) if path.suffix.lower() == ".csv" else _jsonl(path))
    faults, clips = [], []
    for line, row in rows:
        fault = row if isinstance(row, str) else _fault(row)
        if fault:
            faults.append(f"  line {line}: {fault}")
        else:
            clips.append(_clip(path.parent, row))
    rows = [row for _, row in rows if not isinstance(row, str)]
    with_split = sum(bool(clip.split) for clip in clips)
    if 0 < with_split < len(clips):
        faults.append(f"  {with_split} of {len(clips)} rows have a split; all or none")
    if not rows and not faults:
        faults.append("  there is no row")
    if faults:
        raise ValueError(
            f"{path} has {len(faults)} fault(s):\n"
            + "\n".join(faults[:MOST_FAULTS])
            + ("\n  …" if len(faults) > MOST_FAULTS else "")
            + f"\nColumns are {', '.join(FIELDS)}; path and label are needed."
        )
    others = sorted({str(name) for row in rows for name in row} - set(FIELDS))
    if others:
        log.warning("%s: columns that are not used: %s", path, ", ".join(others))
    return clips


def _csv(path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        for row in reader:
            more, fewer = None in row, None in row.values()
            told = f"has {'more' if more else 'fewer'} fields than the header"
            yield reader.line_num, told if more or fewer else row


def _jsonl(path):
    for number, text in enumerate(path.read_text("utf-8-sig").split("\n"), 1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except ValueError as error:
            yield number, f"is not JSON: {error}"
            continue
        yield number, row if isinstance(row, dict) else "is no JSON object"


def _fault(row):
    """What is wrong with a row; "" if nothing is."""
    for name in ("path", "label"):
        if not _text(row, name):
            return f"has no {name}"
    split = _text(row, "split")
    if split and split.lower() not in SPLIT_NAMES:
        return f"split should be {', '.join(SPLITS)}, found {split!r}"
    try:
        start_s, end_s = _seconds(row, "start"), _seconds(row, "end")
    except ValueError:
        return (
            f"start and end should be seconds, found {_text(row, 'start')!r} and "
            f"{_text(row, 'end')!r}"
        )
    if not (0 <= start_s < math.inf and (end_s == 0 or start_s < end_s < math.inf)):
        return f"should have 0 <= start < end, found {start_s:g} and {end_s:g}"
    return ""


def _clip(folder, row):
    return Clip(
        os.path.normpath(folder / _text(row, "path")),
        _text(row, "label"),
        SPLIT_NAMES.get(_text(row, "split").lower(), ""),
        _seconds(row, "start"),
        _seconds(row, "end"),
        _text(row, "speaker"),
    )


def _seconds(row, name):
    return float(_text(row, name) or 0)


def _text(row, name):
    value = row.get(name)
    return "" if value is None else str(value).strip()
