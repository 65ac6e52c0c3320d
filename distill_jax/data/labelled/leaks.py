"""The same sound in two splits or under two labels."""

import logging

from distill_jax.data.labelled.clips import SPLITS

log = logging.getLogger(__name__)


def without(clips, drop=False):
    """Refuses sounds that occur in two splits or under two labels, or drops them.

    Sounds are compared by their decoded samples, so that a renamed or losslessly
    converted copy counts. Stretches of one file are the same if they overlap.

    Args:
      clips: list of `Clip` with split, end and sha256.
      drop: leave them out, and log each: of a sound under two labels every clip; of
        one in two splits the copies that are not in the last of train, valid, test.

    Returns:
      list of the other clips, in order.

    Raises:
      ValueError: lists all of them, unless drop.
    """
    dropped, lines = set(), []
    for same in _copies(clips):
        labels = sorted({clip.label for clip in same})
        splits = [s for s in SPLITS if s in {clip.split for clip in same}]
        if len(labels) > 1:
            dropped.update(same)
            lines.append(_line(same, f"is under {len(labels)} labels"))
        elif len(splits) > 1:
            dropped.update(clip for clip in same if clip.split != splits[-1])
            lines.append(_line(same, f"is in {len(splits)} splits"))
    if lines and not drop:
        raise ValueError(
            f"{len(lines)} sound(s) occur in two splits or under two labels:\n"
            + "\n".join(lines)
            + "\nRemove or relabel them, or set config.data.drop_leaks=True to leave "
            "out what would leak."
        )
    if lines:
        gone = "\n".join(f"  {clip.path}" for clip in clips if clip in dropped)
        log.warning(
            "%d sound(s) occur in two splits or under two labels:\n%s\n"
            "leaving out %d clip(s):\n%s",
            len(lines),
            "\n".join(lines),
            len(dropped),
            gone,
        )
    return [clip for clip in clips if clip not in dropped]


def _copies(clips):
    """Groups of clips that share samples."""
    by_sound = {}
    for clip in clips:
        by_sound.setdefault(clip.sha256, []).append(clip)
    for same in by_sound.values():
        group, end_s = [], 0.0
        for clip in sorted(same, key=lambda clip: clip.start_s):
            if group and clip.start_s >= end_s:
                yield group
                group = []
            group.append(clip)
            end_s = max(end_s, clip.end_s) if len(group) > 1 else clip.end_s
        yield group


def _line(same, what):
    places = "\n".join(
        f"    {clip.path} {clip.start_s:g}–{clip.end_s:g} s: {clip.label}, {clip.split}"
        for clip in same
    )
    return f"  the same sound {what}:\n{places}"
