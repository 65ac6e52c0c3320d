"""Strided and transposed 3x3 convolutions and batch norm, aligned with PyTorch.

Both convolutions share one parameter layout, `[y, x, in, out]`, and two forms.
XLA's own convolutions are right for GPUs and TPUs; on CPUs the gradient of the
transposed one is many times slower than a matrix multiplication over the nine
taps, so there both are written as matrix products, forward and backward.
"""

import math
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

FORMS = ("auto", "matmul", "stock")
TAPS = 3
DIMENSIONS = ("NHWC", "HWIO", "NHWC")
# What is summed over: in the gradient of a kernel, and in that of an input.
EXAMPLES_AND_PLACES = ((0, 1, 2), (0, 1, 2))
CHANNELS_LAST = (((3,), (1,)), ((), ()))


def gather_taps(x_byxi):
    """Lays the nine inputs of every output of a stride-2 convolution side by side.

    Args:
      x_byxi: [b, y, x, i]; odd sizes are padded like any other border, by zeros.

    Returns:
      [b, ceil(y / 2), ceil(x / 2), 9 * i], taps in row-major order.
    """
    x_byxi = _to_even(x_byxi)
    batch, height, width, depth = x_byxi.shape
    pairs = x_byxi.reshape(batch, height // 2, 2, width // 2, 2 * depth)
    even, odd = (_gather_columns(pairs[:, :, row]) for row in range(2))
    return jnp.concatenate([_previous(odd, 1), even, odd], axis=-1)


def _gather_columns(pair_byxi):
    """The three columns around every second one, from pairs of columns."""
    depth = pair_byxi.shape[-1] // 2
    return jnp.concatenate([_previous(pair_byxi[..., depth:], 2), pair_byxi], axis=-1)


def scatter_taps(tap_byxo):
    """Adds nine contributions per input onto a grid of twice the size.

    The adjoint of `gather_taps` on even sizes. Even rows of the result hear one
    row of taps, odd rows two, the same for columns, so nothing is added to zeros.

    Args:
      tap_byxo: [b, y, x, 9 * o], taps in row-major order.

    Returns:
      [b, 2 * y, 2 * x, o].
    """
    batch, rows, columns, width = tap_byxo.shape
    before, even, odd = (
        _scatter_columns(row) for row in jnp.split(tap_byxo, TAPS, axis=-1)
    )
    both = jnp.stack([even, odd + _next(before, 1)], axis=2)
    return both.reshape(batch, 2 * rows, 2 * columns, width // TAPS**2)


def _scatter_columns(tap_byxo):
    """Three contributions per column onto pairs of columns, [b, y, x, 2 * o]."""
    before, even, odd = jnp.split(tap_byxo, TAPS, axis=-1)
    return jnp.concatenate([even, odd + _next(before, 2)], axis=-1)


def _to_even(x_byxi):
    """Adds a row and a column of zeros where their number is odd."""
    _, height, width, _ = x_byxi.shape
    return jnp.pad(x_byxi, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))


# Shifts are concatenations with zeros: XLA copies those in blocks on a CPU, where
# it fills a pad value by value.
def _previous(x_byxi, axis):
    """What stands one before along an axis, zero at the start."""
    stop = x_byxi.shape[axis] - 1
    zero = jnp.zeros_like(lax.slice_in_dim(x_byxi, 0, 1, axis=axis))
    return jnp.concatenate([zero, lax.slice_in_dim(x_byxi, 0, stop, axis=axis)], axis)


def _next(x_byxi, axis):
    """What stands one after along an axis, zero at the end."""
    zero = jnp.zeros_like(lax.slice_in_dim(x_byxi, 0, 1, axis=axis))
    return jnp.concatenate([lax.slice_in_dim(x_byxi, 1, None, axis=axis), zero], axis)


def _product(a_byxk, b_byxn):
    """Sums the outer products at every place: [k, n]."""
    # Over one axis: XLA would transpose an operand to sum over three.
    a_nk, b_nm = (x.reshape(-1, x.shape[-1]) for x in (a_byxk, b_byxn))
    return lax.dot_general(a_nk, b_nm, (((0,), (0,)), ((), ())))


def _spread(kernel_yxio):
    """The kernel as the right operand before `scatter_taps`: [i, 9 * o]."""
    _, _, depth, features = kernel_yxio.shape
    return kernel_yxio.transpose(2, 0, 1, 3).reshape(depth, TAPS**2 * features)


@jax.custom_vjp
def _conv_matmul(x_byxi, kernel_yxio):
    return gather_taps(x_byxi) @ kernel_yxio.reshape(-1, kernel_yxio.shape[-1])


def _conv_forward(x_byxi, kernel_yxio):
    return _conv_matmul(x_byxi, kernel_yxio), (x_byxi, kernel_yxio)


def _conv_backward(residuals, grad_byxo):
    x_byxi, kernel_yxio = residuals
    _, height, width, _ = x_byxi.shape
    columns = kernel_yxio.reshape(-1, kernel_yxio.shape[-1])
    x_grad = scatter_taps(grad_byxo @ columns.T)[:, :height, :width]
    kernel_grad = _product(gather_taps(x_byxi), grad_byxo)
    return x_grad, kernel_grad.reshape(kernel_yxio.shape)


_conv_matmul.defvjp(_conv_forward, _conv_backward)


@jax.custom_vjp
def _transposed_matmul(x_byxi, kernel_yxio):
    return scatter_taps(x_byxi @ _spread(kernel_yxio))


def _transposed_forward(x_byxi, kernel_yxio):
    return _transposed_matmul(x_byxi, kernel_yxio), (x_byxi, kernel_yxio)


def _transposed_backward(residuals, grad_byxo):
    x_byxi, kernel_yxio = residuals
    _, _, depth, features = kernel_yxio.shape
    tap_byxo = gather_taps(grad_byxo)
    kernel_grad = _product(x_byxi, tap_byxo).reshape(depth, TAPS, TAPS, features)
    return tap_byxo @ _spread(kernel_yxio).T, kernel_grad.transpose(1, 2, 0, 3)


_transposed_matmul.defvjp(_transposed_forward, _transposed_backward)


def _conv_stock(x_byxi, kernel_yxio):
    return lax.conv_general_dilated(
        x_byxi, kernel_yxio, (2, 2), ((1, 1), (1, 1)), dimension_numbers=DIMENSIONS
    )


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
    """`strided_conv` with a kernel; the bias is that of the norm that follows.

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


class Dense(nn.Module):
    """A linear map between arrays of several axes, which its kernel keeps.

    Attributes:
      shape: of an example of the result.
    """

    shape: tuple[int, ...]

    @nn.compact
    def __call__(self, x_b):
        """Maps [b, ...] to [b, *shape]; kernel [..., *shape], bias [*shape]."""
        inputs = x_b.shape[1:]
        count, features = math.prod(inputs), math.prod(self.shape)

        def kernel_init(rng):
            flat = nn.initializers.lecun_normal()(rng, (count, features))
            return flat.reshape(*inputs, *self.shape)

        kernel = self.param("kernel", kernel_init).reshape(count, features)
        bias = self.param("bias", nn.initializers.zeros, self.shape)
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
