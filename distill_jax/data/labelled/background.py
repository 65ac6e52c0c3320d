"""Background noise: some to train with, other stretches of it to evaluate with."""

import numpy as np

from distill_jax.data.labelled import splits
from distill_jax.data.labelled.clips import SILENCE, SPLITS, Clip

SHARES = (0.8, 0.1, 0.1)
# With so many recordings each is used in one split only; fewer are cut.
ENOUGH_FILES = 10


def parts(files, window_seconds, seed=0):
    """Divides recordings of background noise, so that none is trained and judged on.

    Of fewer than ten recordings the first 80 % are to train with, then 10 % to
    validate and 10 % to test with; ten or more are divided by file.

    Args:
      files: list of usable `manifest.Clip`.
      window_seconds: stretches shorter than this are left out.
      seed: int, decides which file goes where.

    Returns:
      list of `Clip` with label "silence".
    """
    whole = [
        Clip(file.path, SILENCE, end_s=file.seconds, sha256=file.sha256)
        for file in files
    ]
    if len({clip.sha256 for clip in whole}) >= ENOUGH_FILES:
        part = splits.divide(whole, SHARES, seed)
        found = [
            clip._replace(split=SPLITS[part[splits.group(clip)]]) for clip in whole
        ]
    else:
        found = [piece for clip in whole for piece in _cut(clip)]
    return [clip for clip in found if clip.end_s - clip.start_s >= window_seconds]


def windows(noise, count, window_seconds):
    """So many windows, evenly spread over background noise.

    Args:
      noise: list of `Clip`, at least one.
      count: how many.
      window_seconds: their length; they overlap where noise is short.

    Returns:
      list of `Clip`.
    """
    room_n = np.array([clip.end_s - clip.start_s - window_seconds for clip in noise])
    end_n = np.cumsum(np.maximum(room_n, 0.0))
    found = []
    for place in np.linspace(0.0, end_n[-1], count):
        number = min(int(np.searchsorted(end_n, place)), len(noise) - 1)
        clip = noise[number]
        start_s = clip.end_s - window_seconds - (end_n[number] - place)
        start_s = max(float(start_s), clip.start_s)
        found.append(clip._replace(start_s=start_s, end_s=start_s + window_seconds))
    return found


def _cut(clip):
    at_s = clip.end_s * np.cumsum((0.0, *SHARES))
    for number, split in enumerate(SPLITS):
        start_s, end_s = float(at_s[number]), float(at_s[number + 1])
        yield clip._replace(split=split, start_s=start_s, end_s=end_s)
