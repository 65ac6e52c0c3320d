"""From a corpus of labelled recordings to batches addressed by step."""

import functools
from typing import NamedTuple

import numpy as np

from distill_jax.data import stream
from distill_jax.data.labelled import mixture
from distill_jax.data.labelled.clips import SILENCE, UNKNOWN, UNLABELLED
from distill_jax.data.labelled.recordings import mapped, stretch
from distill_jax.data.stream import ALONE

# Loudness of stretches is compared in blocks of so many seconds.
BLOCK_SECONDS = 0.01


class Examples(NamedTuple):
    """The clips of one split as stretches of samples.

    Attributes:
      path: of the float32 array they are in.
      start_n: int64, first sample of every clip.
      length_n: int64, samples of every clip.
      label_n: int32, index of its label; -1 of clips that are unlabelled.
      weight_c: float32, `weight_b` of a training example of each label.
      proportion_c: float, how much of the stream each label is to be.
      silence: index of the label whose examples get a random gain; -1 is none.
      window: samples of an example.
    """

    path: str
    start_n: np.ndarray
    length_n: np.ndarray
    label_n: np.ndarray
    weight_c: np.ndarray
    proportion_c: np.ndarray
    silence: int
    window: int


class Views(NamedTuple):
    """So many fixed variations of every clip, to be shown again and again.

    Attributes:
      seed_nk: uint32, what the augmentation of each is drawn from, [clips, views].
      chance_nk2: float32 in [0, 1), where a long clip is cut and how loud silence is.
    """

    seed_nk: np.ndarray
    chance_nk2: np.ndarray


def views(examples, count, seed):
    """Draws `Views` of all examples.

    Args:
      examples: `Examples`.
      count: views of each.
      seed: int.
    """
    rng = np.random.default_rng(seed)
    shape = len(examples.label_n), count
    return Views(
        rng.integers(0, 2**32, shape, np.uint32), rng.random((*shape, 2), np.float32)
    )


def examples(corpus, split, recordings, window):
    """The clips of one split, or of several.

    Of a clip longer than the window the loudest stretch is taken, in which a word is
    likely; "unknown" and "silence" to train on are cut at random every time instead.

    Args:
      corpus: `Corpus`.
      split: "train", "valid", "test" or "unlabelled", or a tuple of them.
      recordings: from `prepare`.
      window: samples of an example.

    Returns:
      `Examples`.

    Raises:
      ValueError: the corpus has no such clip.
    """
    names = (split,) if isinstance(split, str) else split
    # In the order of the corpus, whichever of them are labelled.
    clips = [clip for clip in corpus.clips if clip.split in names]
    if not clips:
        raise ValueError(f"the corpus has no clip of the split {split!r}")
    audio_s = mapped(recordings.path)
    ranges = []
    for clip in clips:
        start, length = stretch(clip, recordings)
        training = clip.split in ("train", UNLABELLED)
        if not (training and clip.label in (UNKNOWN, SILENCE)):
            start, length = _loudest(audio_s, start, length, (window, recordings))
        ranges.append((start, length))
    start_n, length_n = np.array(ranges, np.int64).T
    labels = list(corpus.labels)
    return Examples(
        recordings.path,
        start_n,
        length_n,
        np.array([_label(clip, labels) for clip in clips], np.int32),
        np.array(corpus.weights, np.float32),
        np.array(corpus.proportions),
        labels.index(SILENCE) if SILENCE in labels else -1,
        window,
    )


def quiet(examples):
    """Which examples get a random gain: those of "silence", [clips]."""
    return (examples.label_n >= 0) & (examples.label_n == examples.silence)


def train_stream(examples, batch, seed, loading=ALONE, fixed=None):
    """Endless shuffled examples, the labels in their proportions.

    Args:
      examples: `Examples`.
      batch: examples per step over all processes.
      seed: int.
      loading: `stream.Loading`; its gain is not used.
      fixed: `Views` to draw from; None draws new variations at every step.

    Returns:
      (start) -> iterator over the batches of step start, start + 1, …; dictionaries of
      `audio_bs` float32, zeros around clips shorter than the window, `label_b` int32,
      `weight_b` float32, `seed_b` uint32 to draw the augmentation from, `mask_seed_b`
      uint32 for what is hidden of the features, and `clip_b` int32, the index of the
      clip; with `fixed` also `view_b` int32. All depend on seed, step and place in the
      batch.

    Raises:
      ValueError: the batch cannot be shared equally by the processes.
    """
    local = stream.local_batch(batch, loading)
    mine = slice(loading.process * local, (loading.process + 1) * local)
    how = batch, seed, mine
    make = functools.partial(_train_batch, (examples, fixed), _kinds(examples), how)
    return stream.by_step(make, workers=loading.workers)


def of_views(examples, fixed, index_b, view_b):
    """A batch of given views of given clips, as `train_stream` makes it.

    Args:
      examples: `Examples`.
      fixed: `Views`.
      index_b: int [b], clips.
      view_b: int [b], which view of each.
    """
    fields = _cut(examples, index_b, fixed.chance_nk2[index_b, view_b].T)
    return fields | {
        "seed_b": fixed.seed_nk[index_b, view_b],
        "view_b": np.int32(view_b),
    }


