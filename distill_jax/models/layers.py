"""Layers that hold parameters: convolutions, dense maps, and torch's batch norm."""

import math
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from distill_jax.models.depthwise import depthwise_conv
from distill_jax.models.strided import TAPS, strided_conv, transposed_conv


class StridedConv(nn.Module):
    """`strided_conv` with a kernel and, unless a norm has it, a bias.

    Attributes:
      features: channels out.
      form: see `strided_conv`.
      stride: see `strided_conv`.
      use_bias: whether there is one.
    """

    features: int
    form: str = "auto"
    stride: int = 2
    use_bias: bool = True

    @nn.compact
    def __call__(self, x_byxi):
        """Maps [b, y, x, i] to [b, ceil(y / stride), ceil(x / stride), features]."""
        shape = (TAPS, TAPS, x_byxi.shape[-1], self.features)
        kernel_yxio = self.param("kernel", nn.initializers.lecun_normal(), shape)
        y_byxo = strided_conv(x_byxi, kernel_yxio, self.form, self.stride)
        if not self.use_bias:
            return y_byxo
        bias_o = self.param("bias", nn.initializers.zeros, self.features)
        return y_byxo + bias_o[None, None, None, :]


class DepthwiseConv(nn.Module):
    """`depthwise_conv` with a kernel; the bias is that of the norm that follows.

    Attributes:
      form: see `depthwise_conv`.
      stride: see `depthwise_conv`.
    """

    form: str = "auto"
    stride: int = 1

    @nn.compact
    def __call__(self, x_byxi):
        """Maps [b, y, x, i] to [b, ceil(y / stride), ceil(x / stride), i]."""
        shape = (TAPS, TAPS, 1, x_byxi.shape[-1])
        kernel_yx1i = self.param("kernel", nn.initializers.lecun_normal(), shape)
        return depthwise_conv(x_byxi, kernel_yx1i, self.form, self.stride)


class PointwiseConv(nn.Module):
    """A 1x1 convolution; the bias is that of the norm that follows.

    Attributes:
      features: channels out.
    """

    features: int

    @nn.compact
    def __call__(self, x_byxi):
        """Maps [b, y, x, i] to [b, y, x, features]."""
        shape = (1, 1, x_byxi.shape[-1], self.features)
        kernel_yxio = self.param("kernel", nn.initializers.lecun_normal(), shape)
        return x_byxi @ kernel_yxio[0, 0]


class TransposedConv(nn.Module):
    """`transposed_conv` with a kernel and a bias.

    Attributes:
      features: channels out.
      form: see `transposed_conv`.
    """

    features: int
    form: str = "auto"

    @nn.compact
    def __call__(self, x_byxi):
        """Maps [b, y, x, i] to [b, 2 * y, 2 * x, features]."""
        shape = (TAPS, TAPS, x_byxi.shape[-1], self.features)
        kernel_yxio = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias_o = self.param("bias", nn.initializers.zeros, self.features)
        y_byxo = transposed_conv(x_byxi, kernel_yxio, self.form)
        return y_byxo + bias_o[None, None, None, :]


class Dense(nn.Module):
    """A linear map between arrays of several axes, which its kernel keeps.

    Attributes:
      shape: of an example of the result.
      first_bias: what every bias starts at.
    """

    shape: tuple[int, ...]
    first_bias: float = 0.0

    @nn.compact
    def __call__(self, x_b):
        """Maps [b, ...] to [b, *shape]; kernel [..., *shape], bias [*shape]."""
        inputs = x_b.shape[1:]
        count, features = math.prod(inputs), math.prod(self.shape)

        def kernel_init(rng):
            flat = nn.initializers.lecun_normal()(rng, (count, features))
            return flat.reshape(*inputs, *self.shape)

        kernel = self.param("kernel", kernel_init).reshape(count, features)
        bias_init = nn.initializers.constant(self.first_bias)
        bias = self.param("bias", bias_init, self.shape)
        y_b = (x_b.reshape(-1, count) @ kernel).reshape(-1, *self.shape)
        return y_b + bias[None]


