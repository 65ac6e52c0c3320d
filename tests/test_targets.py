import jax
import numpy as np
import optax
import pytest

from distill_jax.distillation import targets

LOGITS = np.log([[[0.8, 0.2]], [[0.4, 0.6]]])
WEIGHT = np.float64([[0.75], [0.25]])


def test_mean_of_probabilities_is_worked_out_by_hand():
    found_bc = targets.of_probabilities(LOGITS, WEIGHT, 1.0)
    np.testing.assert_allclose(np.exp(found_bc), [[0.7, 0.3]], rtol=1e-6)


def test_mean_of_logits_is_a_product_of_powers():
    odds = 4**0.75 * (2 / 3) ** 0.25
    found_bc = targets.of_logits(LOGITS, WEIGHT, 1.0)
    np.testing.assert_allclose(np.exp(found_bc), [[odds / (1 + odds), 1 / (1 + odds)]])


@pytest.mark.parametrize("mixture", targets.MIXTURES)
def test_one_teacher_is_its_own_mixture(mixture):
    found_bc = targets.MIXTURES[mixture](LOGITS[:1], np.ones((1, 1)), 2.0)
    odds = 2.0
    np.testing.assert_allclose(np.exp(found_bc), [[odds / (1 + odds), 1 / (1 + odds)]])


@pytest.mark.parametrize("mixture", targets.MIXTURES)
def test_a_teacher_without_weight_has_no_say(mixture):
    found_bc = targets.MIXTURES[mixture](LOGITS, np.float64([[1.0], [0.0]]), 1.0)
    np.testing.assert_allclose(np.exp(found_bc), [[0.8, 0.2]], rtol=1e-6)


def test_divergence_is_worked_out_by_hand():
    target_bc, logits_bc = np.log([[0.7, 0.3]]), np.log([[0.5, 0.5]])
    expected = 0.7 * np.log(1.4) + 0.3 * np.log(0.6)
    np.testing.assert_allclose(targets.kl(target_bc, logits_bc, 1.0), [expected])


def test_divergence_agrees_with_optax_times_the_squared_temperature():
    rng = np.random.default_rng(0)
    target_bc = jax.nn.log_softmax(rng.normal(size=(5, 4)))
    logits_bc = rng.normal(size=(5, 4))
    expected_b = 9 * optax.losses.kl_divergence_with_log_targets(
        jax.nn.log_softmax(logits_bc / 3), target_bc
    )
    np.testing.assert_allclose(
        targets.kl(target_bc, logits_bc, 3.0), expected_b, rtol=1e-5
    )


def test_divergence_from_a_certain_target_and_its_gradient_are_finite():
    target_bc = np.float32([[0.0, -np.inf]])
    value, grad_bc = jax.value_and_grad(lambda x: targets.kl(target_bc, x, 1.0).sum())(
        np.float32([[0.0, 0.0]])
    )
    assert value == pytest.approx(np.log(2))
    np.testing.assert_allclose(grad_bc, [[-0.5, 0.5]], rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("fixed", (8, 8, 8)), ("linear", (8, 5, 2)), ("exponential", (8, 4, 2))],
)
def test_temperature_goes_from_the_first_to_the_last(kind, expected):
    at = targets.temperature(kind, 8.0, 2.0, 100)
    np.testing.assert_allclose([at(0), at(50), at(100)], expected, rtol=1e-6)
    np.testing.assert_allclose(at(1000), expected[-1], rtol=1e-6)


@pytest.mark.parametrize(("kind", "last"), [("cosine", 2.0), ("linear", 0.0)])
def test_strange_temperatures_are_refused(kind, last):
    with pytest.raises(ValueError, match="fixed, linear, exponential"):
        targets.temperature(kind, 8.0, last, 100)
