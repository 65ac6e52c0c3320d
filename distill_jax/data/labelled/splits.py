"""Which clips are held out: by speaker where speakers are known, else by file."""

import hashlib
import logging
from collections import Counter
from pathlib import Path

from distill_jax.data.labelled.clips import SPLITS, UNLABELLED
from distill_jax.data.labelled.layouts import NOHASH

log = logging.getLogger(__name__)

MOST_PER_CLASS = 2**27 - 1


def speaker_split(speaker, valid_fraction=0.1, test_fraction=0.1):
    """The split that Speech Commands itself gives to a speaker.

    Args:
      speaker: the part of the file name before `_nohash_`.
      valid_fraction: share of the speakers to validate with.
      test_fraction: share of the speakers to test with.

    Returns:
      "train", "valid" or "test".

    Source: `which_set` in the README of Speech Commands (Warden 2018).
    """
    digest = int(hashlib.sha1(speaker.encode()).hexdigest(), 16)
    place = (digest % (MOST_PER_CLASS + 1)) / MOST_PER_CLASS
    if place < valid_fraction:
        return "valid"
    return "test" if place < valid_fraction + test_fraction else "train"


def assign(clips, settings):
    """Gives every clip a split, unless it came with one.

    Names of Speech Commands without lists follow `speaker_split`. Others are
    divided so that every label has its share in each split, whole speakers (files,
    where a speaker is not known) at a time.

    Args:
      clips: list of `Clip` with sha256.
      settings: `corpus.Settings`; with `folds`, fold number `fold` is to test with,
        the next one to validate with, and splits that came with the clips are not
        looked at.

    Returns:
      list of `Clip`.

    Raises:
      ValueError: fractions or folds out of range.
    """
    _check(settings)
    if settings.folds:
        part = divide(clips, (1.0,) * settings.folds, settings.seed)
        return [
            clip._replace(split=_fold_split(part[group(clip)], settings))
            for clip in clips
        ]
    if all(clip.split for clip in clips):
        _warn_shared_speakers(clips)
        return clips
    held = settings.valid_fraction, settings.test_fraction
    if all(NOHASH in Path(clip.path).name for clip in clips):
        return [
            clip._replace(split=speaker_split(clip.speaker, *held)) for clip in clips
        ]
    part = divide(clips, (1 - sum(held), *held), settings.seed)
    return [clip._replace(split=SPLITS[part[group(clip)]]) for clip in clips]


def divide(clips, shares, seed):
    """Deals out speakers, or files of unknown speakers, in given shares.

    The largest go first; each goes to the part that has least, for its share, of
    the labels it brings. So every part has some of a label that as many bring.

    Args:
      clips: list of `Clip` with sha256.
      shares: of every part; none is given to a part whose share is 0.
      seed: int, decides between those of one size.

    Returns:
      {group: number of its part}.
    """
    brought = {}
    for clip in clips:
        brought.setdefault(group(clip), Counter())[clip.label] += 1
    order = sorted(
        brought, key=lambda name: (-brought[name].total(), _rank(name, seed))
    )
    held = [Counter() for _ in shares]
    open_parts = [number for number, share in enumerate(shares) if share > 0]
    part = {}
    for name in order:

        def fullness(number, count=brought[name]):
            found = sum(count[label] * held[number][label] for label in count)
            return found / shares[number]

        part[name] = min(open_parts, key=fullness)
        held[part[name]].update(brought[name])
    return part


def group(clip):
    """What is not to be divided: the speaker's clips, or those of one file."""
    return f"speaker {clip.speaker}" if clip.speaker else f"file {clip.sha256}"


def keep_labels(clips, fraction, seed):
    """Makes all but a share of the training clips of each label unlabelled.

    A smaller share is a part of a larger one of the same seed.

    Args:
      clips: list of `Clip` with split and sha256.
      fraction: of the training clips of every label; at least one stays.
      seed: int.

    Returns:
      list of `Clip`.

    Raises:
      ValueError: the fraction is not above 0 and at most 1.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction should be above 0, at most 1; found {fraction}")
    by_label = {}
    for clip in clips:
        if clip.split == "train":
            by_label.setdefault(clip.label, []).append(clip)
    hidden = set()
    for some in by_label.values():
        order = sorted(some, key=lambda clip: _rank(_identity(clip), seed))
        hidden.update(order[max(1, round(fraction * len(some))) :])
    return [
        clip._replace(split=UNLABELLED) if clip in hidden else clip for clip in clips
    ]


def draw(clips, count, seed):
    """So many of the clips, in their order; which ones depends on the seed."""
    chosen = set(sorted(clips, key=lambda clip: _rank(_identity(clip), seed))[:count])
    return [clip for clip in clips if clip in chosen]


def _check(settings):
    held = settings.valid_fraction, settings.test_fraction
    if min(held) < 0 or not 0 < 1 - sum(held) < 1:
        raise ValueError(
            f"valid_fraction and test_fraction should not be negative and leave "
            f"something to train on, found {held[0]:g} and {held[1]:g}"
        )
    if settings.folds and not (
        settings.folds > 2 and 0 <= settings.fold < settings.folds
    ):
        raise ValueError(
            "folds should be 3 or more (to train, validate and test) and fold from 0 "
            f"to folds - 1, found folds={settings.folds}, fold={settings.fold}"
        )


def _fold_split(part, settings):
    turn = (part - settings.fold) % settings.folds
    return {0: "test", 1: "valid"}.get(turn, "train")


def _identity(clip):
    return f"{clip.sha256} {clip.start_s:.6f} {clip.label} {Path(clip.path).name}"


def _rank(text, seed):
    return hashlib.sha256(f"{seed} {text}".encode()).hexdigest()


def _warn_shared_speakers(clips):
    seen = {}
    for clip in clips:
        if clip.speaker:
            seen.setdefault(clip.speaker, set()).add(clip.split)
    shared = sorted(speaker for speaker, splits in seen.items() if len(splits) > 1)
    if shared:
        log.warning(
            "%d speaker(s) are in more than one split, so that results tell less about "
            "new voices: %s",
            len(shared),
            ", ".join(shared[:20]),
        )
