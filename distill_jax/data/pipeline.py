"""From checked sound files to batches addressed by step."""

import functools
import logging
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np

from distill_jax.audio import files
from distill_jax.data import stream
from distill_jax.data.manifest import threaded
from distill_jax.data.stream import ALONE, Loading

__all__ = [
    "ALONE",
    "Loading",
    "Source",
    "mapped",
    "need_space",
    "prepare",
    "read_window",
    "source",
    "train_stream",
    "valid_batches",
    "windows",
]

log = logging.getLogger(__name__)


class Source(NamedTuple):
    """Windows of audio in prepared files.

    Attributes:
      files: tuple of paths to float32 arrays, as `prepare` makes them.
      length_n: int64, samples of every file.
      window_nk: int64 [windows, 2], file and first sample of every window.
      window: samples of a window.
      hop: samples between the starts of neighbouring windows.
    """

    files: tuple[str, ...]
    length_n: np.ndarray
    window_nk: np.ndarray
    window: int
    hop: int


def prepare(clips, rate_hz, cache):
    """Decodes and resamples every clip once into a file that can be mapped.

    Args:
      clips: list of usable manifest.Clip.
      rate_hz: sampling rate of the result.
      cache: folder for the results, `audio_<rate>/<sha256>.npy`. Files that are
        whole are used again; equal sounds share one.

    Returns:
      list of paths, one per clip, each a float32 array [s].

    Raises:
      OSError: the disk has no room for what has to be written, told beforehand,
        or it fills up meanwhile.
      ValueError: a file changed since it was checked and cannot be decoded.
    """
    folder = Path(cache) / f"audio_{rate_hz}"
    folder.mkdir(parents=True, exist_ok=True)
    work = {}
    for clip in clips:
        size = files.length(round(clip.seconds * clip.rate_hz), clip.rate_hz, rate_hz)
        path = folder / f"{clip.sha256}.npy"
        work[path] = (clip, path, size, rate_hz)
    todo = [item for item in work.values() if not _whole(item[1], item[2])]
    need_space(folder, [size for _, _, size, _ in todo])
    for _ in threaded(_prepare_one, todo, "preparing audio"):
        pass
    return [str(folder / f"{clip.sha256}.npy") for clip in clips]


def windows(lengths, window, hop):
    """Cuts files into windows so that no sample is left out.

    The last window of a file ends where the file ends. A file that is shorter
    than the window gives one, which is filled up with zeros where it is read.

    Args:
      lengths: samples of every file.
      window: samples of a window.
      hop: samples between the starts of neighbouring windows.

    Returns:
      int64 [windows, 2]: file and first sample of every window, in order.

    Raises:
      ValueError: window or hop is not positive, or a hop longer than the window
        would leave samples out.
    """
    if not 0 < hop <= window:
        raise ValueError(
            f"the hop should be between 1 and the window of {window} samples, "
            f"found {hop}"
        )
    pairs = []
    for file, length in enumerate(lengths):
        last = max(0, length - window)
        pairs += [(file, start) for start in (*range(0, last, hop), last)]
    return np.array(pairs, np.int64).reshape(-1, 2)


def source(paths, window, hop):
    """The Source of what `prepare` returned, with such `windows`.

    Raises:
      ValueError: no files; window or hop as `windows` says.
    """
    if not paths:
        raise ValueError("no files to cut windows from; the list of paths is empty")
    length_n = np.array([len(mapped(path)) for path in paths], np.int64)
    return Source(tuple(paths), length_n, windows(length_n, window, hop), window, hop)


def read_window(source, file, start):
    """Audio of one window, float32 [window], zeros after the end of the file."""
    audio_s = mapped(source.files[file])[start : start + source.window]
    return np.pad(audio_s, (0, source.window - len(audio_s)))


def train_stream(source, batch, seed, loading=ALONE):
    """Endless shuffled windows, moved by up to half a hop.

    Every epoch has another order and other shifts. A batch depends on seed and
    step alone: not on workers, processes, or the step that was started from.

    Args:
      source: Source.
      batch: examples per step over all processes.
      seed: int.
      loading: Loading.

    Returns:
      (start) -> iterator over the batches of step start, start + 1, …; each a
      dictionary of `audio_bs` float32, `weight_b` float32 ones and `clip_b`
      int32, the index of the file. Close it to stop its threads and workers.

    Raises:
      ValueError: the batch cannot be shared equally by the processes.
    """
    example = functools.partial(_train_example, source, loading.gain_db)
    return stream.endless(len(source.window_nk), example, (batch, seed), loading)


def valid_batches(source, batch, loading=ALONE):
    """All windows once, in order and as they are.

    Args:
      source: Source.
      batch: examples per step over all processes.
      loading: Loading; its gain and workers are not used.

    Returns:
      () -> iterator over batches like those of `train_stream`. The last one is
      filled up with copies of the last window with a weight of 0.

    Raises:
      ValueError: the batch cannot be shared equally by the processes.
    """
    example = functools.partial(_valid_example, source)
    return stream.once(len(source.window_nk), example, batch, loading)


def _train_example(source, gain_db, index, rng):
    file, start = source.window_nk[index]
    last = max(0, source.length_n[file] - source.window)
    shift = rng.integers(-(source.hop // 2), source.hop // 2, endpoint=True)
    gain = 10 ** (rng.uniform(-gain_db, gain_db) / 20)
    audio_s = read_window(source, file, int(np.clip(start + shift, 0, last)))
    return _example(audio_s * np.float32(gain), 1.0, file)


def _valid_example(source, index, weight):
    file, start = source.window_nk[index]
    return _example(read_window(source, file, start), weight, file)


def _example(audio_s, weight, file):
    return {
        "audio_bs": audio_s,
        "weight_b": np.float32(weight),
        "clip_b": np.int32(file),
    }


@functools.lru_cache(maxsize=1024)
def mapped(path):
    """The array in a file, mapped into memory."""
    return np.load(path, mmap_mode="r")


def _whole(path, size):
    try:
        return np.load(path, mmap_mode="r").shape == (size,)
    except (OSError, EOFError, ValueError):  # Absent, cut off, not an array.
        return False


def need_space(folder, sizes):
    """Refuses to prepare float32 sounds of so many samples where they do not fit.

    Raises:
      OSError: less is free in the folder than they take.
    """
    needed = sum(4 * size + 128 for size in sizes)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"preparing {len(sizes)} sound files writes {needed:,} bytes to {folder}, "
            f"where {free:,} are free; free some space or choose another cache folder"
        )
    if sizes:
        log.info("Preparing %d files: %.1f MB in %s", len(sizes), needed / 1e6, folder)


def _prepare_one(item):
    clip, path, size, rate_hz = item
    audio_s = files.read(clip.path, rate_hz)
    if len(audio_s) != size:
        raise ValueError(f"{clip.path} changed since it was checked; start again")
    with files.replacing(path) as file:
        np.save(file, audio_s)
