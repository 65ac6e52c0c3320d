"""Strided and transposed 3x3 convolutions and batch norm, aligned with PyTorch.

Both convolutions share one parameter layout, `[y, x, in, out]`, and two forms.
XLA's own convolutions are right for GPUs and TPUs; on CPUs the gradient of the
transposed one is many times slower than a matrix multiplication over the nine
taps, so there both are written as matrix products, forward and backward.
"""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jax import lax

FORMS = ("auto", "matmul", "stock")
TAPS = 3
DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def gather_taps(x_byxi):
    """Lays the nine inputs of every output of a stride-2 convolution side by side.

    Args:
      x_byxi: [b, y, x, i]; odd sizes are padded like any other border, by zeros.

    Returns:
      [b, ceil(y / 2), ceil(x / 2), 9 * i], taps in row-major order.
    """
    _, height, width, _ = x_byxi.shape
    rows, columns = -(-height // 2), -(-width // 2)
    x_byxi = jnp.pad(
        x_byxi,
        ((0, 0), (1, 2 * rows - height), (1, 2 * columns - width), (0, 0)),
    )
    taps = [
        x_byxi[:, dy : dy + 2 * rows : 2, dx : dx + 2 * columns : 2]
        for dy in range(TAPS)
        for dx in range(TAPS)
    ]
    return jnp.concatenate(taps, axis=-1)


def scatter_taps(tap_byxo):
    """Adds nine contributions per input onto a grid of twice the size.

    The adjoint of `gather_taps` on even sizes. Even rows of the result hear one
    row of taps, odd rows two, the same for columns, so the four phases are sums
    of 1, 2, 2 and 4 slices and no value is added to zeros.

    Args:
      tap_byxo: [b, y, x, 9 * o], taps in row-major order.

    Returns:
      [b, 2 * y, 2 * x, o].
    """
    batch, rows, columns, width = tap_byxo.shape
    depth = width // TAPS**2
    tap_byxo = jnp.pad(tap_byxo, ((0, 0), (0, 1), (0, 1), (0, 0)))

    def tap(row, column):
        down, right = int(row == 0), int(column == 0)
        start = (row * TAPS + column) * depth
        return tap_byxo[
            :, down : down + rows, right : right + columns, start : start + depth
        ]

    even = jnp.stack([tap(1, 1), tap(1, 2) + tap(1, 0)], axis=3)
    odd = jnp.stack(
        [
            tap(2, 1) + tap(0, 1),
            tap(2, 2) + tap(2, 0) + tap(0, 2) + tap(0, 0),
        ],
        axis=3,
    )
    return jnp.stack([even, odd], axis=2).reshape(batch, 2 * rows, 2 * columns, depth)


def _columns(kernel_yxio):
    """The kernel as the right operand of `gather_taps`: [9 * i, o]."""
    return kernel_yxio.reshape(-1, kernel_yxio.shape[-1])


def _conv_matmul(x_byxi, kernel_yxio):
    return gather_taps(x_byxi) @ _columns(kernel_yxio)


def _conv_stock(x_byxi, kernel_yxio):
    return lax.conv_general_dilated(
        x_byxi, kernel_yxio, (2, 2), ((1, 1), (1, 1)), dimension_numbers=DIMENSIONS
    )


def _transposed_matmul(x_byxi, kernel_yxio):
    _, _, depth, features = kernel_yxio.shape
    spread_ik = kernel_yxio.transpose(2, 0, 1, 3).reshape(depth, TAPS**2 * features)
    return scatter_taps(x_byxi @ spread_ik)


def _transposed_stock(x_byxi, kernel_yxio):
    return lax.conv_general_dilated(
        x_byxi,
        kernel_yxio[::-1, ::-1],
        (1, 1),
        ((1, 2), (1, 2)),
        lhs_dilation=(2, 2),
        dimension_numbers=DIMENSIONS,
    )


def _choose(form, matmul, stock):
    """The function that runs here: `auto` decides when it is lowered."""
    if form not in FORMS:
        raise ValueError(f"form is {form!r}, expected one of {', '.join(FORMS)}")
    if form == "auto":
        return partial(lax.platform_dependent, cpu=matmul, default=stock)
    return {"matmul": matmul, "stock": stock}[form]


def strided_conv(x_byxi, kernel_yxio, form="auto"):
    """Convolves 3x3 at stride 2, as torch's Conv2d(kernel 3, stride 2, padding 1).

    Args:
      x_byxi: [b, y, x, i].
      kernel_yxio: [3, 3, i, o].
      form: "matmul", "stock", or "auto": matmul on a CPU, stock elsewhere.

    Returns:
      [b, ceil(y / 2), ceil(x / 2), o].

    Raises:
      ValueError: `form` is not one of the three.
    """
    return _choose(form, _conv_matmul, _conv_stock)(x_byxi, kernel_yxio)


def transposed_conv(x_byxi, kernel_yxio, form="auto"):
    """Convolves 3x3 up by 2, as torch's ConvTranspose2d(3, 2, 1, output_padding 1).

    Args:
      x_byxi: [b, y, x, i].
      kernel_yxio: [3, 3, i, o], not flipped.
      form: "matmul", "stock", or "auto": matmul on a CPU, stock elsewhere.

    Returns:
      [b, 2 * y, 2 * x, o].

    Raises:
      ValueError: `form` is not one of the three.
    """
    return _choose(form, _transposed_matmul, _transposed_stock)(x_byxi, kernel_yxio)


class StridedConv(nn.Module):
    """`strided_conv` with a kernel and a bias.

    Attributes:
      features: channels out.
      form: see `strided_conv`.
    """

    features: int
    form: str = "auto"

    @nn.compact
    def __call__(self, x_byxi):
        """Maps [b, y, x, i] to [b, ceil(y / 2), ceil(x / 2), features]."""
        shape = (TAPS, TAPS, x_byxi.shape[-1], self.features)
        kernel_yxio = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias_o = self.param("bias", nn.initializers.zeros, self.features)
        y_byxo = strided_conv(x_byxi, kernel_yxio, self.form)
        return y_byxo + bias_o[None, None, None, :]


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
        mean_i, var_i = mean.value, var.value
        if train:
            mean_i, var_i, size = batch_moments(x_byxi)
            if not self.is_initializing():
                rate = self.momentum
                mean.value = (1 - rate) * mean.value + rate * mean_i
                var.value = (1 - rate) * var.value + rate * var_i * (size / (size - 1))
                count.value = count.value + 1
        gain_i = scale_i * lax.rsqrt(var_i + self.epsilon)
        shift_i = bias_i - mean_i * gain_i
        gain_i, shift_i = gain_i.astype(x_byxi.dtype), shift_i.astype(x_byxi.dtype)
        return x_byxi * gain_i[None, None, None, :] + shift_i[None, None, None, :]


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
