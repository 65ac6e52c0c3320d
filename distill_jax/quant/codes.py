"""Real numbers as 8-bit codes and back."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

LOWEST, HIGHEST = -128, 127
# A factor: XLA makes one of a division by a constant in some programs only.
STEP = np.float32(1 / (HIGHEST - LOWEST))
# Narrower ranges are widened: nothing was seen there but zero.
NARROWEST = 1e-3
# Scales of means are chosen out of so many per octave.
FINEST = 128


class Codes(NamedTuple):
    """How int8 codes stand for numbers: number = scale * (code - zero).

    Attributes:
      scale: float32, the step between two codes.
      zero: the code of zero, -128 to 127.
    """

    scale: np.float32
    zero: int


def scale_and_zero(low, high):
    """Codes of a range, widened to hold zero, which has a code of its own.

    Args:
      low: smallest number, scalar array.
      high: largest, likewise.

    Returns:
      Scale and zero, float32 scalar arrays; traceable by JAX.
    """
    low, high = jnp.minimum(low, 0.0), jnp.maximum(high, 0.0)
    scale = jnp.maximum(high - low, NARROWEST) * STEP
    zero = jnp.clip(jnp.round(LOWEST - low / scale), LOWEST, HIGHEST)
    return scale, zero


def of_range(low, high):
    """The same as `Codes`."""
    scale, zero = scale_and_zero(np.float32(low), np.float32(high))
    return Codes(np.float32(scale), int(zero))


def mean_scale(scale, scale_in, count):
    """The nearest wider scale of a mean at which no mean is half way between codes.

    Runtimes multiply the sum of the codes by factors that differ in the last bit and
    round in ways that differ at ties. With a factor of whole / odd there is no tie:
    2 * sum * whole is even and odd * (2 * code + 1) is not.

    Args:
      scale: of the mean, as its range asks for.
      scale_in: of what the mean is taken of.
      count: of how many.

    Returns:
      float32 scalar array, wider by at most 2 / `FINEST`; traceable by JAX.
    """
    steps = scale * count / scale_in
    whole = jnp.maximum(1.0, jnp.ceil(FINEST / steps))
    odd = 2 * jnp.ceil((steps * whole - 1) / 2) + 1
    return scale_in * odd / (whole * count)


def encode(x, codes):
    """Nearest codes of real numbers, half to even; int8 of the same shape.

    Raises:
      ValueError: some are not finite.
    """
    x = np.asarray(x, np.float32)
    if not np.isfinite(x).all():
        raise ValueError(
            f"{np.sum(~np.isfinite(x))} of {x.size} numbers are not finite and have no "
            "code; look at the sound or the features they come from"
        )
    # By a factor and not a division, as devices do it.
    code = np.rint(x * (np.float32(1) / codes.scale)) + np.float32(codes.zero)
    return np.clip(code, LOWEST, HIGHEST).astype(np.int8)


def decode(code, codes):
    """The numbers that codes stand for, float32 of the same shape."""
    return (code.astype(np.float32) - np.float32(codes.zero)) * codes.scale
