"""Fourier transforms of real signals, which every device takes of its own examples.

XLA copies the operand of a Fourier transform to all devices and lets each of them do
the work of all; here it is told that rows do not depend on each other. On one device
these are `jnp.fft.rfft` and `jnp.fft.irfft` themselves.
"""

import functools

import jax
import jax.custom_batching
import jax.numpy as jnp
from jax.experimental.custom_partitioning import custom_partitioning
from jax.sharding import NamedSharding, PartitionSpec


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def rfft(signal, size=None):
    """Transform of the last axis.

    Args:
      signal: float32 [..., samples].
      size: the signal is cut or filled up with zeros to it; its length if None.

    Returns:
      complex64 [..., size // 2 + 1].
    """
    return _by_row("rfft", size or signal.shape[-1])(signal)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def irfft(spectrum, size=None):
    """Inverse of `rfft`.

    Args:
      spectrum: complex64 [..., bins].
      size: samples of the result; 2 (bins - 1) if None.

    Returns:
      float32 [..., size].
    """
    return _by_row("irfft", size or 2 * (spectrum.shape[-1] - 1))(spectrum)


def _forward(transform, array, size):
    return transform(array, size), array.shape[-1]


def _backward(name, size, length, gradient):
    return (_by_row(name, size, length)(gradient),)


def _rfft_backward(size, length, gradient):
    return _backward("rfft", size or length, length, gradient)


def _irfft_backward(size, length, gradient):
    return _backward("irfft", size or 2 * (length - 1), length, gradient)


rfft.defvjp(functools.partial(_forward, rfft), _rfft_backward)
irfft.defvjp(functools.partial(_forward, irfft), _irfft_backward)


@functools.cache
def _by_row(name, size, transposed=None):
    """A transform of that size, or its transpose for operands of that length."""
    operand = jnp.float32 if name == "rfft" else jnp.complex64

    def transform(array):
        return getattr(jnp.fft, name)(array, size)

    def transpose(gradient):
        shape = (*gradient.shape[:-1], transposed)
        template = jax.ShapeDtypeStruct(shape, operand)
        return jax.linear_transpose(transform, template)(gradient)[0]

    function = transform if transposed is None else transpose

    def partition(mesh, arguments, result):
        rows = arguments[0].sharding.spec[: len(result.shape) - 1]
        # Only the last axis has to be whole.
        whole = NamedSharding(mesh, PartitionSpec(*rows))
        return mesh, function, whole, (whole,)

    split = custom_partitioning(function)
    split.def_partition(
        partition=partition,
        sharding_rule="... i -> ... j",
        need_replication_factors=("i", "j"),
    )

    @jax.custom_batching.custom_vmap
    def by_row(array):
        return split(array)

    @by_row.def_vmap
    def more_rows(count, batched, array):
        del count, batched
        return by_row(array), True

    return by_row
