"""Weights as small integers, and batch norm folded into them.

With one scale for every output channel, symmetric about zero, folding and rounding can
be done in any order: a factor moves into the scale, its sign into the integers. So the
raw kernel is rounded and batch norm stays as it is until the integers are written down.
"""

import jax
import jax.numpy as jnp
from jax import lax

from distill_jax.models.layers import BatchNorm

BITS = range(2, 9)
# Stands for the scale of weights that are all zero, and for a gain of zero.
TINY = 1e-9


@jax.custom_jvp
def rounded(x):
    """Nearest whole number, half to even; its gradient is that of x."""
    return jnp.round(x)


@rounded.defjvp
def _rounded_jvp(primals, tangents):
    return rounded(*primals), tangents[0]


@jax.custom_jvp
def rounded_up(x):
    """Nearest whole number, half upwards; its gradient is that of x."""
    return jnp.floor(x + 0.5)


@rounded_up.defjvp
def _rounded_up_jvp(primals, tangents):
    return rounded_up(*primals), tangents[0]


def check_bits(bits):
    """Raises ValueError unless weights can have so many bits."""
    if bits not in BITS:
        raise ValueError(
            f"bits is {bits!r}, expected one of {', '.join(map(str, BITS))}"
        )


def weights(kernel, bits, each=True):
    """Weights as whole numbers about zero.

    Args:
      kernel: the last axis is that of the outputs.
      bits: 8 gives -127 to 127, 4 gives -7 to 7.
      each: a scale for each output; else one for all.

    Returns:
      Whole numbers in float32 of the kernel's shape; float32 scales, [o] or scalar, to
      which no gradient flows.
    """
    axes = tuple(range(kernel.ndim - 1)) if each else None
    most = 2 ** (bits - 1) - 1
    largest = lax.stop_gradient(jnp.max(jnp.abs(kernel), axis=axes))
    scale = jnp.maximum(largest, TINY) / most
    finer = along(1 / scale, kernel) if each else 1 / scale
    return rounded(kernel * finer), scale


def along(value_o, like):
    """A value for each channel, shaped to go with an array whose last axis they are."""
    return value_o.reshape((1,) * (like.ndim - 1) + value_o.shape)


def affine(norm, mean_o, var_o):
    """Batch norm as a factor and an addend for each channel, both [o].

    Args:
      norm: `scale` and `bias`, the parameters of `layers.BatchNorm`.
      mean_o: what it takes off.
      var_o: what it divides by the root of.
    """
    gain_o = norm["scale"] * lax.rsqrt(var_o + BatchNorm.epsilon)
    return gain_o, norm["bias"] - mean_o * gain_o


def folded(scale_in, scale_o, norm):
    """Batch norm after whole-number weights, as signs, scales and biases.

    Args:
      scale_in: of the codes that go in, scalar.
      scale_o: of the weights.
      norm: gain_o and shift_o, see `affine`.

    Returns:
      1 or -1 to multiply the weights with, their new scales, and the addends in steps
      of `scale_in` times these, not yet rounded; each [o].
    """
    gain_o, shift_o = norm
    scale_o = scale_o * jnp.maximum(jnp.abs(gain_o), TINY)
    sign_o = jnp.where(gain_o < 0, -1.0, 1.0)
    return sign_o, scale_o, shift_o / (scale_in * scale_o)
