"""A trained student as `streaming` wants it."""

import jax
import numpy as np

from distill_jax import streaming, student
from distill_jax.data import labelled
from distill_jax.models import sliding

# Clips at a time: one shape, compiled once.
BATCH = 128


def chosen_word(labels, word):
    """Index of the wake word.

    Args:
      labels: all that the network tells apart.
      word: the one to listen for; "" where there is only one.

    Raises:
      ValueError: it has to be said which, or there is no such word.
    """
    words = [
        each for each in labels if each not in (labelled.UNKNOWN, labelled.SILENCE)
    ]
    if not word and len(words) == 1:
        return labels.index(words[0])
    if word not in words:
        asked = f"has no word {word!r}" if word else "knows several words"
        raise ValueError(f"the network {asked}; choose --word of {', '.join(words)}")
    return labels.index(word)


def scorer(trained, word):
    """A `streaming.Scorer` of a student, for the word of that index."""
    variables = jax.device_put(trained.variables)
    apply = jax.jit(lambda variables, x_btf: trained.module.apply(variables, x_btf)[0])

    def score(feature_btf):
        return probabilities(apply(variables, feature_btf))[:, word]

    along = None
    if sliding.supports(trained.module):
        slide = sliding.along(trained.module, trained.variables)

        def along(feature_tf, step):
            return probabilities(slide(feature_tf, step))[:, word]

    front = trained.front
    return streaming.Scorer(
        lambda audio_bs: student.features(trained, audio_bs),
        score,
        front.rate_hz,
        front.window,
        front.hop,
        trained.module.size[0],
        along,
    )


def classifier(trained):
    """audio_bs -> probability_bc of a student; any batch."""
    variables = jax.device_put(trained.variables)

    @jax.jit
    def logits(variables, audio_bs):
        feature_btf = student.features(trained, audio_bs)
        return trained.module.apply(variables, feature_btf)[0]

    def classify(audio_bs):
        found = []
        for start in range(0, len(audio_bs), BATCH):
            part_bs = np.asarray(audio_bs[start : start + BATCH], np.float32)
            padded_bs = np.pad(part_bs, ((0, BATCH - len(part_bs)), (0, 0)))
            found.append(logits(variables, padded_bs)[: len(part_bs)])
        return probabilities(np.concatenate(found))

    return classify


def probabilities(logits_bc):
    """Softmax in double precision, where sure scores still differ from 1."""
    logits_bc = np.asarray(logits_bc, np.float64)
    odds_bc = np.exp(logits_bc - logits_bc.max(axis=1, keepdims=True))
    return odds_bc / odds_bc.sum(axis=1, keepdims=True)
