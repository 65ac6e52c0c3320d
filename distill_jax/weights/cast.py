"""Changes the dtype of numbers, and refuses where that would change their meaning."""

import jax.numpy as jnp
import numpy as np


def cast(array, dtype, name):
    """An array in another dtype.

    Args:
      array: numpy array.
      dtype: of the result.
      name: of the tensor, for messages.

    Returns:
      The same array if it has that dtype already.

    Raises:
      ValueError: a number is too large for the dtype.
    """
    dtype = np.dtype(dtype)
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore", invalid="ignore"):
        new = array.astype(dtype)
    if _may_overflow(array.dtype, dtype) and _lost(array, new):
        raise ValueError(
            f"{name} has numbers that {dtype} cannot hold (up to "
            f"{np.abs(array).max()}); load it as {array.dtype} or as bfloat16"
        )
    return new


def _may_overflow(old, new):
    if jnp.issubdtype(old, jnp.floating) and jnp.issubdtype(new, jnp.floating):
        return jnp.finfo(old).max > jnp.finfo(new).max
    return True


def _lost(old, new):
    if jnp.issubdtype(new.dtype, jnp.floating):
        return bool((np.isinf(new) & np.isfinite(old)).any())
    return bool((new != old).any())
