import math

import numpy as np
import pytest

from distill_jax.distillation import certainty


def logits(*rows):
    """Logits of probabilities, [teachers, 1 example, classes]."""
    return np.log(np.float64(rows))[:, None]


def test_entropy_of_known_distributions_is_theirs():
    found_mb = certainty.entropy(logits([0.5, 0.5], [0.25, 0.75]))
    expected = math.log(2), 0.25 * math.log(4) + 0.75 * math.log(4 / 3)
    np.testing.assert_allclose(found_mb[:, 0], expected, rtol=1e-6)


def test_entropy_of_a_certain_teacher_is_zero():
    assert certainty.entropy(np.float32([[[200.0, 0.0, 0.0]]])) == 0


def test_entropy_weights_are_a_softmax_of_the_negative_entropy():
    logits_mbc = logits([0.5, 0.5], [0.25, 0.75])
    odds = np.exp(-np.float64([0.6931472, 0.5623351]) / 0.5)
    np.testing.assert_allclose(
        certainty.by_entropy(logits_mbc, 0.5)[:, 0], odds / odds.sum(), rtol=1e-6
    )


def test_inverse_entropy_saturates_where_entropy_does_not():
    # Entropies 0.0560 and 0.1985 nats.
    logits_mbc = logits([0.99, 0.01], [0.95, 0.05])
    [[first], [second]] = certainty.by_inverse_entropy(logits_mbc, 1.0)
    assert first == pytest.approx(0.999997, abs=5e-7)
    assert second == pytest.approx(2.7e-6, rel=0.02)
    [[first], [second]] = certainty.by_entropy(logits_mbc, 1.0)
    assert first == pytest.approx(1 / (1 + math.exp(-0.142514)), abs=1e-5)
    assert first + second == pytest.approx(1.0)


def test_uniform_weights_are_alike():
    weight_mb = certainty.alike(np.zeros((4, 3, 2)), 1.0)
    np.testing.assert_array_equal(weight_mb, np.full((4, 3), 0.25))


@pytest.mark.parametrize("rule", certainty.RULES)
def test_weights_of_every_example_sum_to_one(rule):
    logits_mbc = 5 * np.random.default_rng(0).normal(size=(3, 7, 4))
    weight_mb = certainty.RULES[rule](logits_mbc, 0.3)
    np.testing.assert_allclose(weight_mb.sum(axis=0), np.ones(7), rtol=1e-6)


def test_weights_are_of_each_example_by_itself():
    logits_mbc = 3 * np.random.default_rng(1).normal(size=(2, 5, 3))
    weight_mb = certainty.by_entropy(logits_mbc, 0.3)
    alone_m1 = certainty.by_entropy(logits_mbc[:, 2:3], 0.3)
    np.testing.assert_allclose(alone_m1[:, 0], weight_mb[:, 2], rtol=1e-6)
