"""Mel spectrograms, as librosa makes them."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from distill_jax.audio import fourier

# TF32 and bfloat16 products, the default on accelerators, move a log spectrum by
# more than the parity with librosa allows.
PRECISION = jax.lax.Precision.HIGHEST
# Equal parts of the frequency axis, into which the product with the filters is cut.
BLOCKS = 8


class Mel(NamedTuple):
    """Settings of a mel spectrogram with HTK bands.

    Attributes:
      rate_hz: samples per second.
      n_fft: samples per frame; the Hann window has the same length.
      hop: samples between frames.
      mels: how many bands.
      low_hz: where the first band begins.
      high_hz: where the last one ends; None is half the rate.
    """

    rate_hz: int = 48_000
    n_fft: int = 2048
    hop: int = 512
    mels: int = 128
    low_hz: float = 0.0
    high_hz: float | None = None


def band_edges_hz(rate_hz, mels, low_hz=0.0, high_hz=None):
    """Edges of HTK mel bands in Hz, float64 [mels + 2]; band i peaks at edge i + 1."""
    ends_hz = np.array([low_hz, rate_hz / 2 if high_hz is None else high_hz])
    ends = 2595 * np.log10(1 + ends_hz / 700)
    return 700 * (10 ** (np.linspace(*ends, mels + 2) / 2595) - 1)


@functools.cache
def mel_filters(mel):
    """Triangular HTK mel filters of height 1.

    Args:
      mel: a `Mel`.

    Returns:
      numpy float32 [n_fft // 2 + 1, mels].

    Source: `librosa.filters.mel(htk=True, norm=None)`, transposed.
    """
    edge_hz = band_edges_hz(mel.rate_hz, mel.mels, mel.low_hz, mel.high_hz)
    bin_hz = np.arange(mel.n_fft // 2 + 1) * (mel.rate_hz / mel.n_fft)
    width_hz = np.diff(edge_hz)
    rise_kf = (bin_hz[:, None] - edge_hz[:-2]) / width_hz[:-1]
    fall_kf = (edge_hz[2:] - bin_hz[:, None]) / width_hz[1:]
    return np.maximum(0, np.minimum(rise_kf, fall_kf)).astype(np.float32)


@functools.cache
def mel_blocks(mel):
    """Cuts the filters into runs of neighbouring bands and the bins they cover.

    Args:
      mel: a `Mel`.

    Returns:
      Pairs of a slice of bins and the filters there, numpy float32 [bins, bands].
    """
    edge_hz = band_edges_hz(mel.rate_hz, mel.mels, mel.low_hz, mel.high_hz)
    centre_f = edge_hz[1:-1]
    end_hz = np.linspace(0, mel.rate_hz / 2, BLOCKS + 1)[1:-1]
    return blocks(mel_filters(mel), np.searchsorted(centre_f, end_hz))


def blocks(filter_kf, cuts):
    """Cuts filters into runs of neighbouring bands and the bins they cover.

    Args:
      filter_kf: [bins, bands].
      cuts: bands before which to cut, ascending.

    Returns:
      Pairs of a slice of bins and the filters there, [bins, bands].
    """
    made = []
    for part_kf in np.split(filter_kf, cuts, axis=1):
        if part_kf.size:
            # Bands so narrow that they hold no bin take the first, at weight 0.
            used_k = np.flatnonzero(part_kf.any(axis=1))
            used_k = used_k if used_k.size else [0]
            bins = slice(used_k[0], used_k[-1] + 1)
            made.append((bins, np.ascontiguousarray(part_kf[bins])))
    return tuple(made)


def to_mel(power_btk, mel):
    """Sums power over mel bands: [b, t, n_fft // 2 + 1] to [b, t, mels].

    Each band covers few bins, so eight small products do a fifth of the work of one.
    """
    parts = [
        jnp.matmul(power_btk[..., bins], filter_kf, precision=PRECISION)
        for bins, filter_kf in mel_blocks(mel)
    ]
    return jnp.concatenate(parts, axis=-1)


def few_at_a_time(function, audio_bs, clips=4):
    """Applies a function to a few clips of a batch after the other, on a lone CPU.

    The temporary arrays of a large batch leave the cache there, which takes longer
    than the work itself. Accelerators get the whole batch, and so do several
    devices, over which it may be spread.

    Args:
      function: of audio [clips, samples] to an array of as many clips.
      audio_bs: [batch, samples].
      clips: how many at a time.

    Returns:
      What the function gives for the whole batch.
    """
    lone_cpu = jax.default_backend() == "cpu" and jax.device_count() == 1
    if audio_bs.ndim != 2 or len(audio_bs) <= clips or not lone_cpu:
        return function(audio_bs)
    return jax.lax.map(lambda x_s: function(x_s[None])[0], audio_bs, batch_size=clips)


@functools.partial(jax.jit, static_argnames=("mel", "pad"))
def mel_power(audio_bs, mel, pad="constant"):
    """Power in each mel band.

    Args:
      audio_bs: [batch, samples].
      mel: a `Mel`.
      pad: see `fourier.stft`.

    Returns:
      [batch, mels, frames].

    Source: `librosa.feature.melspectrogram(htk=True, norm=None)`.
    """

    def of_clips(audio_bs):
        power_btk = fourier.power(fourier.stft(audio_bs, mel.n_fft, mel.hop, pad))
        return to_mel(power_btk, mel).swapaxes(1, 2)

    return few_at_a_time(of_clips, audio_bs)


@functools.partial(jax.jit, static_argnames=("mel", "pad"))
def log_mel(audio_bs, mel, epsilon=1e-3, pad="constant"):
    """Compressed power in each mel band, log(1 + power / epsilon).

    Args:
      audio_bs: [batch, samples].
      mel: a `Mel`.
      epsilon: the power below which the scale is linear.
      pad: see `fourier.stft`.

    Returns:
      [batch, mels, frames], not negative.
    """
    return jnp.log1p(mel_power(audio_bs, mel, pad) / epsilon)
