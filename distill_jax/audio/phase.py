"""Waveform to mel magnitude and instantaneous frequency, and back to a waveform.

Both directions are jitted; the settings are a static argument. The first channel is
the compressed mel power, the second tells where the energy of each band lies, so that
the phase of the waveform can be rebuilt before it is refined by Griffin-Lim.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from distill_jax.audio import features, fourier, magnitude

# Nepers of power per unit of channel 0. Recordings spread by about as much, and the
# curve of a softplus head is bent between silence and full scale.
LEVEL_NEPERS = 4.0
# About the largest mel power of peak-normalised audio: a full-scale sine.
FULL_POWER = 2.6e5
MOMENTUM = 0.99
# Power of a band below which its frequency is drawn to its centre.
SILENT_POWER = 1e-8
FREQUENCIES = ("reassigned", "circular")


class Spectrogram(NamedTuple):
    """Settings of the two-channel representation.

    Attributes:
      rate_hz: samples per second.
      n_fft: samples per frame.
      hop: samples between frames; divides n_fft.
      mels: how many HTK mel bands.
      epsilon: power below which channel 0 is linear and above which logarithmic.
      frequency: what channel 1 holds. "reassigned": the power-weighted mean
        frequency of the band, smooth and never wrapping. "circular": the band's
        phase advance, finer with perfect features, harder to learn.
    """

    rate_hz: int = 48_000
    n_fft: int = 2048
    hop: int = 512
    mels: int = 128
    epsilon: float = 1e-3
    frequency: str = "reassigned"

    @property
    def mel(self):
        """The settings of its mel spectrogram."""
        return features.Mel(self.rate_hz, self.n_fft, self.hop, self.mels)


def check(spec):
    """Raises ValueError naming every setting that cannot work."""
    problems = []
    if spec.frequency not in FREQUENCIES:
        problems.append(
            f"frequency is {spec.frequency!r}, expected one of {FREQUENCIES}"
        )
    if min(spec.rate_hz, spec.n_fft, spec.hop, spec.mels, spec.epsilon) <= 0:
        problems.append(f"every number must be positive, found {spec}")
    elif spec.n_fft % 2 or spec.n_fft % spec.hop or spec.n_fft < 2 * spec.hop:
        problems.append(
            f"n_fft {spec.n_fft} must be even and at least twice a multiple of hop "
            f"{spec.hop}; choose hop {spec.n_fft // 4}"
        )
    elif (features.mel_filters(spec.mel).sum(0) == 0).any():
        problems.append(
            f"{spec.mels} mels leave bands with no FFT bin at n_fft {spec.n_fft}; "
            "take fewer mels or a longer n_fft"
        )
    if problems:
        raise ValueError("; ".join(problems))


def frames(samples, spec):
    """Number of frames that `encode` makes of so many samples."""
    return fourier.frames(samples, spec.hop)


def centre_hz(spec):
    """Frequencies at which the bands peak, numpy float64 [mels]."""
    return features.band_edges_hz(spec.rate_hz, spec.mels)[1:-1]


def reach_hz(spec):
    """Frequency of each band, from its centre, at 1 in channel 1; float64 [mels].

    "reassigned": half the band's width but at least one FFT bin, plus one bin: the
    energy of a narrow band often lies outside it. "circular": half a turn per hop.
    """
    if spec.frequency == "circular":
        return np.full(spec.mels, spec.rate_hz / (2 * spec.hop))
    edge_hz = features.band_edges_hz(spec.rate_hz, spec.mels)
    bin_hz = spec.rate_hz / spec.n_fft
    return np.maximum((edge_hz[2:] - edge_hz[:-2]) / 2, bin_hz) + bin_hz


def _advance(spectrum_btk):
    """X[t] * conj(X[t - 1]), and 0 in the first frame."""
    product_btk = spectrum_btk[:, 1:] * spectrum_btk[:, :-1].conj()
    return jnp.pad(product_btk, ((0, 0), (1, 0), (0, 0)))


def _reassigned(spectrum_btk, spec):
    """Power-weighted mean frequency of each band, from its centre, in [-1, 1]."""
    power_btk = fourier.power(spectrum_btk)
    bin_k = np.arange(spec.n_fft // 2 + 1)
    expected_k = np.exp(-2j * np.pi * (bin_k * spec.hop % spec.n_fft) / spec.n_fft)
    turn_btk = _advance(spectrum_btk) * expected_k.astype(np.complex64)[None, None, :]
    # In FFT bins: what cancels below is the less, the narrower the band.
    bin_btk = fourier.angle(turn_btk) * (spec.n_fft / (2 * np.pi * spec.hop))
    bin_btk = bin_btk + bin_k.astype(np.float32)[None, None, :]
    mass_btf = features.to_mel(power_btk, spec.mel)
    moment_btf = features.to_mel(power_btk * bin_btk, spec.mel)
    moment_btf = moment_btf - _centre_bins(spec)[None, None, :] * mass_btf
    mean_btf = moment_btf / (mass_btf + SILENT_POWER)
    return jnp.clip(mean_btf / _reach_bins(spec)[None, None, :], -1.0, 1.0)


def _circular(spectrum_btk, spec):
    """Phase advance of each band beyond that of its centre, in half turns."""
    advance_btk = _advance(spectrum_btk)
    real_btf = features.to_mel(advance_btk.real, spec.mel)
    imag_btf = features.to_mel(advance_btk.imag, spec.mel)
    expected_f = np.exp(-2j * np.pi * _centre_turns(spec)).astype(np.complex64)
    band_btf = jax.lax.complex(real_btf, imag_btf) * expected_f[None, None, :]
    return fourier.angle(band_btf) / np.pi


def _centre_turns(spec):
    """Turns that a band's centre makes in one hop, without the whole ones."""
    return centre_hz(spec) * spec.hop / spec.rate_hz % 1.0


