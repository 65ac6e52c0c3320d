"""Folders of recordings: every file checked once, then split by file."""

import hashlib
import json
import logging
import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from distill_jax.audio import files
from distill_jax.data import listing
from distill_jax.progress import bar

log = logging.getLogger(__name__)

# Three steps of 16-bit audio: dither alone does not make a file audible.
SILENCE_DBFS = -80.0
# Raise it when checks change, so that old records are not believed.
RECORD_VERSION = 1


class Clip(NamedTuple):
    """A sound file and what is known about it.

    Attributes:
      path: of the file.
      seconds: duration.
      rate_hz: sampling rate of the file.
      channels: number of channels of the file.
      sha256: of the decoded samples; "" if they cannot be decoded.
      problem: why it cannot be used, as the rest of a sentence that begins with
        the path; "" if it can.
    """

    path: str
    seconds: float
    rate_hz: int
    channels: int
    sha256: str
    problem: str


def scan(root, cache, min_seconds=0.1, names=None):
    """Finds all sound files in a folder and its subfolders and decodes each once.

    Hidden files and folders are skipped, links are followed. Findings are kept
    in `cache` by relative path, size and modification time, so that the next scan
    only decodes what is new or changed.

    Args:
      root: folder with recordings.
      cache: folder for the record; made if it is missing.
      min_seconds: files shorter than this are a problem.
      names: the files to look at, relative to root, instead of all in it.

    Returns:
      list of Clip, sorted by path or in the order of the names, the unusable ones
      with their problem.

    Raises:
      FileNotFoundError: no such folder, or no sound file in it.
      NotADirectoryError: root is a file.
      PermissionError: some of the folders cannot be listed.
      OSError: the record cannot be written.
    """
    root = Path(root)
    place = hashlib.sha256(os.fsencode(root.resolve()))
    if names is None:
        names = listing.sound_names(root)
    else:
        place.update(b"/named")
    place = place.hexdigest()[:16]
    record = Path(cache) / f"manifest_{place}.jsonl"
    record.parent.mkdir(parents=True, exist_ok=True)
    known = _load(record)
    stats, broken = _stats(root, names)
    found = {n: known[n] for n in stats if n in known and known[n]["stat"] == stats[n]}
    todo = [(root, name, stats[name]) for name in stats if name not in found]
    log.info("%d sound files in %s, %d to check", len(names), root, len(todo))
    with open(record, "a", encoding="utf-8") as file:
        for line in threaded(_check, todo, "checking sounds"):
            found[line["name"]] = line
            # Unreadable today may be readable tomorrow with the same time stamp.
            if not line["transient"]:
                file.write(json.dumps(line) + "\n")
                file.flush()
    if todo or known.keys() - found.keys():
        _rewrite(record, [line for line in found.values() if not line["transient"]])
    clips = {name: _clip(root, line, min_seconds) for name, line in found.items()}
    return [clips.get(name) or broken[name] for name in names]


def require(clips, skip_bad=False):
    """Refuses unusable files, all in one message.

    Args:
      clips: list of Clip.
      skip_bad: leave the unusable ones out and log them, where some are usable.

    Returns:
      list of the usable clips.

    Raises:
      ValueError: lists every unusable file with its reason and what to do.
    """
    good = [clip for clip in clips if not clip.problem]
    bad = [f"  {clip.path} {clip.problem}" for clip in clips if clip.problem]
    lines = "\n".join(bad)
    if bad and not (skip_bad and good):
        choice = "set config.data.skip_bad=True to leave them out"
        raise ValueError(
            f"{len(bad)} of {len(clips)} sound files cannot be used:\n{lines}\n"
            "Repair (export or convert them again) or remove them"
            f"{', or ' + choice if good else '; none is left to train on'}."
        )
    if bad:
        counts = len(bad), len(clips)
        log.warning("leaving out %d of %d sound files:\n%s", *counts, lines)
    return good


