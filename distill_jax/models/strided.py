"""Plain, strided and transposed 3x3 convolutions, aligned with PyTorch.

The convolutions share one parameter layout, `[y, x, in, out]`, and two forms.
XLA's own convolutions are right for GPUs and TPUs; on CPUs the gradient of the
transposed one is many times slower than a matrix multiplication over the nine
taps, so there both are written as matrix products, forward and backward.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

FORMS = ("auto", "matmul", "stock")
TAPS = 3
STRIDES = (1, 2)
DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def gather_taps(x_byxi, stride=2):
    """Lays the nine inputs of every output of a convolution side by side.

    Args:
      x_byxi: [b, y, x, i]; odd sizes are padded like any other border, by zeros.
      stride: 1 or 2.

    Returns:
      [b, ceil(y / stride), ceil(x / stride), 9 * i], taps in row-major order.
    """
    if stride == 1:
        return _with_neighbours(_with_neighbours(x_byxi, 2), 1)
    x_byxi = _to_even(x_byxi)
    batch, height, width, depth = x_byxi.shape
    pairs = x_byxi.reshape(batch, height // 2, 2, width // 2, 2 * depth)
    even, odd = (_gather_columns(pairs[:, :, row]) for row in range(2))
    return jnp.concatenate([_previous(odd, 1), even, odd], axis=-1)


def _gather_columns(pair_byxi):
    """The three columns around every second one, from pairs of columns."""
    depth = pair_byxi.shape[-1] // 2
    return jnp.concatenate([_previous(pair_byxi[..., depth:], 2), pair_byxi], axis=-1)


def _with_neighbours(x_byxi, axis):
    """What stands one before, at and one after each place, side by side."""
    parts = _previous(x_byxi, axis), x_byxi, _next(x_byxi, axis)
    return jnp.concatenate(parts, axis=-1)


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


def _columns(kernel_yxio):
    """The kernel as the right operand after `gather_taps`: [9 * i, o]."""
    return kernel_yxio.reshape(-1, kernel_yxio.shape[-1])


def _spread(kernel_yxio):
    """The kernel as the right operand before `scatter_taps`: [i, 9 * o]."""
    _, _, depth, features = kernel_yxio.shape
    return kernel_yxio.transpose(2, 0, 1, 3).reshape(depth, TAPS**2 * features)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _conv_matmul(x_byxi, kernel_yxio, stride):
    return gather_taps(x_byxi, stride) @ _columns(kernel_yxio)


def _conv_forward(x_byxi, kernel_yxio, stride):
    return _conv_matmul(x_byxi, kernel_yxio, stride), (x_byxi, kernel_yxio)


def _conv_backward(stride, residuals, grad_byxo):
    x_byxi, kernel_yxio = residuals
    _, height, width, _ = x_byxi.shape
    if stride == 1:
        turned_yxoi = kernel_yxio[::-1, ::-1].swapaxes(2, 3)
        x_grad = _conv_matmul(grad_byxo, turned_yxoi, 1)
    else:
        tap_byxi = grad_byxo @ _columns(kernel_yxio).T
        x_grad = scatter_taps(tap_byxi)[:, :height, :width]
    kernel_grad = _product(gather_taps(x_byxi, stride), grad_byxo)
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


def _conv_stock(x_byxi, kernel_yxio, stride):
    return lax.conv_general_dilated(
        x_byxi,
        kernel_yxio,
        (stride, stride),
        ((1, 1), (1, 1)),
        dimension_numbers=DIMENSIONS,
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


def check_stride(stride):
    """Raises ValueError unless the stride is 1 or 2."""
    if stride not in STRIDES:
        raise ValueError(f"stride is {stride!r}, expected 1 or 2")


def choose(form, matmul, stock):
    """The function that runs here: `auto` decides when it is lowered."""
    if form not in FORMS:
        raise ValueError(f"form is {form!r}, expected one of {', '.join(FORMS)}")
    if form == "auto":
        return partial(lax.platform_dependent, cpu=matmul, default=stock)
    return {"matmul": matmul, "stock": stock}[form]


def strided_conv(x_byxi, kernel_yxio, form="auto", stride=2):
    """Convolves 3x3, as torch's Conv2d(kernel 3, stride, padding 1).

    Args:
      x_byxi: [b, y, x, i].
      kernel_yxio: [3, 3, i, o].
      form: "matmul", "stock", or "auto": matmul on a CPU, stock elsewhere.
      stride: 1 or 2.

    Returns:
      [b, ceil(y / stride), ceil(x / stride), o].

    Raises:
      ValueError: `form` is not one of the three, or `stride` not one of the two.
    """
    check_stride(stride)
    return choose(
        form,
        lambda x_byxi, kernel_yxio: _conv_matmul(x_byxi, kernel_yxio, stride),
        lambda x_byxi, kernel_yxio: _conv_stock(x_byxi, kernel_yxio, stride),
    )(x_byxi, kernel_yxio)


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
    return choose(form, _transposed_matmul, _transposed_stock)(x_byxi, kernel_yxio)
