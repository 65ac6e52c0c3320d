"""The gated relative positions of WavLM."""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from distill_jax.models import attention
from distill_jax.models.transformer import dropout


class Buckets(NamedTuple):
    """Distances that share a bias.

    Attributes:
      count: of buckets, one half for each direction.
      farthest: the distance from which on all are in the last one.
    """

    count: int = 320
    farthest: int = 800

    def of(self, distance_r):
        """The bucket of each distance key - query, integers in and out.

        Source: T5 (Raffel et al. 2020), in the rounding of transformers: float32.
        """
        half = self.count // 2
        exact = half // 2
        far_r = np.abs(distance_r)
        scaled_r = np.log(np.maximum(far_r, 1).astype(np.float32) / np.float32(exact))
        scaled_r = scaled_r / np.float32(math.log(self.farthest / exact))
        large_r = (exact + scaled_r * np.float32(half - exact)).astype(np.int64)
        bucket_r = np.where(far_r < exact, far_r, np.minimum(large_r, half - 1))
        return bucket_r + half * (distance_r > 0)


class BucketBias(nn.Module):
    """A bias for every bucket of distances and every head.

    Attributes:
      heads: h.
      buckets: how distances are put into them.
    """

    heads: int
    buckets: Buckets

    @nn.compact
    def __call__(self, frames):
        """Gives [h, frames, frames], to be gated."""
        shape = (self.buckets.count, self.heads)
        bias_nh = self.param("embedding", nn.initializers.normal(1.0), shape)
        bias_rh = bias_nh[self.buckets.of(np.arange(1 - frames, frames))]
        bias_1h1r = bias_rh.T[None, :, None]
        row_1htr = jnp.broadcast_to(bias_1h1r, (1, self.heads, frames, 2 * frames - 1))
        return attention.shift_rows(row_1htr)[0, :, :, :frames]


class GatedAttention(nn.Module):
    """Attention whose bias of distances every query scales for itself.

    Attributes:
      heads: h.
      drop: share of the weights set to zero in train mode.

    Source: Chen et al. 2022, WavLM, eq. 4 to 6.
    """

    heads: int
    drop: float = 0.0

    @nn.compact
    def __call__(self, x_btd, context, train=False):
        """Attends from every frame of [b, t, d] to all that `context` has as real."""
        width = x_btd.shape[-1]
        query, key, value = (
            attention.split_heads(nn.Dense(width, name=name)(x_btd), self.heads)
            for name in ("query", "key", "value")
        )
        gate_bht1 = self._gate(attention.split_heads(x_btd, self.heads))
        score_bhtu = attention.scores(query, key) + gate_bht1 * context.bias_htu[None]
        drop = (lambda weight: dropout(self.drop, weight, True)) if train else None
        mixed_bhtk = attention.weigh(score_bhtu, value, context.mask_bt, drop)
        return nn.Dense(width, name="out")(attention.merge_heads(mixed_bhtk))

    def _gate(self, x_bhtk):
        gate_bht8 = nn.Dense(8, name="gate")(x_bhtk)
        half_bht2 = gate_bht8.reshape(*gate_bht8.shape[:3], 2, 4).sum(axis=-1)
        shape = (1, self.heads, 1, 1)
        constant_1h11 = self.param("gate_constant", nn.initializers.ones, shape)
        first, second = jnp.split(jax.nn.sigmoid(half_bht2), 2, axis=-1)
        return first * (second * constant_1h11 - 1.0) + 2.0
