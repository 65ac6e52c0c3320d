"""Magnitude of every FFT bin from the power and the mean frequency of mel bands."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from distill_jax.audio import features

# Exponents of the Richardson-Lucy updates, five times over: longer steps between plain
# ones, as in Chebyshev's acceleration, let 15 updates do the work of 35.
STEPS = (1, 2, 4)
CYCLES = 5
# Variance of a Hann window's spectral lobe, in squared FFT bins.
HANN_LOBE = 1 / 3
# The square root is smoothed below this power.
SILENT_POWER = 1e-8


class Halves(NamedTuple):
    """The lower and the upper part of each band, all numpy float32.

    Attributes:
      filter_kn: filters of all lower and then of all upper parts, [bins, 2 * mels].
        The two parts of a band add up to its mel filter.
      share_f: share of the power in the upper part when its mean frequency is the
        band's centre.
      slope_f: change of that share for each FFT bin of the mean frequency.
    """

    filter_kn: np.ndarray
    share_f: np.ndarray
    slope_f: np.ndarray


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
    filter_kf = features.mel_filters(mel)
    parts = (
        np.concatenate([filter_kf * (1 - upper_kf), filter_kf * upper_kf], axis=1),
        np.where(known_f, (edge_k[1:-1] - edge_k[:-2]) / width_f, 0.5),
        np.where(known_f, trust_f / width_f, 0.0),
    )
    return Halves(*(part.astype(np.float32) for part in parts))


def _fill_ends(power_btk, first_bt):
    """Fills the first and the last bin, which no filter covers, from their neighbours.

    Args:
      power_btk: power of each bin.
      first_bt: mean frequency of the first band, in bins.
    """
    # The lobe of a Hann window around frequency f has magnitudes in the proportion
    # (2 - f) : (1 + f) at bins 0 and 1.
    first_bt = jnp.clip(first_bt, 0.0, 2.0)
    ratio_bt = ((2 - first_bt) / (1 + first_bt)) ** 2
    zeroth_btk = power_btk[..., 1:2] * ratio_bt[..., None]
    return jnp.concatenate(
        [zeroth_btk, power_btk[..., 1:-1], power_btk[..., -2:-1]], axis=-1
    )


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
    half = halves(mel, widest_bins)
    total_k = half.filter_kn.sum(1)
    spread_nk = (half.filter_kn / np.where(total_k > 0, total_k, 1.0)[:, None]).T
    share_btf = half.share_f[None, None, :] + half.slope_f[None, None, :] * offset_btf
    share_btf = jnp.clip(share_btf, 0.1, 0.9)
    known_btn = jnp.concatenate([mel_btf * (1 - share_btf), mel_btf * share_btf], -1)
    product = functools.partial(jnp.matmul, precision=features.PRECISION)

    def update(power_btk, _):
        for step in STEPS:
            ratio_btn = known_btn / (product(power_btk, half.filter_kn) + 1e-10)
            power_btk = power_btk * product(ratio_btn, spread_nk) ** step
        return power_btk, None

    mean_btf = mel_btf / features.mel_filters(mel).sum(0)[None, None, :]
    start_btk = product(jnp.concatenate([mean_btf, mean_btf], -1), spread_nk)
    power_btk, _ = jax.lax.scan(update, start_btk, length=CYCLES)
    lowest = features.band_edges_hz(mel.rate_hz, mel.mels)[1] * mel.n_fft / mel.rate_hz
    power_btk = _fill_ends(power_btk, offset_btf[..., 0] + np.float32(lowest))
    # sqrt(p + d) - sqrt(d) without cancellation: sqrt(p) whose gradient is bounded.
    return power_btk / (jnp.sqrt(power_btk + SILENT_POWER) + SILENT_POWER**0.5)
