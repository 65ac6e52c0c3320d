import jax
import jax.numpy as jnp
import numpy as np
import pytest

from distill_jax import sharding
from distill_jax.audio import transforms

RNG = np.random.default_rng(0)
SIGNAL = RNG.normal(size=(8, 3, 30)).astype(np.float32)
PAIRS = [(transforms.rfft, jnp.fft.rfft), (transforms.irfft, jnp.fft.irfft)]


def operand(ours):
    spectrum = np.fft.rfft(SIGNAL).astype(np.complex64)
    return SIGNAL if ours is transforms.rfft else spectrum


def loud(transform, size):
    """Something to differentiate, which hears phases too."""
    return lambda array: jnp.sum(jnp.abs(transform(array, size) - 1.0))


@pytest.mark.parametrize("size", [None, 20])
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_transforms_and_their_gradients_are_those_of_jax(ours, theirs, size):
    array = operand(ours)
    np.testing.assert_array_equal(ours(array, size), theirs(array, size))
    found = jax.grad(loud(ours, size))(array)
    wanted = jax.grad(loud(theirs, size))(array)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    mapped = jax.vmap(jax.grad(loud(ours, size)), in_axes=1, out_axes=1)(array)
    np.testing.assert_allclose(mapped, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_each_device_transforms_its_own_examples(ours, theirs):
    array = operand(ours)
    placed = sharding.place(sharding.mesh(fsdp=2), {"x": array})["x"]
    both = jax.jit(jax.value_and_grad(loud(ours, None))).lower(placed).compile()
    program = both.as_text()
    assert "[1,3," in program and "all-gather" not in program
    found, wanted = both(placed), jax.value_and_grad(loud(theirs, None))(array)
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-6)
    np.testing.assert_allclose(found[1], wanted[1], rtol=1e-5, atol=1e-5)


def test_a_cut_last_axis_is_made_whole():
    mesh = sharding.mesh(fsdp=4)
    spec = jax.sharding.PartitionSpec("data", None, "fsdp")
    signal = jnp.asarray(np.pad(SIGNAL, ((0, 0), (0, 0), (0, 2))))
    cut = jax.device_put(signal, jax.sharding.NamedSharding(mesh, spec))
    found = jax.jit(transforms.rfft)(cut)
    np.testing.assert_allclose(found, np.fft.rfft(signal), rtol=1e-5, atol=1e-5)
