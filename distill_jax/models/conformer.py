"""The conformer layer of Wav2Vec2-BERT."""

import flax.linen as nn
import jax.numpy as jnp

from distill_jax.models.self_attention import Positions, SelfAttention
from distill_jax.models.transformer import (
    ACTIVATIONS,
    Dropouts,
    FeedForward,
    dropout,
    layer_norm,
    zero_padding,
)


class ConvModule(nn.Module):
    """Gated causal depthwise convolution.

    Attributes:
      kernel_size: frames that it sees, the last of them the current one.
      activation: a key of ACTIVATIONS.
      epsilon: of the norms.
      drop: share of the result set to zero in train mode.
    """

    kernel_size: int
    activation: str
    epsilon: float
    drop: float = 0.0

    @nn.compact
    def __call__(self, x_btd, mask_bt=None, train=False):
        """Maps [b, t, d] to [b, t, d]; padding counts as zero."""
        width = x_btd.shape[-1]
        x_btd = zero_padding(layer_norm("norm", self.epsilon)(x_btd), mask_bt)
        gated_bto = nn.Dense(2 * width, use_bias=False, name="gate")(x_btd)
        x_btd = nn.glu(gated_bto)
        x_btd = DepthwiseConv(self.kernel_size, name="depthwise")(x_btd)
        x_btd = layer_norm("depthwise_norm", self.epsilon)(x_btd)
        x_btd = ACTIVATIONS[self.activation](x_btd)
        y_btd = nn.Dense(width, use_bias=False, name="out")(x_btd)
        return dropout(self.drop, y_btd, train)


class DepthwiseConv(nn.Module):
    """A causal convolution of every channel with a kernel of its own.

    Attributes:
      kernel_size: taps, the last of them at the current frame.
    """

    kernel_size: int

    @nn.compact
    def __call__(self, x_btd):
        """Maps [b, t, d] to [b, t, d]."""
        taps, (_, frames, width) = self.kernel_size, x_btd.shape
        kernel_init = nn.initializers.he_normal()
        kernel_w1d = self.param("kernel", kernel_init, (taps, 1, width))
        # A sum of shifted copies: XLA's grouped convolution takes eleven times as
        # long on a CPU.
        padded_btd = jnp.pad(x_btd, ((0, 0), (taps - 1, 0), (0, 0)))
        return sum(
            padded_btd[:, tap : tap + frames] * kernel_w1d[None, tap]
            for tap in range(taps)
        )


class ConformerLayer(nn.Module):
    """Half a feed-forward, attention, convolution, half a feed-forward, norm.

    Attributes:
      heads: of the attention.
      inner: width between the dense layers of a feed-forward.
      kernel_size: taps of the depthwise convolution.
      activation: a key of ACTIVATIONS, of the feed-forward and the convolution.
      epsilon: of every norm.
      positions: of the attention.
      dropouts: see `Dropouts`.
      form: of the attention, see `SelfAttention`.

    Source: Gulati et al. 2020, with a causal convolution and its norm over channels.
    """

    heads: int
    inner: int
    kernel_size: int
    activation: str
    epsilon: float
    positions: Positions
    dropouts: Dropouts = Dropouts()
    form: str = "auto"

    @nn.compact
    def __call__(self, x_btd, context, train=False):
        """Maps [b, t, d] to [b, t, d]; `context` is a `Context`."""
        mask_bt, drops = context.mask_bt, self.dropouts
        x_btd = x_btd + 0.5 * self._feed_forward(1, x_btd, train)
        attend = SelfAttention(
            self.heads, self.positions, drops.attention, self.form, name="attention"
        )
        normed_btd = layer_norm("attention_norm", self.epsilon)(x_btd)
        mixed_btd = attend(normed_btd, context, train)
        x_btd = x_btd + dropout(drops.attention, mixed_btd, train)
        convolve = ConvModule(
            self.kernel_size, self.activation, self.epsilon, drops.conv, name="conv"
        )
        x_btd = x_btd + convolve(x_btd, mask_bt, train)
        x_btd = x_btd + 0.5 * self._feed_forward(2, x_btd, train)
        return layer_norm("final_norm", self.epsilon)(x_btd)

    def _feed_forward(self, number, x_btd, train):
        name = f"feed_forward_{number}"
        normed_btd = layer_norm(f"{name}_norm", self.epsilon)(x_btd)
        half = FeedForward(self.inner, self.activation, self.dropouts, name=name)
        return half(normed_btd, train)
