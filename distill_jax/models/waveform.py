"""What turns a waveform into frames: strided convolutions, and their positions."""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax import lax

from distill_jax.models.layers import BatchNorm
from distill_jax.models.transformer import ACTIVATIONS, layer_norm

NORM_EPSILON = 1e-5  # torch's own: the config's is not meant for these


class WaveformSizes(NamedTuple):
    """The convolutions over a waveform.

    Attributes:
      widths: channels of each.
      kernel_sizes: taps of each.
      strides: steps of each.
      bias: whether they have one; the norm says nothing about it.
      norm: "group": the first one's channels are normalised over time; "layer":
        every frame of every one is.
      activation: a key of ACTIVATIONS, after each norm.
    """

    widths: tuple[int, ...] = (512,) * 7
    kernel_sizes: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    bias: bool = False
    norm: str = "group"
    activation: str = "gelu"

    def frames(self, length):
        """Frames that come of so many samples, not above 0 if there are too few.

        Args:
          length: a number of samples, or an array of them.

        Returns:
          The same of frames.
        """
        for kernel_size, stride in zip(self.kernel_sizes, self.strides, strict=True):
            length = (length - kernel_size) // stride + 1
        return length

    @property
    def fewest(self):
        """Samples that make one frame."""
        length = 1
        kinds = zip(self.kernel_sizes[::-1], self.strides[::-1], strict=True)
        for kernel_size, stride in kinds:
            length = (length - 1) * stride + kernel_size
        return length


class WaveformEncoder(nn.Module):
    """The convolutions, each with a norm, if it has one, and an activation.

    With norm "group" the padding of a batch takes part in the norm and changes the
    real frames, as in transformers.

    Attributes:
      sizes: of the convolutions.
    """

    sizes: WaveformSizes

    @nn.compact
    def __call__(self, wave_bs):
        """Maps [b, s] to [b, t, d].

        Raises:
          ValueError: the waveform is too short for a frame.
        """
        sizes, x_bti = self.sizes, wave_bs[:, :, None]
        if wave_bs.shape[1] < sizes.fewest:
            raise ValueError(
                f"the waveform has {wave_bs.shape[1]} samples, a frame needs "
                f"{sizes.fewest}; pad it, and mask the padding"
            )
        kinds = zip(sizes.widths, sizes.kernel_sizes, sizes.strides, strict=True)
        for index, (width, kernel_size, stride) in enumerate(kinds):
            conv = Conv(width, kernel_size, stride, sizes.bias, name=f"conv_{index}")
            x_bti = conv(x_bti)
            if sizes.norm == "layer":
                x_bti = layer_norm(f"norm_{index}", NORM_EPSILON)(x_bti)
            elif index == 0:
                x_bti = TimeNorm(name="norm_0")(x_bti)
            x_bti = ACTIVATIONS[sizes.activation](x_bti)
        return x_bti


class Conv(nn.Module):
    """A strided convolution without padding.

    Attributes:
      width: channels out.
      kernel_size: taps.
      stride: steps.
      bias: whether it has one.
    """

    width: int
    kernel_size: int
    stride: int
    bias: bool

    @nn.compact
    def __call__(self, x_bti):
        """Maps [b, t, i] to [b, (t - taps) // stride + 1, o]."""
        shape = (self.kernel_size, x_bti.shape[-1], self.width)
        kernel_wio = self.param("kernel", nn.initializers.he_normal(), shape)
        convolve = conv_of_one if x_bti.shape[-1] == 1 else conv_of_many
        # Audio comes in float32 whatever the type of the weights; frames have theirs.
        y_bto = convolve(x_bti, kernel_wio, self.stride).astype(kernel_wio.dtype)
        if not self.bias:
            return y_bto
        bias_o = self.param("bias", nn.initializers.zeros, (self.width,))
        return y_bto + bias_o[None, None]


def conv_of_many(x_bti, kernel_wio, stride):
    """A strided convolution without padding, [b, t, i] to [b, t, o]."""
    return lax.conv_general_dilated(
        x_bti, kernel_wio, (stride,), "VALID", dimension_numbers=("NWC", "WIO", "NWC")
    )


def conv_of_one(x_bt1, kernel_w1o, stride):
    """The same of one channel, ten times as fast on a CPU."""
    taps, frames = len(kernel_w1o), x_bt1.shape[1]
    last = (frames - taps) // stride * stride
    return sum(
        x_bt1[:, tap : tap + last + 1 : stride] * kernel_w1o[None, tap]
        for tap in range(taps)
    )


class TimeNorm(nn.Module):
    """Normalises every channel over time: torch's GroupNorm of groups of one."""

    @nn.compact
    def __call__(self, x_bti):
        """Maps [b, t, i] to [b, t, i]."""
        shape = x_bti.shape[-1:]
        scale_i = self.param("scale", nn.initializers.ones, shape)
        bias_i = self.param("bias", nn.initializers.zeros, shape)
        wide_bti = x_bti.astype(jnp.promote_types(x_bti.dtype, jnp.float32))
        centred_bti = wide_bti - wide_bti.mean(axis=1, keepdims=True)
        var_b1i = jnp.mean(centred_bti**2, axis=1, keepdims=True)
        normed_bti = centred_bti * lax.rsqrt(var_b1i + NORM_EPSILON)
        y_bti = normed_bti * scale_i[None, None] + bias_i[None, None]
        return y_bti.astype(x_bti.dtype)


class PositionSizes(NamedTuple):
    """The convolution that tells an encoder positions.

    Attributes:
      kernel_size: taps.
      groups: of channels that see each other.
      batch_norm: normalise its input, and not its kernel.
    """

    kernel_size: int = 128
    groups: int = 16
    batch_norm: bool = False


class PositionConv(nn.Module):
    """A wide grouped convolution, whose kernel has a length for every tap.

    Attributes:
      sizes: of the convolution.
      activation: a key of ACTIVATIONS, after it.
    """

    sizes: PositionSizes
    activation: str

    @nn.compact
    def __call__(self, x_btd, train=False):
        """Maps [b, t, d] to [b, t, d]."""
        taps, groups = self.sizes.kernel_size, self.sizes.groups
        if self.sizes.batch_norm:
            x_btd = BatchNorm(name="batch_norm")(x_btd[:, None], train)[:, 0]
        width = x_btd.shape[-1]
        bias_d = self.param("bias", nn.initializers.zeros, (width,))
        # An even kernel has one tap more on the left.
        pads = (taps // 2, (taps - 1) // 2)
        y_btd = lax.conv_general_dilated(
            x_btd,
            self._kernel((taps, width // groups, width)).astype(x_btd.dtype),
            (1,),
            [pads],
            dimension_numbers=("NWC", "WIO", "NWC"),
            feature_group_count=groups,
        )
        return ACTIVATIONS[self.activation](y_btd + bias_d[None, None])

    def _kernel(self, shape):
        kernel_init = nn.initializers.he_normal()
        if self.sizes.batch_norm:
            return self.param("kernel", kernel_init, shape)
        direction_wio = self.param("direction", kernel_init, shape)
        norm_w11 = jnp.sqrt(jnp.sum(direction_wio**2, axis=(1, 2), keepdims=True))
        length_w = self.param("length", lambda _: norm_w11[:, 0, 0])
        return direction_wio * (length_w[:, None, None] / norm_w11)