def split(clips, valid_fraction, seed):
    """Divides clips into training and validation files.

    Depends on what the files sound like and the seed alone, not on where they
    are, their names or their order. Copies of one sound stay together.

    Args:
      clips: list of usable Clip.
      valid_fraction: share of the files that is held out, between 0 and 1.
      seed: int, another one holds out other files.

    Returns:
      (train, valid), lists of Clip in the given order; at least one file each.

    Raises:
      ValueError: the fraction is out of range, or the files are fewer than two
        different sounds.
    """
    if not 0 < valid_fraction < 1:
        raise ValueError(
            f"valid_fraction should be between 0 and 1, found {valid_fraction}"
        )
    groups = {}
    for clip in clips:
        groups.setdefault(clip.sha256, []).append(clip)
    if len(groups) < 2:
        raise ValueError(
            f"a split needs at least 2 different sounds, found {len(groups)} in "
            f"{len(clips)} file(s); add recordings, or cut a long one into several"
        )
    wanted = min(max(1, round(valid_fraction * len(clips))), len(clips) - 1)
    order = sorted(groups, key=lambda sha256: _rank(sha256, seed))
    held, count = set(), 0
    for sha256 in order:
        if count + len(groups[sha256]) <= wanted:
            held.add(sha256)
            count += len(groups[sha256])
    # Every sound has more copies than are wanted: the smallest group exceeds least.
    held = held or {min(order, key=lambda sha256: len(groups[sha256]))}
    return (
        [clip for clip in clips if clip.sha256 not in held],
        [clip for clip in clips if clip.sha256 in held],
    )


def threaded(function, items, title):
    """Applies a function in as many threads as there are cores, with a bar.

    Args:
      function: (item) -> result; releases the lock that threads share, as
        decoding and resampling do.
      items: list.
      title: what is being done.

    Yields:
      The results in the order of the items. What is queued is dropped on Ctrl-C.
    """
    if not items:
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            results = pool.map(function, items)
            yield from bar(results, title, total=len(items), unit="file")
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _rank(sha256, seed):
    return hashlib.sha256(f"{seed} {sha256}".encode()).hexdigest()


def _stats(root, names):
    """(size, mtime_ns) of every file; clips with a problem for dead links."""
    stats, broken = {}, {}
    for name in names:
        try:
            info = os.stat(root / name)
            stats[name] = [info.st_size, info.st_mtime_ns]
        except OSError as error:
            broken[name] = _unusable(root / name, f"cannot be read: {error.strerror}")
    return stats, broken


def _check(item):
    root, name, stat = item
    path = root / name
    line = {"name": name, "stat": stat, "version": RECORD_VERSION, "transient": False}
    line["checked"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    try:
        return line | files.probe(path)._asdict() | {"problem": ""}
    except ValueError as error:
        return line | {"problem": str(error).removeprefix(f"{path} ")}
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        return line | {"transient": True, "problem": problem}


def _clip(root, line, min_seconds):
    path = str(root / line["name"])
    if line["problem"]:
        return _unusable(path, line["problem"])
    seconds = line["frames"] / line["rate_hz"]
    return Clip(
        path,
        seconds,
        line["rate_hz"],
        line["channels"],
        line["sha256"],
        _fault(line, seconds, min_seconds),
    )


def _unusable(path, problem):
    return Clip(str(path), 0.0, 0, 0, "", problem)


def _fault(line, seconds, min_seconds):
    if not line["frames"]:
        return "holds no samples"
    if not line["finite"]:
        return "holds NaN or infinite samples"
    peak_dbfs = 20 * math.log10(max(line["peak"], 1e-10))
    if peak_dbfs < SILENCE_DBFS:
        return f"is silent: its peak is below {SILENCE_DBFS:.0f} dBFS"
    if seconds < min_seconds:
        return f"is too short: {seconds:.3f} s, at least {min_seconds:g} s are needed"
    return ""


def _load(record):
    """The newest line of every file; a line torn by a kill is left out."""
    known = {}
    if record.exists():
        for text in record.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if line["version"] == RECORD_VERSION:
                known[line["name"]] = line
    return known


def _rewrite(record, lines):
    with files.replacing(record) as file:
        for line in lines:
            file.write(json.dumps(line).encode() + b"\n")
