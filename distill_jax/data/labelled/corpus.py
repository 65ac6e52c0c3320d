"""From a folder or a table of labelled recordings to a corpus."""

import difflib
import logging
import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from distill_jax.data import manifest
from distill_jax.data.labelled import background, layouts, leaks, splits, table
from distill_jax.data.labelled.clips import SILENCE, SPLITS, UNKNOWN, Corpus

log = logging.getLogger(__name__)


class Settings(NamedTuple):
    """What is made of labelled recordings.

    Attributes:
      words: the labels to tell apart, in this order; () takes all, sorted.
      unknown: examples of the label "unknown", made of all other words, for every
        example of a word; 0 leaves other words out. Speech Commands has 0.1.
      silence: the same of the label "silence", windows of background noise.
      noise: folder of background noise; "" takes `_background_noise_` if it is there.
      valid_fraction: of each label, to validate with; not used where splits are given.
      test_fraction: of each label, to test with, likewise.
      folds: cross-validation with so many parts of whole speakers; 0 is none.
      fold: which of them is to test with.
      fraction: of the training clips that keep their labels, by label.
      balanced: draw every label equally often while training.
      weighted: weigh training examples so that every label counts the same.
      window_seconds: length of an example.
      min_seconds: recordings shorter than this cannot be used.
      skip_bad: leave recordings out that cannot be used, and list them.
      drop_leaks: leave sounds out that are in two splits or under two labels, and
        list them.
      seed: another one divides and draws otherwise.
    """

    words: tuple[str, ...] = ()
    unknown: float = 0.0
    silence: float = 0.0
    noise: str = ""
    valid_fraction: float = 0.1
    test_fraction: float = 0.1
    folds: int = 0
    fold: int = 0
    fraction: float = 1.0
    balanced: bool = False
    weighted: bool = False
    window_seconds: float = 1.0
    min_seconds: float = 0.1
    skip_bad: bool = False
    drop_leaks: bool = False
    seed: int = 0


DEFAULT = Settings()


def read(root, cache, settings=DEFAULT):
    """Reads labelled recordings, checks all of them and divides them.

    Args:
      root: folder with a folder per label, see `layouts.folders`; or a CSV or JSONL
        file, see `table.read`.
      cache: folder for the record of what was checked.
      settings: `Settings`.

    Returns:
      `Corpus`.

    Raises:
      FileNotFoundError, NotADirectoryError, PermissionError: root cannot be read.
      ValueError: recordings cannot be used, a word is not there, sounds leak from one
        split into another or have two labels, or a split or label is left empty.
    """
    clips, files = _listed(Path(root), cache, settings)
    clips, labels = _chosen(clips, settings)
    clips = leaks.without(splits.assign(clips, settings), settings.drop_leaks)
    noise, files = _noise(root, files, cache, settings)
    counts = {split: _wanted(clips, split) for split in SPLITS}
    clips = _few_unknown(clips, counts, settings)
    if settings.silence:
        clips += _silence(noise, counts, settings)
        labels = tuple(dict.fromkeys((*labels, SILENCE)))
    clips = splits.keep_labels(clips, settings.fraction, settings.seed)
    _check(clips, labels, settings)
    proportions = _proportions(clips, labels, settings)
    return Corpus(
        labels,
        tuple(clips),
        tuple(noise),
        _used(files, (*clips, *noise)),
        proportions,
        _weights(proportions, settings),
    )


def _listed(root, cache, settings):
    """What the folder or table says, with what the files themselves say; the files."""
    if root.suffix.lower() not in table.SUFFIXES:
        files = _usable(root, cache, settings)
        return _known(root, layouts.folders(root, files), files), files
    clips = table.read(root)
    names = list(dict.fromkeys(clip.path for clip in clips))
    names = [os.path.relpath(name, root.parent) for name in names]
    files = _usable(root.parent, cache, settings, names)
    return _known(root, clips, files), files


def _usable(root, cache, settings, names=None):
    found = manifest.scan(root, cache, settings.min_seconds, names)
    return manifest.require(found, settings.skip_bad)


def _known(root, clips, files):
    """Clips of usable files, with their ends and sounds."""
    file_of = {os.path.normpath(file.path): file for file in files}
    found, beyond = [], []
    for clip in clips:
        file = file_of.get(os.path.normpath(clip.path))
        if file is None:
            continue  # Left out and listed by manifest.require.
        end_s = clip.end_s or file.seconds
        # A table may have rounded to milliseconds.
        if clip.start_s >= file.seconds or end_s > file.seconds + 0.001:
            beyond.append(
                f"  {clip.path} has {file.seconds:.3f} s, found "
                f"{clip.start_s:g}–{end_s:g} s"
            )
        end_s = min(end_s, file.seconds)
        found.append(clip._replace(end_s=end_s, sha256=file.sha256))
    if beyond:
        raise ValueError(
            f"{len(beyond)} stretch(es) of {root} end after their recordings:\n"
            + "\n".join(beyond)
            + "\nCorrect start and end, which are in seconds."
        )
    return found


