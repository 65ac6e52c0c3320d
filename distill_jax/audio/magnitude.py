"""Magnitude of every FFT bin from the power and the mean frequency of mel bands."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from distill_jax.audio import features

# Exponents of the Richardson-Lucy updates, seven times over: longer steps between plain
# ones, as in Chebyshev's acceleration, let 21 updates do the work of 49.
STEPS = (1, 2, 4)
CYCLES = 7
# FFT bins in a block of the updates.
BLOCK = 128
# Variance of a Hann window's spectral lobe, in squared FFT bins.
HANN_LOBE = 1 / 3
# The square root is smoothed below this power.
SILENT_POWER = 1e-8


class Halves(NamedTuple):
    """The lower and the upper half of each band, all numpy float32.

    Attributes:
      filter_kn: a filter for each half, [bins, 2 * mels], those of a band side by
        side. They add up to its mel filter.
      share_f: share of the power in the upper half when its mean frequency is the
        band's centre.
      slope_f: change of that share for each FFT bin of the mean frequency.
    """

    filter_kn: np.ndarray
    share_f: np.ndarray
    slope_f: np.ndarray


class Block(NamedTuple):
    """Neighbouring FFT bins and the halves of bands that reach them.

    Attributes:
      halves: which halves, a slice.
      filter_kn: their filters at these bins.
      spread_nk: the same, transposed, the halves of each bin adding up to 1.
    """

    halves: slice
    filter_kn: np.ndarray
    spread_nk: np.ndarray


@functools.cache
def halves(mel, widest_bins):
    """Splits each mel band in two.

    Args:
      mel: a `features.Mel`.
      widest_bins: bands wider than so many FFT bins are halved evenly, which leaves
        nothing to know but their power.

    Returns:
      `Halves`.
    """
    edge_k = features.band_edges_hz(mel.rate_hz, mel.mels) * mel.n_fft / mel.rate_hz
    width_f = edge_k[2:] - edge_k[:-2]
    known_f = width_f <= widest_bins
    bin_k = np.arange(mel.n_fft // 2 + 1)
    upper_kf = np.clip((bin_k[:, None] - edge_k[:-2]) / width_f, 0, 1)
    upper_kf = np.where(known_f, upper_kf, 0.5)
    # A partial sees the triangle of the band, of variance width^2 / 24, through the
    # lobe of the window: the mean of the bins follows it by this part.
    trust_f = width_f**2 / (width_f**2 + 24 * HANN_LOBE)
    weight_kf2 = np.stack([1 - upper_kf, upper_kf], axis=-1)
    filter_kf2 = features.mel_filters(mel)[..., None] * weight_kf2
    parts = (
        filter_kf2.reshape(len(bin_k), -1),
        np.where(known_f, (edge_k[1:-1] - edge_k[:-2]) / width_f, 0.5),
        np.where(known_f, trust_f / width_f, 0.0),
    )
    return Halves(*(part.astype(np.float32) for part in parts))


@functools.cache
def blocks(mel, widest_bins):
    """Cuts the filters of all bins but the first and the last into `Block`s.

    A bin lies in two bands only: products of these blocks are a seventh of the work of
    a product with the whole matrix.
    """
    inner_kn = halves(mel, widest_bins).filter_kn[1:-1]
    made = []
    for start in range(0, len(inner_kn), BLOCK):
        part_kn = inner_kn[start : start + BLOCK]
        used_n = np.flatnonzero(part_kn.any(axis=0))
        part_kn = part_kn[:, used_n[0] : used_n[-1] + 1]
        spread_nk = (part_kn / part_kn.sum(axis=1, keepdims=True)).T
        made.append(Block(slice(used_n[0], used_n[-1] + 1), part_kn, spread_nk))
    return tuple(made)


def _product(left, right):
    return jnp.matmul(left, right, precision=features.PRECISION)


def _update(power_blocks, known_btn, parts):
    """Three Richardson-Lucy updates of the power, which is kept in blocks of bins."""
    total = known_btn.shape[-1]
    for step in STEPS:
        found_btn = 1e-10
        for power_btk, part in zip(power_blocks, parts, strict=True):
            outside = (part.halves.start, total - part.halves.stop)
            half_btn = _product(power_btk, part.filter_kn)
            found_btn += jnp.pad(half_btn, ((0, 0), (0, 0), outside))
        ratio_btn = known_btn / found_btn
        power_blocks = tuple(
            power_btk * _product(ratio_btn[..., part.halves], part.spread_nk) ** step
            for power_btk, part in zip(power_blocks, parts, strict=True)
        )
    return power_blocks


def _fill_ends(power_btk, first_bt):
    """Adds the first and the last bin, which no filter covers.

    Args:
      power_btk: power of each bin between them.
      first_bt: mean frequency of the first band, in bins.
    """
    # The lobe of a Hann window around frequency f has magnitudes in the proportion
    # (2 - f) : (1 + f) at bins 0 and 1.
    first_bt = jnp.clip(first_bt, 0.0, 2.0)
    ratio_bt = ((2 - first_bt) / (1 + first_bt)) ** 2
    zeroth_btk = power_btk[..., :1] * ratio_bt[..., None]
    return jnp.concatenate([zeroth_btk, power_btk, power_btk[..., -1:]], axis=-1)


def from_bands(mel_btf, offset_btf, mel, widest_bins=float("inf")):
    """Magnitude of each FFT bin that agrees with what is known of the mel bands.

    Richardson-Lucy updates keep the power positive and spread the power of a band by
    its filter; a least-squares inverse does neither. The mean frequency of a band tells
    how its power is shared between its halves: twice as much is known of the magnitude
    as the power alone would tell.

    Args:
      mel_btf: power of each band, [batch, frames, mels].
      offset_btf: mean frequency of each band less its centre, in FFT bins.
      mel: a `features.Mel`.
      widest_bins: the mean frequency of bands wider than this is not used.

    Returns:
      [batch, frames, n_fft // 2 + 1].

    Source: Richardson 1972; Lucy 1974, with the over-relaxation of Biggs & Andrews
    1997 in fixed steps.
    """
    half, parts = halves(mel, widest_bins), blocks(mel, widest_bins)
    share_btf = half.share_f[None, None, :] + half.slope_f[None, None, :] * offset_btf
    share_btf = jnp.clip(share_btf, 0.1, 0.9)
    known_btf2 = mel_btf[..., None] * jnp.stack([1 - share_btf, share_btf], axis=-1)
    known_btn = known_btf2.reshape(*mel_btf.shape[:2], -1)

    mean_btf = mel_btf / features.mel_filters(mel).sum(0)[None, None, :]
    mean_btn = jnp.repeat(mean_btf, 2, axis=-1)
    start = tuple(
        _product(mean_btn[..., part.halves], part.spread_nk) for part in parts
    )
    power_blocks, _ = jax.lax.scan(
        lambda blocks, _: (_update(blocks, known_btn, parts), None),
        start,
        length=CYCLES,
    )
    lowest = features.band_edges_hz(mel.rate_hz, mel.mels)[1] * mel.n_fft / mel.rate_hz
    first_bt = offset_btf[..., 0] + np.float32(lowest)
    power_btk = _fill_ends(jnp.concatenate(power_blocks, axis=-1), first_bt)
    # sqrt(p + d) - sqrt(d) without cancellation: sqrt(p) whose gradient is bounded.
    return power_btk / (jnp.sqrt(power_btk + SILENT_POWER) + SILENT_POWER**0.5)
