"""The recordings of a corpus, decoded once, as stretches of one long array."""

import functools
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from distill_jax import folders
from distill_jax.audio import files
from distill_jax.data import pipeline
from distill_jax.data.manifest import threaded


class Recordings(NamedTuple):
    """All recordings of a corpus, one after the other in one file.

    Attributes:
      path: of a float32 array [s] that can be mapped.
      rate_hz: its sampling rate.
      places: {sha256: (first sample, samples)}.
    """

    path: str
    rate_hz: int
    places: dict


def prepare(corpus, rate_hz, cache):
    """Decodes and resamples the recordings of a corpus once, into one file.

    Args:
      corpus: `Corpus`.
      rate_hz: sampling rate of the result.
      cache: folder for it; a whole file of the same recordings is used again.

    Returns:
      `Recordings`.

    Raises:
      OSError: the disk has no room for it, told beforehand, or fills up meanwhile.
      ValueError: a file changed since it was checked.
    """
    folder = Path(cache) / f"labelled_{rate_hz}"
    folder.mkdir(parents=True, exist_ok=True)
    sounds = [file.sha256 for file in corpus.files]
    path = folder / f"{hashlib.sha256(' '.join(sounds).encode()).hexdigest()[:24]}.f32"
    sizes = [
        files.length(round(file.seconds * file.rate_hz), file.rate_hz, rate_hz)
        for file in corpus.files
    ]
    if not path.exists() or path.stat().st_size != 4 * sum(sizes):
        _write(path, sizes, corpus.files, rate_hz)
    firsts = (np.cumsum(sizes) - sizes).tolist()
    places = zip(firsts, sizes, strict=True)
    return Recordings(str(path), rate_hz, dict(zip(sounds, places, strict=True)))


def noise(corpus, split, recordings):
    """Background noise of one split as one array, float32 [s]; empty if there is none.

    Args:
      corpus: `Corpus`.
      split: "train", "valid" or "test".
      recordings: from `prepare`.
    """
    audio_s = mapped(recordings.path)
    ranges = [stretch(clip, recordings) for clip in corpus.noise if clip.split == split]
    parts = [audio_s[start : start + length] for start, length in ranges]
    return np.concatenate([np.zeros(0, np.float32), *parts])


def _write(path, sizes, corpus_files, rate_hz):
    pipeline.need_space(path.parent, sizes)
    todo = [(file.path, rate_hz) for file in corpus_files]
    with folders.replacing(path) as whole:
        decoded = threaded(_decode, todo, "preparing audio")
        for file, size, audio_s in zip(corpus_files, sizes, decoded, strict=True):
            if len(audio_s) != size:
                raise ValueError(
                    f"{file.path} changed since it was checked; start again"
                )
            whole.write(audio_s.tobytes())


def _decode(item):
    return files.read(*item)


def stretch(clip, recordings):
    """First sample and number of samples of a clip."""
    first, samples = recordings.places[clip.sha256]
    start = min(round(clip.start_s * recordings.rate_hz), samples - 1)
    end = min(round(clip.end_s * recordings.rate_hz), samples)
    return first + start, max(end - start, 1)


@functools.lru_cache(maxsize=16)
def mapped(path):
    """The samples of all recordings, [s], read as they are used."""
    return np.memmap(path, np.float32, "r")
