"""SpecAugment on the features of a speech encoder, on the device and from a key."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp


class SpecAugment(NamedTuple):
    """Spans of frames and of channels to hide in train mode.

    Attributes:
      time_share: upper bound of the share of frames hidden.
      time_length: frames per span.
      time_least: spans per example at least.
      channel_share: the same of channels.
      channel_length: channels per span.
      channel_least: spans of channels at least.
      active: False keeps the parameter of the checkpoint and hides nothing.
    """

    time_share: float = 0.05
    time_length: int = 10
    time_least: int = 2
    channel_share: float = 0.0
    channel_length: int = 10
    channel_least: int = 0
    active: bool = True

    @property
    def has_embedding(self):
        """Whether the checkpoint holds a vector that stands for hidden frames."""
        return self.time_share > 0 or self.channel_share > 0

    def hide(self, rng, x_btd, embedding_d, mask_bt=None):
        """Hides frames behind the embedding and sets channels to zero.

        Args:
          rng: a key.
          x_btd: features [b, t, d].
          embedding_d: what hidden frames become, [d].
          mask_bt: True where a frame is real; spans start there only.

        Returns:
          [b, t, d].
        """
        time_rng, channel_rng = jax.random.split(rng)
        batch, frames, width = x_btd.shape
        if self.time_share > 0:
            length_b = jnp.full(batch, frames) if mask_bt is None else mask_bt.sum(1)
            shape = self.time_share, self.time_length, self.time_least
            hidden_bt = spans(time_rng, length_b, frames, shape)
            x_btd = jnp.where(hidden_bt[:, :, None], embedding_d[None, None], x_btd)
        if self.channel_share > 0:
            length_b = jnp.full(batch, width)
            shape = self.channel_share, self.channel_length, self.channel_least
            hidden_bd = spans(channel_rng, length_b, width, shape)
            x_btd = jnp.where(hidden_bd[:, None, :], jnp.zeros_like(x_btd), x_btd)
        return x_btd


def spans(rng, length_b, size, shape):
    """Draws spans with different starts, as many as transformers does.

    Args:
      rng: a key.
      length_b: where spans have to end, by example.
      size: of the axis.
      shape: share of the axis, length of a span, spans at least.

    Returns:
      [b, size], True inside a span. An example shorter than a span has none.

    Source: `_compute_mask_indices` of transformers; its draws are others.
    """
    share, length, least = shape
    round_rng, start_rng = jax.random.split(rng)
    wanted_b = share * length_b / length + jax.random.uniform(round_rng)
    start_count_b = jnp.maximum(length_b - (length - 1), 0)
    count_b = jnp.maximum(wanted_b.astype(jnp.int32), least)
    count_b = jnp.minimum(jnp.minimum(count_b, size // length), start_count_b)
    draw_bt = jax.random.uniform(start_rng, (len(length_b), size))
    draw_bt = jnp.where(
        jnp.arange(size)[None] < start_count_b[:, None], draw_bt, jnp.inf
    )
    rank_bt = jnp.argsort(jnp.argsort(draw_bt, axis=1), axis=1)
    started_bt = jnp.cumsum(rank_bt < count_b[:, None], axis=1)
    ended_bt = jnp.pad(started_bt, ((0, 0), (length, 0)))[:, :size]
    return started_bt > ended_bt


def hide_frames(encoder, x_btd, mask_bt, train, hidden_bt):
    """Hides frames of [b, t, d] behind the embedding that `encoder` has for it.

    Args:
      encoder: a module with `augment`, inside its compact method.
      x_btd: [b, t, d].
      mask_bt: real frames, or None.
      train: draw frames and channels to hide.
      hidden_bt: frames to hide, or None to draw them.

    Returns:
      [b, t, d].
    """
    augment = encoder.augment
    if not augment.has_embedding:
        return x_btd
    shape = x_btd.shape[-1:]
    embedding_d = encoder.param("mask_embedding", nn.initializers.uniform(1.0), shape)
    embedding_d = embedding_d.astype(x_btd.dtype)
    if hidden_bt is not None:
        x_btd = jnp.where(hidden_bt[:, :, None], embedding_d[None, None], x_btd)
        augment = augment._replace(time_share=0.0)
    if train and augment.active:
        x_btd = augment.hide(encoder.make_rng("dropout"), x_btd, embedding_d, mask_bt)
    return x_btd
