"""Attention a few rows of scores at a time, so that memory is linear in length."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from distill_jax.models import attention

# From so many frames on blocks are faster: on a CPU a block stays in the cache.
LONG = {"cpu": 256, "other": 1024}
QUERIES = 256  # of a block at most
SCORES = 2**26  # of a block at most, over all heads and examples
FEW = 16  # queries and keys of a block are a multiple of this


class Blocks(NamedTuple):
    """How scores are cut up.

    Attributes:
      queries: of a block, all of whose scores are held; None for what suits the shape.
      one_head: one head of one example after another. Three times as fast on a CPU,
        whose cache then holds the block; accelerators would idle.
    """

    queries: int | None = None
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


def prefers_blocks(frames):
    """Whether blocks are the faster form for so many frames, on this backend."""
    return frames >= LONG.get(jax.default_backend(), LONG["other"])


def block_attention(qkv, mask_bu=None, table=None, blocks=None, drop=None):
    """Equals `attention.weigh` of the scores, without ever holding all of them.

    Beyond the reach of the table a query adds the same to the scores of all keys:
    only a band along the diagonal reads its rows. The backward pass makes every
    block again.

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
    queries = blocks.queries or queries_of(query_bhtk.shape[:3])
    query_nbhtk = split_blocks(query_bhtk, queries)
    extra = _missing_keys(key_bhuk.shape[2], queries, table)
    pads = ((0, 0), (0, 0), (0, extra), (0, 0))
    key_bhuk, value_bhuk = jnp.pad(key_bhuk, pads), jnp.pad(value_bhuk, pads)
    least_bu = jnp.where(mask_bu, 0.0, jnp.finfo(jnp.float32).min)
    least_bu = jnp.pad(least_bu, ((0, 0), (0, extra)), constant_values=-jnp.inf)

    @jax.checkpoint
    def rows(block):
        start, query_bhtk = block
        score_bhtu = attention.scores(query_bhtk, key_bhuk)
        if table is not None:
            score_bhtu = _with_positions(score_bhtu, query_bhtk, table, start)
        score_bhtu += least_bu[:, None, None]
        return _mixed(score_bhtu, value_bhuk, drop and drop.folded(start))

    start_n = jnp.arange(len(query_nbhtk)) * queries
    mixed_nbhtk = lax.map(rows, (start_n, query_nbhtk))
    shape = (*query_bhtk.shape[:2], -1, value_bhuk.shape[3])
    mixed_bhtk = jnp.moveaxis(mixed_nbhtk, 0, 2).reshape(shape)
    return mixed_bhtk[:, :, : query_bhtk.shape[2]].astype(value_bhuk.dtype)


def _missing_keys(keys, queries, table):
    """How many keys that nobody sees to add.

    The band of a block is as wide as its reach, so there must be as many; and a
    multiple of 16 fills whole tiles of the products.
    """
    least = 0 if table is None else queries - 1 + len(table.row_rk)
    return -(-max(keys, least) // FEW) * FEW - keys


def queries_of(shape):
    """Queries of a block: as many as memory allows, and blocks of one size.

    Args:
      shape: examples, heads and frames.
    """
    batch, heads, frames = shape
    most = max(FEW, min(QUERIES, SCORES // (batch * heads * frames)))
    least = -(-frames // -(-frames // most))
    return -(-least // FEW) * FEW


def _with_positions(score_bhtu, query_bhtk, table, start):
    """Adds what the distance between query and key does to their score.

    The ends of the table reach everywhere; on the band the difference to them is
    added where it belongs.
    """
    queries, keys = score_bhtu.shape[2:]
    rows = len(table.row_rk)
    place_bhtr = attention.scores(query_bhtk, table.row_rk[None, None])
    first_bht1, last_bht1 = place_bhtr[..., :1], place_bhtr[..., -1:]
    is_left_r = jnp.arange(rows) < table.left
    change_bhtr = place_bhtr - jnp.where(is_left_r, first_bht1, last_bht1)
    query_t, key_u = start + jnp.arange(queries), jnp.arange(keys)
    is_left_tu = key_u[None, :] < query_t[:, None]
    score_bhtu += jnp.where(is_left_tu, first_bht1, last_bht1)
    return _add_columns(score_bhtu, _slanted(change_bhtr), start - table.left)


def _slanted(x_bhtr):
    """Row t moved t columns to the right: [b, h, t, r] to [b, h, t, t - 1 + r]."""
    *outer, rows, columns = x_bhtr.shape
    padded = jnp.pad(x_bhtr, ((0, 0),) * 3 + ((0, rows),))
    width = rows - 1 + columns
    # Rows that are read one number too short begin one number earlier each.
    flat = padded.reshape(*outer, -1)[..., : rows * width]
    return flat.reshape(*outer, rows, width)


def _add_columns(score_bhtu, band_bhtu, start):
    """Adds a band to the columns from `start` on, but for those that do not exist."""
    width, columns = band_bhtu.shape[3], score_bhtu.shape[3]
    inside = jnp.clip(start, 0, columns - width)
    padded_bhtu = jnp.pad(band_bhtu, ((0, 0),) * 3 + ((width, width),))
    band_bhtu = lax.dynamic_slice_in_dim(
        padded_bhtu, width + inside - start, width, axis=3
    )
    old_bhtu = lax.dynamic_slice_in_dim(score_bhtu, inside, width, axis=3)
    return lax.dynamic_update_slice_in_dim(
        score_bhtu, old_bhtu + band_bhtu, inside, axis=3
    )


def _mixed(score_bhtu, value_bhuk, drop):
    """The values, weighed by the softmax of the scores."""
    # The result does not depend on what is subtracted, so neither do its gradients.
    top_bht1 = lax.stop_gradient(score_bhtu.max(axis=-1, keepdims=True))
    weight_bhtu = jnp.exp(score_bhtu - top_bht1)
    total_bht1 = weight_bhtu.sum(axis=-1, keepdims=True)
    if drop:
        weight_bhtu = weight_bhtu * drop.factor(weight_bhtu.shape)
    mixed_bhtk = jnp.einsum(
        "bhtu,bhuk->bhtk",
        weight_bhtu.astype(value_bhuk.dtype),
        value_bhuk,
        preferred_element_type=weight_bhtu.dtype,
    )
    return mixed_bhtk / total_bht1


def split_blocks(x_bhtk, size):
    """[b, h, t, k] to [n, b, h, size, k], filled up with zeros at the end."""
    batch, heads, frames, width = x_bhtk.shape
    padded = jnp.pad(x_bhtk, ((0, 0), (0, 0), (0, -frames % size), (0, 0)))
    blocks = padded.reshape(batch, heads, -1, size, width)
    return jnp.moveaxis(blocks, 2, 0)
