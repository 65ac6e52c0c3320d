"""Adapters: layers that shorten the result of an encoder, or fit it to a language."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn

from distill_jax.models.self_attention import Context, Positions, SelfAttention
from distill_jax.models.transformer import (
    Dropouts,
    FeedForward,
    dropout,
    layer_norm,
    length_mask,
)


class AdapterSizes(NamedTuple):
    """Layers after the encoder that shorten its result.

    Attributes:
      count: how many.
      width: of the result.
      kernel_size: taps of their convolutions.
      stride: frames per step of each.
      activation: of the feed-forward of a layer, if it has one.
      feed_forward: whether half a feed-forward comes before them.
    """

    count: int
    width: int
    kernel_size: int = 3
    stride: int = 2
    activation: str = "relu"
    feed_forward: bool = False


class GatedConv(nn.Module):
    """A strided convolution to twice the channels, half of which gate the others.

    Attributes:
      kernel_size: taps.
      stride: frames per step.
      padding: zeros on either side.
    """

    kernel_size: int
    stride: int
    padding: int

    @nn.compact
    def __call__(self, x_btd, *_):
        """Maps [b, t, d] to [b, (t + 2 padding - taps) // stride + 1, d]."""
        conv = nn.Conv(
            2 * x_btd.shape[-1],
            (self.kernel_size,),
            (self.stride,),
            [(self.padding, self.padding)],
            name="conv",
        )
        return nn.glu(conv(x_btd))


class ConformerAdapterLayer(nn.Module):
    """The same convolution for residual and attention, then a feed-forward.

    Attributes:
      heads: of the attention, which knows no positions.
      inner: width between the dense layers of the feed-forward.
      kernel_size: taps of both convolutions.
      stride: their frames per step.
      activation: of the feed-forward.
      epsilon: of every norm.
      dropouts: see `Dropouts`.
    """

    heads: int
    inner: int
    kernel_size: int
    stride: int
    activation: str
    epsilon: float
    dropouts: Dropouts = Dropouts()

    @nn.compact
    def __call__(self, x_btd, length_b=None, train=False):
        """Maps [b, t, d] to a shorter [b, t, d] of which `length_b` are real."""
        residual_btd = self._shorten("residual", x_btd)
        x_btd = self._shorten("attention", x_btd)
        mask_bt = None if length_b is None else length_mask(length_b, x_btd.shape[1])
        drops = self.dropouts
        attend = SelfAttention(
            self.heads, Positions("none"), drops.attention, "dense", name="attention"
        )
        x_btd = dropout(drops.conv, attend(x_btd, Context(mask_bt), train), train)
        x_btd = x_btd + residual_btd
        normed_btd = layer_norm("feed_forward_norm", self.epsilon)(x_btd)
        feed_forward = FeedForward(
            self.inner, self.activation, drops, name="feed_forward"
        )
        return x_btd + feed_forward(normed_btd, train)

    def _shorten(self, name, x_btd):
        normed_btd = layer_norm(f"{name}_norm", self.epsilon)(x_btd)
        padding = self.stride // 2  # not half the kernel: so are the checkpoints
        sizes = (self.kernel_size, self.stride, padding)
        return GatedConv(*sizes, name=f"{name}_conv")(normed_btd)


class Adapter(nn.Module):
    """Perhaps a projection, then layers that each shorten.

    No layer is skipped in train mode: the result would have another length.

    Attributes:
      make: gives a layer, `make(name=...)`, called with (x_btd, length_b, train).
      count: how many.
      width: of the result.
      epsilon: of the norm after the projection.
      shorten: maps the real frames that a layer is given to those it makes.
    """

    make: Callable
    count: int
    width: int
    epsilon: float
    shorten: Callable

    @nn.compact
    def __call__(self, x_btd, mask_bt=None, train=False):
        """Maps [b, t, d] and its mask to a shorter [b, t, width] and its mask."""
        length_b = None if mask_bt is None else mask_bt.sum(axis=1)
        if x_btd.shape[-1] != self.width:
            x_btd = nn.Dense(self.width, name="projection")(x_btd)
            x_btd = layer_norm("projection_norm", self.epsilon)(x_btd)
        for index in range(self.count):
            length_b = None if length_b is None else self.shorten(length_b)
            x_btd = self.make(name=f"stage_{index}")(x_btd, length_b, train)
        if length_b is not None:
            mask_bt = length_mask(length_b, x_btd.shape[1])
        return x_btd, mask_bt


class LanguageAdapter(nn.Module):
    """Norm, two dense layers and a ReLU, one set for each language (MMS, 2023).

    Attributes:
      inner: width between the two.
    """

    inner: int

    @nn.compact
    def __call__(self, x_btd):
        """Maps [b, t, d] to [b, t, d]."""
        inner_bto = nn.Dense(self.inner, name="inner")(layer_norm("norm", 1e-5)(x_btd))
        return nn.Dense(x_btd.shape[-1], name="outer")(nn.relu(inner_bto))
