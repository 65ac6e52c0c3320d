import jax
import jax.numpy as jnp
import numpy as np
import pytest

from distill_jax import losses


def test_mean_leaves_out_examples_without_weight():
    found = losses.mean(jnp.array([1.0, 2.0, 100.0]), jnp.array([1.0, 3.0, 0.0]))
    np.testing.assert_allclose(found, 1.75)
    assert losses.mean(jnp.array([5.0]), jnp.array([0.0])) == 0


def test_l1_is_the_mean_of_each_example():
    one_bft = jnp.zeros((2, 2, 2))
    two_bft = jnp.array([[[1.0, -1.0], [3.0, 3.0]], [[0.0, 0.0], [0.0, 4.0]]])
    np.testing.assert_allclose(losses.l1(one_bft, two_bft), [2.0, 1.0])


def test_weighted_l1_does_not_depend_on_the_scale_of_the_weights():
    rng = np.random.default_rng(0)
    one_bft, two_bft, weight_bft = rng.uniform(0, 1, (3, 4, 5, 6)).astype(np.float32)
    found_b = losses.weighted_l1(one_bft, two_bft, weight_bft)
    expected_b = [
        np.average(np.abs(one - two), weights=weight)
        for one, two, weight in zip(one_bft, two_bft, weight_bft, strict=True)
    ]
    np.testing.assert_allclose(found_b, expected_b, rtol=1e-5)
    again_b = losses.weighted_l1(one_bft, two_bft, 1000 * weight_bft)
    np.testing.assert_allclose(found_b, again_b, rtol=1e-5)


def test_weighted_l1_of_silence_is_zero_and_so_is_its_gradient():
    zero_bft = jnp.zeros((1, 2, 2))
    value, gradient = jax.value_and_grad(
        lambda x_bft: losses.weighted_l1(x_bft, zero_bft, zero_bft).sum()
    )(jnp.ones((1, 2, 2)))
    assert value == 0 and not gradient.any()


def test_kl_agrees_with_its_integral():
    mean, log_var = 0.7, -0.9
    x_n = np.linspace(-20, 20, 400_001)
    deviation = np.exp(log_var / 2)
    log_q_n = -0.5 * ((x_n - mean) / deviation) ** 2 - np.log(deviation)
    density_n = np.exp(log_q_n) / np.sqrt(2 * np.pi)
    integral = np.trapezoid(density_n * (log_q_n + 0.5 * x_n**2), x_n)
    found = losses.kl_normal(jnp.array([[mean]]), jnp.array([[log_var]]))
    np.testing.assert_allclose(found[0, 0], integral, rtol=1e-5)


def test_kl_is_zero_at_the_prior_only():
    assert losses.kl_normal(jnp.zeros((1, 1)), jnp.zeros((1, 1)))[0, 0] == 0
    rng = np.random.default_rng(1)
    mean_bz, log_var_bz = rng.normal(size=(2, 50, 4)).astype(np.float32)
    assert (losses.kl_normal(mean_bz, log_var_bz) > 0).all()


def test_free_bits_floors_the_batch_mean_of_each_latent():
    kl_bz = jnp.array([[0.0, 2.0], [0.1, 4.0]])
    found_b = losses.free_bits(kl_bz, jnp.ones(2), 0.1)
    np.testing.assert_allclose(found_b, [2.1, 4.1])
    np.testing.assert_allclose(found_b.mean(), max(0.1, 0.05) + max(0.1, 3.0))


def test_free_bits_leave_quiet_latents_alone():
    def total(kl_bz):
        return losses.free_bits(kl_bz, jnp.ones(2), 0.1).sum()

    gradient_bz = jax.grad(total)(jnp.array([[0.0, 2.0], [0.1, 4.0]]))
    np.testing.assert_allclose(gradient_bz, [[0, 1], [0, 1]])


@pytest.mark.parametrize("seed", range(5))
def test_no_term_is_negative(seed):
    rng = np.random.default_rng(seed)
    one_bft, two_bft = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    weight_bft = rng.uniform(size=(3, 4, 5)).astype(np.float32)
    assert (losses.l1(one_bft, two_bft) >= 0).all()
    assert (losses.weighted_l1(one_bft, two_bft, weight_bft) >= 0).all()
