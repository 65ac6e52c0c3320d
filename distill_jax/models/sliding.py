"""TinyConv over every window of a long recording, sharing what windows share.

Neighbouring windows see the same frames, so most rows of a layer are the same numbers
at the same time; these are made once. The zeros around a window reach its first and
last row, in the next layer the rows that see those, and so on; such rows are made for
every window, but from the same products of single taps wherever these can be shared.
The result is that of every window by itself, to rounding.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from distill_jax.models.layers import BatchNorm
from distill_jax.models.strided import TAPS

# Windows at a time: one shape, compiled once.
WINDOWS = 256


class _Rows(NamedTuple):
    """The rows that a layer has in all windows; a row is [x, i].

    Attributes:
      shared_pxi: those that see no border, one for every place in time.
      own: {number in the window: row_nxi of each window} of those that do.
      count: rows of a window.
      stride: frames from one row of a window to the next.
      grid: frames from one place to the next.
    """

    shared_pxi: jax.Array
    own: dict
    count: int
    stride: int
    grid: int


def supports(module):
    """Whether a `TinyConv` consists of full convolutions, one after the other."""
    return all(layer.kind == "conv" and not layer.adds for layer in module.plan())


def along(module, variables):
    """A network that is slid along recordings.

    Args:
      module: a `TinyConv` that `supports` says can be.
      variables: of the module, with batch statistics.

    Returns:
      (feature_tf, step) -> logits [windows, classes] of all windows that fit and
      start `step` frames apart.

    Raises:
      ValueError: the module has depthwise or residual layers.
    """
    if not supports(module):
        raise ValueError(
            "only full convolutions without residual sums can be slid along a "
            f"recording, found {module.plan()}; score window by window"
        )
    frames, strides = module.size[0], tuple(layer.stride for layer in module.plan())
    folded = jax.device_put(_folded(variables, len(strides)))

    def logits(feature_tf, step):
        total = 1 + (len(feature_tf) - frames) // step
        size, found = (WINDOWS - 1) * step + frames, []
        for first in range(0, total * step, WINDOWS * step):
            part_tf = np.asarray(feature_tf[first : first + size], np.float32)
            part_tf = np.pad(part_tf, ((0, size - len(part_tf)), (0, 0)))
            found.append(_logits(folded, part_tf, strides, (frames, step)))
        return np.concatenate(found)[:total]

    return logits


def _folded(variables, layers):
    """Kernels and biases with the batch norms in them, and the dense layer."""
    params, made = variables["params"], []
    for number in range(layers):
        norm = params[f"norm_{number}"]
        seen = variables["batch_stats"][f"norm_{number}"]
        gain_o = norm["scale"] / np.sqrt(seen["var"] + BatchNorm.epsilon)
        kernel_yxio = params[f"conv_{number}"]["kernel"] * gain_o[None, None, None]
        made.append((kernel_yxio, norm["bias"] - seen["mean"] * gain_o))
    return made, params["dense"]


@partial(jax.jit, static_argnames=("strides", "frames_and_step"))
def _logits(folded, feature_tf, strides, frames_and_step):
    """Logits of WINDOWS windows, [windows, classes]."""
    layers, dense = folded
    frames, step = frames_and_step
    rows = _Rows(feature_tf[..., None], {}, frames, 1, 1)
    for stride, (kernel_yxio, bias_o) in zip(strides, layers, strict=True):
        rows = _layer(rows, kernel_yxio, stride, step)
        rows = _Rows(
            _rectified(rows.shared_pxi, bias_o),
            {row: _rectified(own_nxi, bias_o) for row, own_nxi in rows.own.items()},
            *rows[2:],
        )
    return _mean(rows, step) @ dense["kernel"] + dense["bias"][None]


def _rectified(row_nxo, bias_o):
    return jax.nn.relu(row_nxo + bias_o[None, None])


def _layer(rows, kernel_yxio, stride, step):
    """The rows of the next layer, before bias and ReLU."""
    count, frames = -(-rows.count // stride), rows.stride * stride
    grid = math.gcd(step, frames)
    tap_pxyo = _products(rows.shared_pxi, kernel_yxio, stride)
    seen_pxo = _seen(tap_pxyo, rows.stride // rows.grid, grid // rows.grid)

    def part(line, tap):
        row = line * stride + tap - 1
        if row in rows.own:
            kernel_1xio = kernel_yxio[tap : tap + 1]
            return _products(rows.own[row], kernel_1xio, stride)[:, :, 0]
        return _of_windows(seen_pxo[tap], line * frames // grid, step // grid)

    own = {}
    for line in range(count):
        taps = {tap: line * stride + tap - 1 for tap in range(TAPS)}
        inside = {tap: row for tap, row in taps.items() if 0 <= row < rows.count}
        if len(inside) < TAPS or set(inside.values()) & set(rows.own):
            own[line] = sum(part(line, tap) for tap in inside)
    return _Rows(sum(seen_pxo), own, count, frames, grid)


def _products(row_nxi, kernel_yxio, stride):
    """What rows add, under each tap of the kernel in time, [n, x, taps, o]."""
    count, width, depth = row_nxi.shape
    taps, _, _, features = kernel_yxio.shape
    places = -(-width // stride)
    # One column of zeros on either side, as every window has them.
    spare = 1 + places * stride - width
    padded_nxi = jnp.pad(row_nxi, ((0, 0), (1, spare), (0, 0)))
    columns = [
        padded_nxi[:, tap : tap + places * stride : stride] for tap in range(TAPS)
    ]
    matrix = kernel_yxio.transpose(1, 2, 0, 3).reshape(TAPS * depth, taps * features)
    product = jnp.concatenate(columns, axis=-1).reshape(count * places, -1) @ matrix
    return product.reshape(count, places, taps, features)


def _seen(tap_pxyo, shift, skip):
    """For each tap, what a row at every `skip`-th place gets through it.

    The first tap lies `shift` places before, the last as many after; beyond the
    recording there are zeros, which no row inside a window sees.
    """
    padded_pxyo = jnp.pad(tap_pxyo, ((shift, shift), (0, 0), (0, 0), (0, 0)))
    stops = [tap * shift + len(tap_pxyo) for tap in range(TAPS)]
    return [
        padded_pxyo[tap * shift : stop : skip, :, tap] for tap, stop in enumerate(stops)
    ]


def _of_windows(row_px, first, skip):
    """The row of each window, of shared ones that lie `skip` places apart."""
    return row_px[first : first + (WINDOWS - 1) * skip + 1 : skip]


def _mean(rows, step):
    """Mean over the rows and columns of every window, [windows, i]."""
    shared_pi = rows.shared_pxi.mean(axis=1)
    skip = step // rows.grid
    return (
        sum(
            rows.own[row].mean(axis=1)
            if row in rows.own
            else _of_windows(shared_pi, row * rows.stride // rows.grid, skip)
            for row in range(rows.count)
        )
        / rows.count
    )