class BatchNorm(nn.Module):
    """Batch norm over all but the last axis, equal to torch's BatchNorm2d.

    flax's own keeps the biased variance of a batch; torch divides what it keeps
    by n - 1 and what it normalises with by n.

    Attributes:
      momentum: weight of the newest batch in the running statistics.
      epsilon: added to the variance.
    """

    momentum: float = 0.1
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x_byxi, train=False):
        """Normalises [b, y, x, i].

        Args:
          x_byxi: activations.
          train: use this batch's statistics and update the running ones, which
            live in the collection `batch_stats`.

        Returns:
          [b, y, x, i].

        Raises:
          ValueError: there is one value per channel only, so no variance.
        """
        depth = x_byxi.shape[-1]
        scale_i = self.param("scale", nn.initializers.ones, depth)
        bias_i = self.param("bias", nn.initializers.zeros, depth)
        mean = self.variable("batch_stats", "mean", jnp.zeros, depth)
        var = self.variable("batch_stats", "var", jnp.ones, depth)
        count = self.variable("batch_stats", "count", jnp.zeros, (), jnp.int32)
        if not train:
            gain_i, shift_i = _affine(
                scale_i, bias_i, mean.value, var.value, self.epsilon
            )
            return _scaled(x_byxi, gain_i, shift_i)
        mean_i, var_i, size = batch_moments(lax.stop_gradient(x_byxi))
        if not self.is_initializing():
            rate = self.momentum
            mean.value = (1 - rate) * mean.value + rate * mean_i
            var.value = (1 - rate) * var.value + rate * var_i * (size / (size - 1))
            count.value = count.value + 1
        return _standardise(x_byxi, scale_i, bias_i, self.epsilon)


def _affine(scale_i, bias_i, mean_i, var_i, epsilon):
    """Batch norm as one factor and one addend per channel."""
    gain_i = scale_i * lax.rsqrt(var_i + epsilon)
    return gain_i, bias_i - mean_i * gain_i


def _scaled(x_byxi, gain_i, shift_i):
    gain_i, shift_i = gain_i.astype(x_byxi.dtype), shift_i.astype(x_byxi.dtype)
    return x_byxi * gain_i[None, None, None, :] + shift_i[None, None, None, :]


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def _standardise(x_byxi, scale_i, bias_i, epsilon):
    """Normalises with this batch's moments."""
    return _standardise_forward(x_byxi, scale_i, bias_i, epsilon)[0]


def _standardise_forward(x_byxi, scale_i, bias_i, epsilon):
    mean_i, var_i, _ = batch_moments(x_byxi)
    gain_i, shift_i = _affine(scale_i, bias_i, mean_i, var_i, epsilon)
    return _scaled(x_byxi, gain_i, shift_i), (x_byxi, scale_i, mean_i, var_i)


def _standardise_backward(epsilon, residuals, grad_byxi):
    # The derived gradient walks the activations seven times, this one three times.
    x_byxi, scale_i, mean_i, var_i = residuals
    size = x_byxi.size // x_byxi.shape[-1]
    inverse_i = lax.rsqrt(var_i + epsilon)
    centred_byxi = x_byxi - mean_i[None, None, None, :]
    bias_grad = jnp.sum(grad_byxi, axis=(0, 1, 2))
    scale_grad = jnp.sum(grad_byxi * centred_byxi, axis=(0, 1, 2)) * inverse_i
    gain_i = scale_i * inverse_i
    slope_i = gain_i * inverse_i * scale_grad / size
    x_grad = (
        grad_byxi * gain_i[None, None, None, :]
        - centred_byxi * slope_i[None, None, None, :]
        - (gain_i * bias_grad / size)[None, None, None, :]
    )
    return x_grad, scale_grad, bias_grad


_standardise.defvjp(_standardise_forward, _standardise_backward)


def batch_moments(x_byxi):
    """Mean and biased variance of every channel, in two passes, at least float32.

    Args:
      x_byxi: [b, y, x, i].

    Returns:
      mean [i], variance [i] and the number of values per channel.

    Raises:
      ValueError: there is one value per channel only.
    """
    size = x_byxi.size // x_byxi.shape[-1]
    if size < 2:
        raise ValueError(
            f"batch norm got shape {x_byxi.shape}, one value per channel, and needs "
            "at least two to train; use a larger batch or a larger spectrogram"
        )
    x_byxi = x_byxi.astype(jnp.promote_types(x_byxi.dtype, jnp.float32))
    mean_i = jnp.mean(x_byxi, axis=(0, 1, 2))
    var_i = jnp.mean((x_byxi - mean_i[None, None, None, :]) ** 2, axis=(0, 1, 2))
    return mean_i, var_i, size
