"""Depthwise 3x3 convolutions, aligned with PyTorch.

XLA has no fast depthwise convolution for CPUs, and its gradient takes tens of times
what the arithmetic does. There, nine shifted arrays are multiplied and added, in both
directions.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from distill_jax.models.strided import DIMENSIONS, TAPS, check_stride, choose

# Of a pair of inputs at stride 2, which taps see them, and from which output: the
# first is under the middle tap of its own, the second under the last tap of its own
# and the first of the next.
SEEN_BY = (((1, 0),), ((2, 0), (0, 1)))


def _views(x_byxi, stride):
    """What each of the nine taps sees, [b, ceil(y / stride), ceil(x / stride), i]."""
    _, height, width, _ = x_byxi.shape
    rows, columns = -(-height // stride) * stride, -(-width // stride) * stride
    border = (1, 1 + rows - height), (1, 1 + columns - width)
    padded_byxi = jnp.pad(x_byxi, ((0, 0), *border, (0, 0)))
    return [
        padded_byxi[:, y : y + rows : stride, x : x + columns : stride]
        for y in range(TAPS)
        for x in range(TAPS)
    ]


def _weigh(view, weight_i):
    return view * weight_i[None, None, None, :]


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _conv_shifts(x_byxi, kernel_yx1i, stride):
    weights = kernel_yx1i.reshape(TAPS**2, -1)
    return sum(map(_weigh, _views(x_byxi, stride), weights))


def _conv_forward(x_byxi, kernel_yx1i, stride):
    return _conv_shifts(x_byxi, kernel_yx1i, stride), (x_byxi, kernel_yx1i)


def _conv_backward(stride, residuals, grad_byxi):
    x_byxi, kernel_yx1i = residuals
    _, height, width, _ = x_byxi.shape
    if stride == 1:
        x_grad = _conv_shifts(grad_byxi, kernel_yx1i[::-1, ::-1], 1)
    else:
        x_grad = _doubled(grad_byxi, kernel_yx1i)[:, :height, :width]
    kernel_grad = jnp.stack(
        [jnp.sum(view * grad_byxi, axis=(0, 1, 2)) for view in _views(x_byxi, stride)]
    )
    return x_grad, kernel_grad.reshape(kernel_yx1i.shape)


_conv_shifts.defvjp(_conv_forward, _conv_backward)


def _doubled(grad_byxi, kernel_yx1i):
    """The adjoint of the convolution at stride 2, [b, 2 * y, 2 * x, i]."""
    batch, rows, columns, depth = grad_byxi.shape
    padded_byxi = jnp.pad(grad_byxi, ((0, 0), (0, 1), (0, 1), (0, 0)))

    def phase(row, column):
        return sum(
            _weigh(
                padded_byxi[:, down : down + rows, right : right + columns],
                kernel_yx1i[y, x, 0],
            )
            for y, down in SEEN_BY[row]
            for x, right in SEEN_BY[column]
        )

    pairs = [jnp.stack([phase(row, 0), phase(row, 1)], axis=3) for row in range(2)]
    return jnp.stack(pairs, axis=2).reshape(batch, 2 * rows, 2 * columns, depth)


def _conv_stock(x_byxi, kernel_yx1i, stride):
    return lax.conv_general_dilated(
        x_byxi,
        kernel_yx1i,
        (stride, stride),
        ((1, 1), (1, 1)),
        dimension_numbers=DIMENSIONS,
        feature_group_count=x_byxi.shape[-1],
    )


def depthwise_conv(x_byxi, kernel_yx1i, form="auto", stride=1):
    """Convolves each channel 3x3, as torch's Conv2d(3, stride, padding 1, groups=i).

    Args:
      x_byxi: [b, y, x, i].
      kernel_yx1i: [3, 3, 1, i].
      form: "matmul" (shifted sums here), "stock", or "auto": the first on a CPU, the
        second elsewhere.
      stride: 1 or 2.

    Returns:
      [b, ceil(y / stride), ceil(x / stride), i].

    Raises:
      ValueError: `form` is not one of the three, or `stride` not one of the two.
    """
    check_stride(stride)
    return choose(
        form,
        lambda x_byxi, kernel_yx1i: _conv_shifts(x_byxi, kernel_yx1i, stride),
        lambda x_byxi, kernel_yx1i: _conv_stock(x_byxi, kernel_yx1i, stride),
    )(x_byxi, kernel_yx1i)
