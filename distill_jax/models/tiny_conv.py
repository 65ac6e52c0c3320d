"""TinyConv: a keyword network for microcontrollers, 3x3 convolutions and a mean.

It needs the operations CONV_2D, DEPTHWISE_CONV_2D, MEAN, FULLY_CONNECTED and, with
`residual`, ADD. Borders are padded by one on every side, as in PyTorch; TFLite's SAME
pads an even size at stride 2 on one side only.
"""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from distill_jax import weights
from distill_jax.models.layers import (
    BatchNorm,
    Dense,
    DepthwiseConv,
    PointwiseConv,
    StridedConv,
)


class Layer(NamedTuple):
    """A convolution, its batch norm and a ReLU.

    Attributes:
      kind: "conv", "depthwise" (3x3 both) or "pointwise" (1x1).
      features: channels out.
      stride: 1 or 2.
      adds: whether what its block was given is added before the ReLU.
    """

    kind: str
    features: int
    stride: int
    adds: bool = False


class TinyConv(nn.Module):
    """Log-mel windows to unnormalised log-probabilities of words.

    Attributes:
      classes: how many.
      channels: width of each block.
      strides: of each block, 1 or 2, along time and frequency alike.
      use_depthwise: blocks after the first are a depthwise and a pointwise
        convolution instead of a full one.
      residual: blocks that keep width and size add what they were given.
      size: frames and mels of a window.
      form: of the convolutions: "auto", "matmul" or "stock", see `strided`.
    """

    classes: int = 2
    channels: tuple[int, ...] = (16, 32, 64, 64)
    strides: tuple[int, ...] = (2, 2, 2, 1)
    use_depthwise: bool = False
    residual: bool = False
    size: tuple[int, int] = (49, 40)
    form: str = "auto"

    def plan(self):
        """The convolutions in order, [`Layer`].

        Raises:
          ValueError: there is not one stride per width.
        """
        if len(self.channels) != len(self.strides) or not self.channels:
            raise ValueError(
                f"channels {self.channels} and strides {self.strides} should be of the "
                "same length, one of each for every block, and at least one"
            )
        layers = [Layer("conv", self.channels[0], self.strides[0])]
        inputs = self.channels[:-1]
        for depth, width, stride in zip(
            inputs, self.channels[1:], self.strides[1:], strict=True
        ):
            adds = self.residual and stride == 1 and width == depth
            if self.use_depthwise:
                layers += [
                    Layer("depthwise", depth, stride),
                    Layer("pointwise", width, 1, adds),
                ]
            else:
                layers.append(Layer("conv", width, stride, adds))
        return layers

    @nn.compact
    def __call__(self, feature_btf, train=False):
        """Classifies windows.

        Args:
          feature_btf: log-mel features, [b, frames, mels] of `size`.
          train: normalise with and update batch statistics.

        Returns:
          Logits [b, classes] and a dictionary of `layer_N_byxi` after each ReLU
          (y is time, x is frequency) and `embed_bd`, their mean after the last.

        Raises:
          ValueError: the windows are not of `size`, or see `plan`.
        """
        if feature_btf.shape[1:] != self.size:
            raise ValueError(
                f"the windows have shape {feature_btf.shape}, expected "
                f"{('b', *self.size)} [b, frames, mels]; set size=(frames, mels) of "
                "the model to match its front end"
            )
        x_byxi, out = feature_btf[..., None], {}
        given_byxi = x_byxi
        for number, layer in enumerate(self.plan()):
            if layer.kind != "pointwise":
                given_byxi = x_byxi
            x_byxi = self._convolution(layer, f"conv_{number}")(x_byxi)
            x_byxi = BatchNorm(name=f"norm_{number}")(x_byxi, train)
            x_byxi = nn.relu(x_byxi + given_byxi if layer.adds else x_byxi)
            out[f"layer_{number}_byxi"] = x_byxi
        out["embed_bd"] = jnp.mean(x_byxi, axis=(1, 2))
        return Dense((self.classes,), name="dense")(out["embed_bd"]), out

    def _convolution(self, layer, name):
        if layer.kind == "conv":
            return StridedConv(
                layer.features, self.form, layer.stride, use_bias=False, name=name
            )
        if layer.kind == "depthwise":
            return DepthwiseConv(self.form, layer.stride, name=name)
        return PointwiseConv(layer.features, name=name)


# PyTorch's picture is [mels, frames], ours [frames, mels], one new row per hop.
_CONV2D = (weights.Leaf("weight", "kernel", "yxio -> oixy"),)


def weight_rules(dropout=False):
    """The PyTorch tree of the same model, with or without dropout between blocks.

    `features` is one nn.Sequential of convolution, norm and ReLU (and Dropout2d,
    which holds no weights but is counted); `classifier` is three modules, the last
    of which is the linear one.
    """
    step = 4 if dropout else 3
    return (
        (f"features.{{{step}*i}}", "conv_{i}", _CONV2D),
        (f"features.{{{step}*i+1}}", "norm_{i}", weights.batch_norm),
        ("classifier.2", "dense", weights.linear),
    )


WEIGHT_RULES = weight_rules()
