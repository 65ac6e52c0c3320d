"""A network in integers: what is written into files, and nothing else."""

from typing import NamedTuple

import numpy as np

from distill_jax.quant.codes import Codes


class Conv(NamedTuple):
    """A convolution with its batch norm folded in, and a ReLU.

    Attributes:
      kind: see `Unit`.
      stride: 1 or 2; borders of 3x3 kernels are padded by one on every side.
      adds: see `Unit`.
      weight_yxio: int8, [y, x, in, out]; [3, 3, 1, out] of a depthwise one.
      bias_o: int32, in steps of input scale times weight scale.
      scale_o: float32, of the weights of every channel.
      branch: `Codes` before an addition; None where nothing is added.
      out: `Codes` after the ReLU.
    """

    kind: str
    stride: int
    adds: int | None
    weight_yxio: np.ndarray
    bias_o: np.ndarray
    scale_o: np.ndarray
    branch: Codes | None
    out: Codes

    @property
    def first(self):
        """`Codes` of what the convolution itself gives."""
        return self.out if self.branch is None else self.branch


class Dense(NamedTuple):
    """The last layer.

    Attributes:
      weight_io: int8.
      bias_o: int32.
      scale: float32, one for all weights.
    """

    weight_io: np.ndarray
    bias_o: np.ndarray
    scale: np.float32


class Model(NamedTuple):
    """A whole network.

    Attributes:
      size: frames and mels of a window.
      input: `Codes` of the features.
      convs: [`Conv`].
      embed: `Codes` of the mean over time and frequency.
      dense: `Dense`.
      logits: `Codes` of the result.
    """

    size: tuple[int, int]
    input: Codes
    convs: tuple[Conv, ...]
    embed: Codes
    dense: Dense
    logits: Codes

    def before(self, number):
        """`Codes` of what unit `number` is given; that of the mean follows the last."""
        return self.convs[number - 1].out if number else self.input


def sizes(model):
    """(rows, columns, channels) of the input and of the output of every unit."""
    found = [(*model.size, 1)]
    for conv in model.convs:
        rows, columns, _ = found[-1]
        found.append(
            (
                -(-rows // conv.stride),
                -(-columns // conv.stride),
                conv.weight_yxio.shape[-1],
            )
        )
    return found


def parameters(model):
    """Number of weights and biases."""
    layers = [(conv.weight_yxio, conv.bias_o) for conv in model.convs]
    layers.append((model.dense.weight_io, model.dense.bias_o))
    return sum(weight.size + bias_o.size for weight, bias_o in layers)