def valid_batches(examples, batch, loading=ALONE):
    """All examples once and in order, always the same.

    Args:
      examples: `Examples`.
      batch: examples per step over all processes.
      loading: `stream.Loading`; its gain and workers are not used.

    Returns:
      () -> iterator over batches like those of `train_stream`. The last one is filled
      up with copies of the last example with a weight of 0; all others weigh 1.

    Raises:
      ValueError: the batch cannot be shared equally by the processes.
    """
    local = stream.local_batch(batch, loading)
    mine = slice(loading.process * local, (loading.process + 1) * local)
    make = functools.partial(_valid_batch, examples, (batch, mine))
    return stream.by_step(make, -(-len(examples.label_n) // batch))


def _loudest(audio_s, start, length, how):
    window, recordings = how
    if length <= window:
        return start, length
    block = max(1, round(BLOCK_SECONDS * recordings.rate_hz))
    power_n = np.add.reduceat(
        np.square(audio_s[start : start + length], dtype=np.float64),
        np.arange(0, length, block),
    )
    sum_n = np.concatenate([[0.0], np.cumsum(power_n)])
    blocks = window // block
    best = int(np.argmax(sum_n[blocks:] - sum_n[:-blocks]))
    return start + min(best * block, length - window), window


def _train_batch(source, kinds, how, step):
    examples, fixed = source
    batch, seed, mine = how
    place_b = np.arange(step * batch, (step + 1) * batch)[mine]
    index_b = mixture.indices(kinds, seed, place_b)
    # Drawn for all processes: what an example gets does not depend on how many.
    rng = np.random.default_rng((seed, step))
    seed_b = rng.integers(0, 2**32, batch, np.uint32)[mine]
    chance_2b = rng.random((2, batch), np.float32)[:, mine]
    if fixed is None:
        fields = _cut(examples, index_b, chance_2b) | {"seed_b": seed_b}
    else:
        view_b = rng.integers(0, fixed.seed_nk.shape[1], batch)[mine]
        fields = of_views(examples, fixed, index_b, view_b)
    # Hidden anew each time, also of fixed views: the teachers do not see it.
    return fields | {"mask_seed_b": seed_b}


def _cut(examples, index_b, chance_2b):
    """Everything of a training batch but its seeds."""
    place_b, gain_b = chance_2b
    spare_b = np.maximum(0, examples.length_n[index_b] - examples.window)
    audio_bs = _windows(examples, index_b, np.int64(place_b * (spare_b + 1)))
    fields = _fields(examples, index_b, audio_bs, gain_b)
    label_b = fields["label_b"]
    weight_b = np.where(label_b < 0, np.float32(1), examples.weight_c[label_b])
    return fields | {"weight_b": weight_b}


def _valid_batch(examples, how, step):
    batch, mine = how
    place_b = np.arange(step * batch, (step + 1) * batch)[mine]
    index_b = np.minimum(place_b, len(examples.label_n) - 1)
    audio_bs = _windows(examples, index_b, np.zeros_like(index_b))
    gain_b = np.random.default_rng(0).random(len(examples.label_n), np.float32)[index_b]
    weight_b = np.float32(place_b < len(examples.label_n))
    fields = _fields(examples, index_b, audio_bs, gain_b)
    seed_b = np.uint32(index_b)
    return fields | {"weight_b": weight_b, "seed_b": seed_b, "mask_seed_b": seed_b}


def _windows(examples, index_b, skip_b):
    """Clips from so many samples on, in the middle of zeros where they are short.

    So shifts of either direction find room.
    """
    audio_s = mapped(examples.path)
    first_b = examples.start_n[index_b] + skip_b
    length_b = np.minimum(examples.length_n[index_b], examples.window)
    before_b = (examples.window - length_b) // 2
    audio_bs = np.zeros((len(index_b), examples.window), np.float32)
    for window_s, first, length, before in zip(
        audio_bs, first_b, length_b, before_b, strict=True
    ):
        window_s[before : before + length] = audio_s[first : first + length]
    return audio_bs


def _fields(examples, index_b, audio_bs, gain_b):
    label_b = examples.label_n[index_b]
    quiet_n = np.flatnonzero(quiet(examples)[index_b])
    audio_bs[quiet_n] *= gain_b[quiet_n, None]
    return {"audio_bs": audio_bs, "label_b": label_b, "clip_b": np.int32(index_b)}


def _kinds(examples):
    """The clips of each label, with its proportion, and those without a label.

    The latter get as much of the stream as there are of them: to look at their labels
    would tell what is not to be known.
    """
    kinds = [
        mixture.Kind(np.flatnonzero(examples.label_n == label), proportion)
        for label, proportion in enumerate(examples.proportion_c.tolist())
    ]
    hidden_n = np.flatnonzero(examples.label_n < 0)
    if len(hidden_n):
        known = len(examples.label_n) - len(hidden_n)
        share = examples.proportion_c.sum() * len(hidden_n) / known
        kinds.append(mixture.Kind(hidden_n, share))
    return kinds


def _label(clip, labels):
    return -1 if clip.split == UNLABELLED else labels.index(clip.label)
