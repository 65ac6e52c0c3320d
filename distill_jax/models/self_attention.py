"""Self-attention with the positions of a conformer, or none."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from distill_jax.models import attention
from distill_jax.models.long_attention import (
    Drop,
    Table,
    block_attention,
    prefers_blocks,
)
from distill_jax.models.transformer import dropout


class Positions(NamedTuple):
    """How attention is told positions.

    Attributes:
      kind: "relative_key" (Shaw et al. 2018), "relative" (Transformer-XL), "rotary",
        or "none".
      left: the largest distance to the left that has an embedding of its own.
      right: to the right.
      base: of the wavelengths of "rotary".
    """

    kind: str = "relative_key"
    left: int = 64
    right: int = 8
    base: float = 10000.0


class Context(NamedTuple):
    """What every layer of a stack is given besides its input.

    Attributes:
      mask_bt: True where a frame is real, or None.
      bias_htu: what WavLM adds to scores before it is gated, or None.
    """

    mask_bt: jax.Array | None = None
    bias_htu: jax.Array | None = None


class SelfAttention(nn.Module):
    """Attention with one of four kinds of positions.

    Attributes:
      heads: number of heads.
      positions: how it is told positions.
      drop: share of the weights set to zero in train mode.
      form: "dense" holds all scores, "blocks" a block of them at a time, which all
        but "relative" can do; "auto" takes blocks for long inputs.
    """

    heads: int
    positions: Positions
    drop: float = 0.0
    form: str = "auto"

    @nn.compact
    def __call__(self, x_btd, context, train=False):
        """Attends from every frame of [b, t, d] to all that `context` has as real."""
        width = x_btd.shape[-1]
        turned_btd = self._rotated(x_btd)
        query, key, value = (
            attention.split_heads(nn.Dense(width, name=name)(source), self.heads)
            for name, source in [
                ("query", turned_btd),
                ("key", turned_btd),
                ("value", x_btd),
            ]
        )
        mixed_bhtk = self._attend(query, key, value, (context.mask_bt, train))
        return nn.Dense(width, name="out")(attention.merge_heads(mixed_bhtk))

    def _rotated(self, x_btd):
        if self.positions.kind != "rotary":
            return x_btd
        x_bhtk = attention.split_heads(x_btd, self.heads)
        return attention.merge_heads(attention.rotate(x_bhtk, self.positions.base))

    def _attend(self, query, key, value, call):
        mask_bt, train = call
        table_rk = self._table(query.shape[-1])
        if self._in_blocks(query.shape[2]):
            table = None if table_rk is None else Table(table_rk, self.positions.left)
            drop = None
            if train and self.drop > 0:
                drop = Drop(self.drop, self.make_rng("dropout"))
            return block_attention((query, key, value), mask_bt, table, drop=drop)
        if self.positions.kind == "relative":
            score_bhtu = self._transformer_xl(query, key)
        else:
            score_bhtu = attention.scores(query, key)
        if table_rk is not None:
            score_bhtu += attention.relative_key_scores(
                query, table_rk, self.positions.left
            )
        drop = (lambda weight: dropout(self.drop, weight, True)) if train else None
        return attention.weigh(score_bhtu, value, mask_bt, drop)

    def _in_blocks(self, frames):
        able = self.positions.kind != "relative"
        if self.form == "blocks" and not able:
            raise ValueError(
                "attention in blocks has no positions 'relative'; set form='auto' or "
                "'dense'"
            )
        auto = self.form == "auto" and able and prefers_blocks(frames)
        return self.form == "blocks" or auto

    def _table(self, width):
        if self.positions.kind != "relative_key":
            return None
        rows = self.positions.left + self.positions.right + 1
        return self.param("distance", nn.initializers.normal(0.02), (rows, width))

    def _transformer_xl(self, query, key):
        """Scores of content and position, each with a bias of the query."""
        shape = (self.heads, query.shape[-1])
        bias_init = nn.initializers.xavier_uniform()
        content_hk = self.param("content_bias", bias_init, shape)
        position_hk = self.param("position_bias", bias_init, shape)
        width = self.heads * query.shape[-1]
        wave_rd = attention.sinusoids(query.shape[2], width).astype(query.dtype)
        wave_1rd = nn.Dense(width, use_bias=False, name="position")(wave_rd[None])
        wave_1hrk = attention.split_heads(wave_1rd, self.heads)
        wave_bhrk = jnp.broadcast_to(wave_1hrk, (len(query), *wave_1hrk.shape[1:]))
        score_bhtr = attention.scores(query + position_hk[None, :, None], wave_bhrk)
        moved_bhtu = attention.shift_rows(score_bhtr)[..., : key.shape[2]]
        return attention.scores(query + content_hk[None, :, None], key) + moved_bhtu
