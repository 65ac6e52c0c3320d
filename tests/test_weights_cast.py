import jax.numpy as jnp
import numpy as np
import pytest

from distill_jax.weights.cast import cast


def test_the_same_dtype_is_the_same_array():
    array = np.zeros(3, np.float32)
    assert cast(array, np.float32, "x") is array


@pytest.mark.parametrize("dtype", [jnp.bfloat16, np.float16, np.float64])
def test_floats_are_rounded_and_keep_what_is_not_finite(dtype):
    array = np.array([1 / 3, np.inf, -np.inf, np.nan, 1e-30], np.float32)
    found, expected = cast(array, dtype, "x"), array.astype(dtype)
    assert found.dtype == dtype and found.tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("value", "old", "new"),
    [
        (7e4, np.float32, np.float16),
        (1e39, np.float64, jnp.bfloat16),
        (1e300, np.float64, np.float32),
        (2**40, np.int64, np.int32),
        (-1, np.int32, np.uint8),
    ],
)
def test_what_would_become_another_number_is_refused(value, old, new):
    with pytest.raises(ValueError, match=r"x has numbers that \w+ cannot hold"):
        cast(np.array([0, value], old), new, "x")
