"""A trained student as `streaming` wants it."""

import jax

from distill_jax import streaming, student
from distill_jax.data import labelled
from distill_jax.models import sliding


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
        return student.probabilities(apply(variables, feature_btf))[:, word]

    along = None
    if sliding.supports(trained.module):
        slide = sliding.along(trained.module, trained.variables)

        def along(feature_tf, step):
            return student.probabilities(slide(feature_tf, step))[:, word]

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
