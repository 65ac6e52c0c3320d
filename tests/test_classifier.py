import numpy as np
import pytest

from distill_jax import classifier, streaming
from distill_jax.audio import front_end

FRONT = front_end.FrontEnd(window=30, hop=20, rate_hz=1000)


def loudness(feature_btf):
    """Logits: how loud, and nothing."""
    loud_b = np.abs(feature_btf).max(axis=(1, 2))
    return np.stack([loud_b, np.zeros_like(loud_b)], axis=1)


def frames_of(audio_bs):
    view_bnf = np.lib.stride_tricks.sliding_window_view(audio_bs, FRONT.window, 1)
    return view_bnf[:, :: FRONT.hop]


KNOWN = classifier.Classifier(
    "run", "sums", ("on", "unknown"), FRONT, 110, 5, frames_of, loudness
)


def test_probabilities_tell_sure_scores_from_1_and_add_up():
    sure_bc = classifier.probabilities(np.float32([[30, 0], [-1e4, 1e4]]))
    assert 0 < 1 - sure_bc[0, 0] < 1e-12
    np.testing.assert_array_equal(sure_bc.sum(axis=1), 1)


def test_word_is_chosen_where_it_is_the_only_one():
    assert classifier.chosen_word(("unknown", "on"), "") == 1
    assert classifier.chosen_word(("on", "off"), "off") == 1
    with pytest.raises(ValueError, match="knows several words; choose --word of on, o"):
        classifier.chosen_word(("on", "off"), "")
    with pytest.raises(ValueError, match="has no word 'up'"):
        classifier.chosen_word(("on", "off"), "up")


def test_scorer_is_of_the_word_that_is_asked_for():
    audio_s = np.random.default_rng(0).normal(size=500).astype(np.float32)
    one, other = (classifier.scorer(KNOWN, word) for word in (0, 1))
    score_n, at_n = streaming.scores(one, audio_s, 1)
    expected = np.abs(audio_s[at_n[3] - 110 : at_n[3]]).max()
    assert score_n[3] == pytest.approx(1 / (1 + np.exp(-expected)))
    np.testing.assert_allclose(streaming.scores(other, audio_s, 1)[0], 1 - score_n)


def test_scorer_slides_along_where_the_network_can():
    known = KNOWN._replace(along=lambda x_tf, step: np.tile([0.0, 1.0], (99, 1)))
    score_n, _ = streaming.scores(classifier.scorer(known, 1), np.zeros(200), 1)
    np.testing.assert_allclose(score_n, 1 / (1 + np.exp(-1)))
    assert classifier.scorer(KNOWN, 0).along is None