def _centre_bins(spec):
    return (centre_hz(spec) * spec.n_fft / spec.rate_hz).astype(np.float32)


def _reach_bins(spec):
    return (reach_hz(spec) * spec.n_fft / spec.rate_hz).astype(np.float32)


@functools.partial(jax.jit, static_argnames=("spec",))
def encode(audio_bs, spec):
    """Two-channel spectrogram of audio.

    Args:
      audio_bs: [batch, samples], full scale at 1.
      spec: a `Spectrogram`.

    Returns:
      [batch, mels, frames, 2]. Channel 0 is log1p(power / epsilon) in units of
      `LEVEL_NEPERS`, never negative, about 5 at full scale. Channel 1 is the
      frequency of each band relative to its centre, in [-1, 1]; 0 in silence.

    Raises:
      ValueError: settings that cannot work, or audio that is not [batch, samples].

    Source: reassigned frequency after Auger & Flandrin 1995, by phase differences
    (Kodera et al. 1978); channel layout after GANSynth (Engel et al. 2019).
    """
    check(spec)
    channel = _reassigned if spec.frequency == "reassigned" else _circular

    def of_clips(audio_bs):
        spectrum_btk = fourier.stft(audio_bs, spec.n_fft, spec.hop)
        mel_btf = features.to_mel(fourier.power(spectrum_btk), spec.mel)
        level_btf = jnp.log1p(mel_btf / spec.epsilon) / LEVEL_NEPERS
        feature_btfc = jnp.stack([level_btf, channel(spectrum_btk, spec)], axis=-1)
        return feature_btfc.swapaxes(1, 2)

    return features.few_at_a_time(of_clips, audio_bs)


@functools.partial(jax.jit, static_argnames=("spec",))
def mel_power_bft(feature_bftc, spec):
    """Power in each mel band, [batch, mels, frames], from channel 0."""
    level_bft = jnp.maximum(feature_bftc[..., 0].astype(jnp.float32), 0.0)
    return spec.epsilon * jnp.expm1(level_bft * LEVEL_NEPERS)


def _add_turns(left, right):
    turns = left + right
    return turns - jnp.floor(turns)


def band_turns(frequency_btf, spec):
    """Phase of each band in turns, accumulated over time from 0 in the first frame.

    Args:
      frequency_btf: channel 1, [batch, frames, mels].
      spec: a `Spectrogram`.

    Returns:
      [batch, frames, mels] in [0, 1): whole turns are dropped at every sum, so that
      float32 is as precise after a minute as after a frame.
    """
    turns_f = reach_hz(spec) * spec.hop / spec.rate_hz
    centre_f = _centre_turns(spec).astype(np.float32)
    step_btf = frequency_btf * turns_f.astype(np.float32)[None, None, :]
    step_btf = _add_turns(step_btf, centre_f[None, None, :]).at[:, 0].set(0.0)
    return jax.lax.associative_scan(_add_turns, step_btf, axis=1)


