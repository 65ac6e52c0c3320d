"""Attention over all frames at once, and the ways it is told positions."""

import math

import jax
import jax.numpy as jnp


def split_heads(x_btd, heads):
    """[b, t, d] to [b, heads, t, d / heads]."""
    return x_btd.reshape(*x_btd.shape[:2], heads, -1).transpose(0, 2, 1, 3)


def merge_heads(x_bhtk):
    """[b, h, t, k] to [b, t, h * k]."""
    x_bthk = x_bhtk.transpose(0, 2, 1, 3)
    return x_bthk.reshape(*x_bthk.shape[:2], -1)


def scores(query_bhtk, key_bhuk):
    """Products of queries and keys over the root of their width, at least float32."""
    scale = query_bhtk.shape[-1] ** -0.5
    dtype = jnp.promote_types(query_bhtk.dtype, jnp.float32)
    return jnp.einsum(
        "bhtk,bhuk->bhtu", query_bhtk * scale, key_bhuk, preferred_element_type=dtype
    )


def weigh(score_bhtu, value_bhuk, mask_bu=None, drop=None):
    """Softmax of the scores, and the mean of the values it weighs.

    Args:
      score_bhtu: [b, h, t, u].
      value_bhuk: [b, h, u, k].
      mask_bu: True where a frame may be attended to. An example without any attends
        to all of its frames evenly, as in transformers' eager form.
      drop: maps weights to weights, dropout in train mode.

    Returns:
      [b, h, t, k] in the dtype of the values.
    """
    if mask_bu is not None:
        least = jnp.finfo(score_bhtu.dtype).min
        score_bhtu = jnp.where(mask_bu[:, None, None, :], score_bhtu, least)
    weight_bhtu = jax.nn.softmax(score_bhtu, axis=-1).astype(value_bhuk.dtype)
    if drop is not None:
        weight_bhtu = drop(weight_bhtu)
    return jnp.einsum("bhtu,bhuk->bhtk", weight_bhtu, value_bhuk)


def relative_key_scores(query_bhtk, table_rk, left):
    """What a query adds to the score of a key by the distance between them.

    The product with the table comes first, so that nothing of [t, u, k] exists.
    The table is repeated at both ends until a row holds every distance, and the
    rows are then shifted against each other by reading them with another stride.

    Args:
      query_bhtk: [b, h, t, k].
      table_rk: an embedding of each distance key - query from -left on, [r, k];
        larger distances have the embeddings at the ends.
      left: the distance to the left that is the first row.

    Returns:
      [b, h, t, t] scores, over the root of the width, at least float32.

    Source: Shaw et al. 2018; the shift is that of Transformer-XL.
    """
    frames, width = query_bhtk.shape[2:]
    distance_r = jnp.arange(1 - frames, frames)
    row_r = jnp.clip(distance_r + left, 0, len(table_rk) - 1)
    dtype = jnp.promote_types(query_bhtk.dtype, jnp.float32)
    score_bhtr = jnp.einsum(
        "bhtk,rk->bhtr",
        query_bhtk * width**-0.5,
        jnp.take(table_rk, row_r, axis=0, mode="clip"),
        preferred_element_type=dtype,
    )
    return shift_rows(score_bhtr)[..., :frames]


def shift_rows(score_bhtr):
    """Row t moved to the left by as many columns as rows follow it.

    Args:
      score_bhtr: [b, h, t, r] with at least t columns.

    Returns:
      [b, h, t, r - 1], or r of a single row, where [t, u] is column
      u + (rows - 1 - t), as long as there is one.
    """
    *outer, rows, columns = score_bhtr.shape
    if rows == 1:
        return score_bhtr
    flat = score_bhtr.reshape(*outer, rows * columns)
    padded = jnp.pad(flat, (*((0, 0) for _ in outer), (0, rows)))
    start = rows - 1
    end = start + rows * (columns - 1)
    return padded[..., start:end].reshape(*outer, rows, columns - 1)


def sinusoids(frames, width):
    """Sinusoids of the distances query - key from frames - 1 down to 1 - frames.

    Args:
      frames: t.
      width: d.

    Returns:
      [2 t - 1, d], sine and cosine in turn.

    Source: Dai et al. 2019, Transformer-XL, in the form of transformers.
    """
    distance_r = jnp.arange(frames - 1, -frames, -1, dtype=jnp.float32)
    rate_i = jnp.exp(jnp.arange(0, width, 2) * -(math.log(10000.0) / width))
    angle_ri = distance_r[:, None] * rate_i[None, :]
    wave_ri2 = jnp.stack([jnp.sin(angle_ri), jnp.cos(angle_ri)], axis=-1)
    return wave_ri2.reshape(len(distance_r), -1)[:, :width]


def rotate(x_bhtk, base):
    """Rotary positions: pairs (i, i + k / 2) turned by the frame number.

    Args:
      x_bhtk: [b, h, t, k], k even.
      base: the longest wavelength over 2 pi.

    Returns:
      [b, h, t, k].

    Source: Su et al. 2021; the halves convention of GPT-NeoX.
    """
    frames, width = x_bhtk.shape[2], x_bhtk.shape[3]
    rate_i = 1.0 / base ** (jnp.arange(0, width, 2, dtype=jnp.float32) / width)
    angle_ti = jnp.arange(frames, dtype=jnp.float32)[:, None] * rate_i[None, :]
    angle_tk = jnp.concatenate([angle_ti, angle_ti], axis=-1)
    cos_tk = jnp.cos(angle_tk).astype(x_bhtk.dtype)
    sin_tk = jnp.sin(angle_tk).astype(x_bhtk.dtype)
    low_bhti, high_bhti = jnp.split(x_bhtk, 2, axis=-1)
    turned_bhtk = jnp.concatenate([-high_bhti, low_bhti], axis=-1)
    return x_bhtk * cos_tk[None, None] + turned_bhtk * sin_tk[None, None]