def _chosen(clips, settings):
    """The clips of the chosen words and of "unknown", and the labels."""
    found = sorted({clip.label for clip in clips})
    if not settings.words:
        return clips, tuple(found)
    _check_words(settings.words, found)
    words = (*settings.words, SILENCE) if settings.silence else settings.words
    kept = [
        clip if clip.label in words else clip._replace(label=UNKNOWN)
        for clip in clips
        if clip.label in words or (settings.unknown and clip.label != SILENCE)
    ]
    more = (UNKNOWN,) if settings.unknown else ()
    return kept, tuple(dict.fromkeys((*settings.words, *more)))


def _check_words(words, found):
    absent = [word for word in words if word not in found]
    if absent or len(set(words)) < len(words):
        near = {
            word: difflib.get_close_matches(word, found, n=1, cutoff=0.0)
            for word in absent
        }
        raise ValueError(
            f"config.data.words should be different labels of the recordings, found "
            f"{', '.join(words)}; not there: "
            + (
                ", ".join(f"{w} (nearest: {', '.join(n)})" for w, n in near.items())
                or "none, but one is given twice"
            )
            + f". Labels: {', '.join(found)}"
        )


def _noise(root, files, cache, settings):
    """Stretches of background noise, and all files with those of the chosen folder."""
    folder = Path(root) / layouts.BACKGROUND
    if settings.noise:
        own = _usable(settings.noise, cache, settings)
        files = files + own
    else:
        own = [file for file in files if Path(file.path).is_relative_to(folder)]
    return background.parts(own, settings.window_seconds, settings.seed), files


def _used(files, clips):
    """The files that clips are of, each sound once, in an order of its own."""
    wanted = {clip.sha256 for clip in clips}
    found = {file.sha256: file for file in files if file.sha256 in wanted}
    return tuple(found[sha256] for sha256 in sorted(found))


def _wanted(clips, split):
    return sum(
        clip.split == split and clip.label not in (UNKNOWN, SILENCE) for clip in clips
    )


def _few_unknown(clips, counts, settings):
    """Held-out splits keep the share of "unknown"; training draws from all of it."""
    kept = set()
    for split in SPLITS[1:]:
        some = [clip for clip in clips if clip.split == split and clip.label == UNKNOWN]
        count = round(settings.unknown * counts[split])
        kept.update(splits.draw(some, count, settings.seed))
    if not settings.words:
        return clips
    return [
        clip
        for clip in clips
        if clip.label != UNKNOWN or clip.split == "train" or clip in kept
    ]


def _silence(noise, counts, settings):
    """Whole stretches to train on, where windows are drawn, and windows held out."""
    here = {split: [clip for clip in noise if clip.split == split] for split in SPLITS}
    empty = [split for split in SPLITS if counts[split] and not here[split]]
    if empty:
        window = settings.window_seconds
        # Of fewer recordings each is cut, and the smallest share is judged with.
        long = window / min(background.SHARES)
        raise ValueError(
            f"config.data.silence={settings.silence:g} needs background noise for "
            f"{', '.join(SPLITS)}, found none of {window:g} s or more for "
            f"{', '.join(empty)}: set config.data.noise to a folder with a recording "
            f"of {long:g} s or with {background.ENOUGH_FILES} of {window:g} s, or name "
            f"it {layouts.BACKGROUND}, or set silence=0"
        )
    held = [
        clip
        for split in SPLITS[1:]
        for clip in background.windows(
            here[split],
            round(settings.silence * counts[split]),
            settings.window_seconds,
        )
    ]
    return here["train"] + held


def _check(clips, labels, settings):
    """Every label needs something to train on, every split that is asked for a clip."""
    count = Counter((clip.split, clip.label) for clip in clips)
    faults = [
        f"  {label} has no clip to train on"
        for label in labels
        if not count["train", label]
    ]
    asked = ["valid"] if settings.valid_fraction or settings.folds else []
    asked += ["test"] if settings.test_fraction or settings.folds else []
    for split in asked:
        absent = [label for label in labels if not count[split, label]]
        if len(absent) == len(labels):
            faults.append(f"  nothing is left to {split} with")
        elif absent:
            log.warning("no clip to %s with of: %s", split, ", ".join(absent))
    if len(labels) < 2:
        faults.append(f"  there is one label only, {', '.join(labels)}")
    if faults:
        raise ValueError(
            "these recordings cannot be learnt from:\n"
            + "\n".join(faults)
            + "\nAdd recordings (of more speakers), or change the words, the fractions "
            "or the number of folds."
        )


def _proportions(clips, labels, settings):
    if settings.balanced:
        return (1.0,) * len(labels)
    count = Counter(clip.label for clip in clips if clip.split == "train")
    shares = {
        UNKNOWN: settings.unknown if settings.words else 0,
        SILENCE: settings.silence,
    }
    wanted = sum(count[label] for label in labels if not shares.get(label))
    return tuple(
        shares[label] * wanted if shares.get(label) else float(count[label])
        for label in labels
    )


def _weights(proportions, settings):
    if not settings.weighted:
        return (1.0,) * len(proportions)
    total = sum(proportions)
    return tuple(total / (len(proportions) * share) for share in proportions)
