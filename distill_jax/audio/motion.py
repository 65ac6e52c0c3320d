"""Clips moved in time and played at another speed."""

import functools

import jax
import jax.numpy as jnp


def shift(audio_bs, shift_b, most):
    """Moves clips later by whole samples, with zeros where nothing is left.

    Args:
      audio_bs: [batch, samples].
      shift_b: int32 within ±most; negative is earlier.
      most: int.

    Returns:
      [batch, samples].
    """
    padded_bs = jnp.pad(audio_bs, ((0, 0), (most, most)))
    cut = functools.partial(jax.lax.dynamic_slice, slice_sizes=audio_bs.shape[1:])
    return jax.vmap(lambda audio_s, first: cut(audio_s, (first,)))(
        padded_bs, most - shift_b
    )


def change_speed(audio_bs, change_b):
    """Plays clips faster or slower around their middle, with zeros beyond their ends.

    Args:
      audio_bs: [batch, samples].
      change_b: 0.1 is a tenth faster, 0 is unchanged to the bit.

    Returns:
      [batch, samples].

    Source: cubic interpolation of Lagrange through the four nearest samples.
    """
    batch, samples = audio_bs.shape
    time_s = jnp.arange(samples)
    # How far each sample is from where it was: small, so that float32 has digits left.
    moved_bs = (time_s - (samples - 1) / 2)[None] * change_b[:, None]
    whole_bs = jnp.floor(moved_bs)
    # Zeros on each side; what is further out is read from them. One long row, for
    # its samples are found several times as fast as those of rows.
    row_s = jnp.pad(audio_bs, ((0, 0), (4, 4))).reshape(-1)
    first_bs = jnp.clip(time_s[None] + whole_bs.astype(jnp.int32) + 3, 0, samples + 4)
    first_bs += (samples + 8) * jnp.arange(batch)[:, None]
    weights = _lagrange(moved_bs - whole_bs)
    return sum(
        weight_bs * row_s.at[first_bs + n].get(mode="promise_in_bounds")
        for n, weight_bs in enumerate(weights)
    )


def _lagrange(x):
    """Weights of the samples at -1, 0, 1 and 2 for a point x between 0 and 1."""
    before, after, far = x + 1, x - 1, x - 2
    return (
        -x * after * far / 6,
        before * after * far / 2,
        -before * x * far / 2,
        before * x * after / 6,
    )
