"""Attention a block of scores at a time, so that memory is linear in length."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from distill_jax.models import attention

# From so many frames on blocks are faster: on a CPU a block stays in the cache.
LONG = {"cpu": 256, "other": 1024}


class Blocks(NamedTuple):
    """How scores are cut up.

    Attributes:
      queries: of a block.
      keys: of a block.
      one_head: one head of one example after another. Three times as fast on a CPU,
        whose cache then holds the block; accelerators would idle.
    """

    queries: int = 256
    keys: int = 512
    one_head: bool = False


class Table(NamedTuple):
    """Embeddings of distances, see `attention.relative_key_scores`.

    Attributes:
      row_rk: [r, k].
      left: the distance to the left that is the first row.
    """

    row_rk: jax.Array
    left: int


class Drop(NamedTuple):
    """Dropout of attention weights.

    Attributes:
      rate: probability of a zero.
      rng: a key; every block draws from its own.
    """

    rate: float
    rng: jax.Array

    def folded(self, number):
        """The same with another key for every number."""
        return self._replace(rng=jax.random.fold_in(self.rng, number))

    def factor(self, shape):
        """Zeros, and what makes up for them."""
        keep = jax.random.bernoulli(self.rng, 1.0 - self.rate, shape)
        return keep / (1.0 - self.rate)


class _Running(NamedTuple):
    """The softmax of a row as far as its blocks are read.

    Attributes:
      top_bht: the largest score so far.
      total_bht: the sum of the weights, with respect to it.
      mixed_bhtk: the values, weighed.
    """

    top_bht: jax.Array
    total_bht: jax.Array
    mixed_bhtk: jax.Array


def prefers_blocks(frames):
    """Whether blocks are the faster form for so many frames, on this backend."""
    return frames >= LONG.get(jax.default_backend(), LONG["other"])


def block_attention(qkv, mask_bu=None, table=None, blocks=None, drop=None):
    """Equals `attention.weigh` of the scores, without ever holding them.

    Where all keys of a block are further away than the table reaches, a query adds
    the same to the scores of all of them: only blocks on the diagonal read the table.
    The backward pass makes every block again.

    Args:
      qkv: queries [b, h, t, k], keys and values [b, h, u, k].
      mask_bu: True where a frame may be attended to, or None.
      table: embeddings of distances, or None.
      blocks: their sizes, `Blocks`; None for what suits the backend.
      drop: dropout of weights, `Drop`, or None.

    Returns:
      [b, h, t, k] in the dtype of the values.

    Source: Rabe and Staats 2021; Shaw et al. 2018.
    """
    blocks = blocks or Blocks(one_head=jax.default_backend() == "cpu")
    batch, heads, keys = qkv[1].shape[:3]
    if mask_bu is None:
        mask_bu = jnp.ones((batch, keys), bool)
    if not blocks.one_head:
        return _heads(qkv, mask_bu, table, blocks, drop)

    def head(lane):
        number, *lane_qkv, mask_u = lane
        lane_qkv = tuple(x_tk[None, None] for x_tk in lane_qkv)
        lane_drop = drop and drop.folded(number)
        return _heads(lane_qkv, mask_u[None], table, blocks, lane_drop)[0, 0]

    lanes = [x_bhtk.reshape(-1, *x_bhtk.shape[2:]) for x_bhtk in qkv]
    mask_nu = jnp.repeat(mask_bu, heads, axis=0)
    mixed_ntk = lax.map(head, (jnp.arange(len(mask_nu)), *lanes, mask_nu))
    return mixed_ntk.reshape(batch, heads, *mixed_ntk.shape[1:])


def _heads(qkv, mask_bu, table, blocks, drop):
    """Attends with all heads at once, a block of queries after another."""
    query_bhtk, key_bhuk, value_bhuk = qkv
    query_nbhtk = split_blocks(query_bhtk, blocks.queries)
    column_n = (
        split_blocks(key_bhuk, blocks.keys),
        split_blocks(value_bhuk, blocks.keys),
        split_blocks(_least_of(mask_bu)[:, None, :, None], blocks.keys, -jnp.inf),
    )

    @jax.checkpoint
    def row(step):
        start, query_bhtk = step
        return _row(start, query_bhtk, column_n, table, drop and drop.folded(start))

    start_n = jnp.arange(len(query_nbhtk)) * blocks.queries
    mixed_nbhtk = lax.map(row, (start_n, query_nbhtk))
    mixed_bhtk = jnp.moveaxis(mixed_nbhtk, 0, 2)
    shape = (*query_bhtk.shape[:2], -1, value_bhuk.shape[3])
    mixed_bhtk = mixed_bhtk.reshape(shape)
    return mixed_bhtk[:, :, : query_bhtk.shape[2]].astype(value_bhuk.dtype)


def _least_of(seen_bu):
    """What is put in place of the score of a key, where it is not zero."""
    return jnp.where(seen_bu, 0.0, jnp.finfo(jnp.float32).min)


def _row(start, query_bhtk, column_n, table, drop):
    """Attends from a block of queries, the first of which is frame `start`."""
    columns = column_n[0].shape[3]
    end_bht2 = None
    if table is not None:
        end_2k = jnp.stack([table.row_rk[0], table.row_rk[-1]])
        end_bht2 = attention.scores(query_bhtk, end_2k[None, None])

    @jax.checkpoint
    def column(running, step):
        index, key_bhuk, value_bhuk, least_b1u1 = step
        score_bhtu = attention.scores(query_bhtk, key_bhuk)
        if table is not None:
            first = index * columns - start
            score_bhtu = _with_positions(score_bhtu, query_bhtk, end_bht2, table, first)
        least_b11u = least_b1u1.swapaxes(2, 3)
        score_bhtu = jnp.where(least_b11u == 0, score_bhtu, least_b11u)
        factor_bhtu = drop and drop.folded(index).factor(score_bhtu.shape)
        return _read(running, score_bhtu, value_bhuk, factor_bhtu), None

    dtype = jnp.promote_types(query_bhtk.dtype, jnp.float32)
    nothing_bht = jnp.zeros(query_bhtk.shape[:3], dtype)
    nothing_bhtk = jnp.zeros((*query_bhtk.shape[:3], column_n[1].shape[-1]), dtype)
    running = _Running(nothing_bht - jnp.inf, nothing_bht, nothing_bhtk)
    running, _ = lax.scan(column, running, (jnp.arange(len(column_n[0])), *column_n))
    return running.mixed_bhtk / running.total_bht[..., None]


def _with_positions(score_bhtu, query_bhtk, end_bht2, table, first):
    rows, columns = score_bhtu.shape[2:]
    right = len(table.row_rk) - 1 - table.left
    is_near = (first + columns - 1 > -table.left) & (first - (rows - 1) < right)

    def near():
        return score_bhtu + attention.relative_key_scores(
            query_bhtk, table.row_rk, table.left, first, columns
        )

    def far():
        left_bht, right_bht = end_bht2[..., 0], end_bht2[..., 1]
        return score_bhtu + jnp.where(first > 0, right_bht, left_bht)[..., None]

    return lax.cond(is_near, near, far)


def _read(running, score_bhtu, value_bhuk, factor_bhtu):
    """Adds a block of keys to the softmax of a row."""
    # The result does not depend on what is subtracted, so neither do its gradients.
    top_bht = lax.stop_gradient(jnp.maximum(running.top_bht, score_bhtu.max(axis=-1)))
    weight_bhtu = jnp.exp(score_bhtu - top_bht[..., None])
    shrink_bht = jnp.exp(running.top_bht - top_bht)
    total_bht = running.total_bht * shrink_bht + weight_bhtu.sum(axis=-1)
    if factor_bhtu is not None:
        weight_bhtu = weight_bhtu * factor_bhtu
    mixed_bhtk = jnp.einsum(
        "bhtu,bhuk->bhtk",
        weight_bhtu.astype(value_bhuk.dtype),
        value_bhuk,
        preferred_element_type=running.mixed_bhtk.dtype,
    )
    return _Running(
        top_bht,
        total_bht,
        running.mixed_bhtk * shrink_bht[..., None] + mixed_bhtk,
    )


def split_blocks(x_bhtk, size, fill=0):
    """[b, h, t, k] to [n, b, h, size, k], filled up at the end."""
    batch, heads, frames, width = x_bhtk.shape
    pads = ((0, 0), (0, 0), (0, -frames % size), (0, 0))
    padded = jnp.pad(x_bhtk, pads, constant_values=fill)
    blocks = padded.reshape(batch, heads, -1, size, width)
    return jnp.moveaxis(blocks, 2, 0)