def _first_phase(frequency_btf, spec):
    """Unit phasor of each FFT bin, [batch, frames, bins]."""
    angle_btf = 2 * np.pi * band_turns(frequency_btf, spec)
    bin_hz = np.arange(spec.n_fft // 2 + 1) * (spec.rate_hz / spec.n_fft)
    nearest_k = np.abs(bin_hz[:, None] - centre_hz(spec)).argmin(1)
    # pi * k in the first frame: all bins in phase at the centre of the window.
    sign_k = (1.0 - 2.0 * (np.arange(bin_hz.size) % 2)).astype(np.float32)
    unit_btf = jax.lax.complex(jnp.cos(angle_btf), jnp.sin(angle_btf))
    return unit_btf[:, :, nearest_k] * sign_k[None, None, :]


def griffin_lim(magnitude_btk, unit_btk, spec, iterations, samples):
    """Audio whose spectrogram comes close to a magnitude.

    Args:
      magnitude_btk: [batch, frames, bins].
      unit_btk: the phase to start from, complex numbers of magnitude 1.
      spec: a `Spectrogram`.
      iterations: how often the phase is taken from the audio it gives.
      samples: length of the audio.

    Returns:
      [batch, samples].

    Source: fast Griffin-Lim, Perraudin et al. 2013. The momentum is applied to the
    audio, which is small, instead of its transform, which is linear.
    """

    def update(carry, _):
        audio_bs, last_bs = carry
        ahead_bs = audio_bs - (MOMENTUM / (1 + MOMENTUM)) * last_bs
        ahead_btk = fourier.analyse(ahead_bs, spec.n_fft, spec.hop)
        scale_btk = magnitude_btk * jax.lax.rsqrt(fourier.power(ahead_btk) + 1e-20)
        next_bs = fourier.synthesise(ahead_btk * scale_btk, spec.hop, samples)
        return (next_bs, audio_bs), None

    audio_bs = fourier.synthesise(magnitude_btk * unit_btk, spec.hop, samples)
    start = (audio_bs, jnp.zeros_like(audio_bs))
    (audio_bs, _), _ = jax.lax.scan(update, start, length=iterations)
    return audio_bs[:, spec.n_fft // 2 : spec.n_fft // 2 + samples]


@functools.partial(jax.jit, static_argnames=("spec", "iterations", "samples"))
def decode(feature_bftc, spec, iterations=32, samples=None):
    """Audio whose two-channel spectrogram is close to the given one.

    Args:
      feature_bftc: [batch, mels, frames, 2], as `encode` gives.
      spec: a `Spectrogram`.
      iterations: Griffin-Lim iterations; 32 for the best sound, 8 for previews, 0
        for drafts and for a loss on audio (it can be differentiated, and its
        gradient is finite in silence).
      samples: length of the result; (frames - 1) * hop if None, and less than
        frames * hop.

    Returns:
      [batch, samples].

    Raises:
      ValueError: settings that cannot work, features of another shape, or a length
        that another number of frames belongs to.
    """
    check(spec)
    _, mels, frame_count, channels = feature_bftc.shape
    samples = (frame_count - 1) * spec.hop if samples is None else samples
    if (mels, channels, frames(samples, spec)) != (spec.mels, 2, frame_count):
        raise ValueError(
            f"expected features [batch, {spec.mels}, {frames(samples, spec)}, 2] for "
            f"{samples} samples, found {feature_bftc.shape}; check spec and samples"
        )
    mel_btf = mel_power_bft(feature_bftc, spec).swapaxes(1, 2)
    frequency_btf = feature_bftc[..., 1].astype(jnp.float32).swapaxes(1, 2)
    offset_btf = frequency_btf * _reach_bins(spec)[None, None, :]
    # A phase advance tells the frequency only where a band is too narrow to wrap.
    circular = spec.frequency == "circular"
    widest_bins = spec.n_fft / spec.hop if circular else float("inf")
    magnitude_btk = magnitude.from_bands(mel_btf, offset_btf, spec.mel, widest_bins)
    unit_btk = _first_phase(frequency_btf, spec)
    return griffin_lim(magnitude_btk, unit_btk, spec, iterations, samples)
