import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_job

from distill_jax import losses, sharding, step, train

RNG = np.random.default_rng(0)
BATCH = {
    "x_bi": RNG.normal(size=(12, 3)).astype(np.float32),
    "y_b": RNG.normal(size=12).astype(np.float32),
    "weight_b": RNG.uniform(0, 1, 12).astype(np.float32) * (np.arange(12) > 1),
}
WEIGHT = jnp.array([0.5, -1.0, 2.0])


def learn(state, batch, rng):
    """A regression whose state counts how often it was asked, with which key."""

    def loss_fn(weight_i):
        error_b = jnp.square(batch["x_bi"] @ weight_i - batch["y_b"])
        shown = {
            "error": losses.mean(error_b, batch["weight_b"]),
            "large_n": jnp.bincount(jnp.int32(error_b > 1), length=2),
        }
        asked, drawn = state
        drawn += jax.random.uniform(rng)
        return losses.mean(error_b, batch["weight_b"]), ((asked + 1, drawn), shown)

    return jax.value_and_grad(loss_fn, has_aux=True)(WEIGHT)


@pytest.mark.parametrize("parts", [1, 2, 3, 12])
def test_parts_of_a_batch_teach_what_the_whole_does(parts):
    state, rng = (jnp.int32(0), jnp.float32(0)), jax.random.key(0)
    whole = learn(state, BATCH, rng)
    found = jax.jit(step.accumulated(learn, parts))(state, BATCH, rng)
    (loss, ((asked, drawn), shown)), grads = found
    np.testing.assert_allclose(loss, whole[0][0], rtol=1e-6)
    np.testing.assert_allclose(shown["error"], loss, rtol=1e-6)
    np.testing.assert_allclose(grads, whole[1], rtol=1e-5)
    np.testing.assert_array_equal(shown["large_n"], whole[0][1][1]["large_n"])
    draws = [jax.random.uniform(jax.random.fold_in(rng, n)) for n in range(parts)]
    expected = jax.random.uniform(rng) if parts == 1 else sum(draws)
    assert asked == parts
    np.testing.assert_allclose(drawn, expected, rtol=1e-6)


def test_a_batch_without_weight_teaches_nothing():
    batch = BATCH | {"weight_b": np.zeros(12, np.float32)}
    state = jnp.int32(0), jnp.float32(0)
    (loss, _), grads = step.accumulated(learn, 3)(state, batch, jax.random.key(0))
    assert loss == 0 and not grads.any()


@pytest.mark.parametrize(("batch", "parts"), [(12, 1), (16, 4), (16, 0)])
def test_batch_that_the_devices_cannot_share_is_refused(batch, parts):
    config = tiny_job.config(batch=batch, accumulate=parts)
    with pytest.raises(ValueError, match=rf"batch is {batch} .*accumulate {parts}"):
        train.prepare(config, tiny_job.make(config), sharding.mesh())
