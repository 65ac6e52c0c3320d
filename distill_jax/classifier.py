"""A keyword network as those who listen with it need it, in whatever arithmetic."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from distill_jax import streaming
from distill_jax.audio import front_end

# Labels that are not words.
UNKNOWN, SILENCE = "unknown", "silence"
BATCH = 64  # windows that are scored at a time


class Classifier(NamedTuple):
    """A network to be asked.

    Attributes:
      name: of its run.
      arithmetic: what it computes with, for people.
      labels: the words, in the order of the classes.
      front: settings of the features.
      samples: length of a window.
      frames: of a window.
      features: audio_bs -> feature_btf, what `logits` takes: numbers, or their codes;
        frame i is made of the samples from i·hop on.
      logits: feature_btf -> logits_bc of windows, any number of them.
      along: feature_tf, step -> logits_nc of all windows of a long recording; None
        asks `logits` about each.
      chosen: {"word", "threshold", "listening", "arithmetic"}, what `evaluate` found;
        None where it was not asked.
    """

    name: str
    arithmetic: str
    labels: tuple[str, ...]
    front: front_end.FrontEnd
    samples: int
    frames: int
    features: Callable
    logits: Callable
    along: Callable | None = None
    chosen: dict[str, Any] | None = None


def probabilities(logits_bc):
    """Softmax in double precision, where sure scores still differ from 1, [b, c]."""
    logits_bc = np.asarray(logits_bc, np.float64)
    odds_bc = np.exp(logits_bc - logits_bc.max(axis=1, keepdims=True))
    return odds_bc / odds_bc.sum(axis=1, keepdims=True)


def scores(known, audio_bs):
    """Probability of every label in every window.

    Args:
      known: `Classifier`.
      audio_bs: full scale 1, at the rate of its front end, [b, `known.samples`].

    Returns:
      numpy float64 [b, labels].

    Raises:
      ValueError: the windows have another length.
    """
    if audio_bs.ndim != 2 or audio_bs.shape[1] != known.samples:
        raise ValueError(
            f"the windows have shape {audio_bs.shape}, expected ('b', "
            f"{known.samples}): {known.samples / known.front.rate_hz:g} s at "
            f"{known.front.rate_hz} Hz; cut or pad them"
        )
    parts = [np.zeros((0, len(known.labels)))]
    for start in range(0, len(audio_bs), BATCH):
        part_bs = np.asarray(audio_bs[start : start + BATCH], np.float32)
        # One shape, compiled once.
        padded_bs = np.pad(part_bs, ((0, BATCH - len(part_bs)), (0, 0)))
        logits_bc = known.logits(known.features(padded_bs))
        parts.append(probabilities(logits_bc)[: len(part_bs)])
    return np.concatenate(parts)


def chosen_word(labels, word):
    """Index of the wake word.

    Args:
      labels: all that the network tells apart.
      word: the one to listen for; "" where there is only one.

    Raises:
      ValueError: it has to be said which, or there is no such word.
    """
    words = [each for each in labels if each not in (UNKNOWN, SILENCE)]
    if not word and len(words) == 1:
        return labels.index(words[0])
    if word not in words:
        asked = f"has no word {word!r}" if word else "knows several words"
        raise ValueError(f"the network {asked}; choose --word of {', '.join(words)}")
    return labels.index(word)


def scorer(known, word):
    """A `streaming.Scorer` of a `Classifier`, for the word of that index."""

    def of_word(ask):
        return lambda *given: probabilities(ask(*given))[:, word]

    return streaming.Scorer(
        known.features,
        of_word(known.logits),
        known.front.rate_hz,
        known.front.window,
        known.front.hop,
        known.frames,
        known.along and of_word(known.along),
    )
