"""What a sound is like, in five numbers with names that people use.

Brightness, noisiness, loudness and attack are read from the power in mel bands,
pitch from the waveform. A number is NaN where the word has no meaning: silence has
no brightness, noise has no pitch.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from distill_jax.audio import features, fourier

# Power in a frame under which a sound counts as silent: about -100 dB of full scale.
SILENT_POWER = 1e-4
SILENCE_DB = -120.0
# What lies further below the loudest cell of a sound is not heard beside it.
RANGE_DB = 80.0
RISE = (0.1, 0.9)

PITCH_FRAME = 2048
PITCH_HZ = (50.0, 2000.0)
APERIODIC = 0.2
# Frames this far below the loudest are neither pitched nor unpitched, but over.
OVER_DB = 40.0


class Descriptor(NamedTuple):
    """A named property of a sound.

    Attributes:
      name: the word for it; more is more of that word.
      unit: of its numbers.
      audible: a change that is plainly heard. A choice of this project, a few times
        the smallest that listeners are known to tell apart.
    """

    name: str
    unit: str
    audible: float


DESCRIPTORS = (
    Descriptor("brightness", "octaves", 0.1),
    Descriptor("noisiness", "dB", 1.0),
    Descriptor("loudness", "dB", 1.0),
    Descriptor("attack", "decades", 0.1),
    Descriptor("pitch", "octaves", 1 / 12),
)
NAMES = tuple(descriptor.name for descriptor in DESCRIPTORS)


def describe(power_nft, audio_ns, mel):
    """All descriptors of each sound.

    Args:
      power_nft: power in mel bands, [sounds, mels, frames].
      audio_ns: the same sounds, [sounds, samples].
      mel: the `features.Mel` of the bands.

    Returns:
      float64 [sounds, 5], in the order of `NAMES`; NaN where there is no answer.
    """
    power_nft = np.asarray(power_nft, np.float64)
    return np.stack(
        [
            brightness(power_nft, mel),
            noisiness(power_nft, mel),
            loudness(power_nft, mel),
            attack(power_nft, mel),
            np.asarray(pitch(audio_ns, mel.rate_hz), np.float64),
        ],
        axis=1,
    )


def _mean_over_frames(value_nt, energy_nt):
    """Mean weighted by energy; NaN in silence."""
    total_n = energy_nt.sum(axis=1)
    loud_n = energy_nt.max(axis=1) > SILENT_POWER
    mean_n = (value_nt * energy_nt).sum(axis=1) / np.where(loud_n, total_n, 1.0)
    return np.where(loud_n, mean_n, np.nan)


def brightness(power_nft, mel):
    """Where the energy lies: the centroid of power, in octaves (log2 of Hz).

    The logarithm is taken of each frame's centroid in Hz; frames count by their
    energy.

    Args:
      power_nft: power in mel bands, [sounds, mels, frames].
      mel: the `features.Mel` of the bands.

    Returns:
      log2 Hz, [sounds]; NaN in silence.

    Source: `librosa.feature.spectral_centroid` of the power; Peeters 2004, "A large
    set of audio features", 6.1.1.
    """
    centre_f = features.band_edges_hz(mel.rate_hz, mel.mels)[1:-1]
    energy_nt = power_nft.sum(axis=1)
    centroid_nt = np.tensordot(power_nft, centre_f, (1, 0)) / np.maximum(
        energy_nt, 1e-30
    )
    return _mean_over_frames(np.log2(np.maximum(centroid_nt, 1.0)), energy_nt)


def noisiness(power_nft, mel):
    """Spectral flatness: geometric over arithmetic mean of the power density, in dB.

    The power of a band is divided by its width, so that white noise is flat, near
    0 dB; a tone is far below. Bands more than 80 dB below the loudest cell of the
    sound are lifted to that. Frames count by their energy.

    Args:
      power_nft: power in mel bands, [sounds, mels, frames].
      mel: the `features.Mel` of the bands.

    Returns:
      dB, at most 0, [sounds]; NaN in silence.

    Source: `librosa.feature.spectral_flatness`; Dubnov 2004.
    """
    width_f = features.mel_filters(mel).sum(axis=0)
    density_nft = power_nft / width_f[None, :, None]
    floor_n = density_nft.max(axis=(1, 2)) * 10 ** (-RANGE_DB / 10)
    density_nft = np.maximum(density_nft, np.maximum(floor_n, 1e-30)[:, None, None])
    log_nt = np.log(density_nft).mean(axis=1) - np.log(density_nft.mean(axis=1))
    return _mean_over_frames(10 / np.log(10) * log_nt, power_nft.sum(axis=1))


def loudness(power_nft, mel):
    """Level of the whole sound in dB of full scale: that of its mean square.

    Args:
      power_nft: power in mel bands, [sounds, mels, frames].
      mel: the `features.Mel` of the bands.

    Returns:
      dB, [sounds]; -120 in digital silence. A sine of amplitude 1 has -3 dB.
    """
    # Parseval: both halves of the spectrum, and the energy of the Hann window.
    scale = 2 / (mel.n_fft * np.sum(np.square(fourier.hann(mel.n_fft), dtype=float)))
    mean_square_n = scale * power_nft.sum(axis=1).mean(axis=1)
    return 10 * np.log10(np.maximum(mean_square_n, 10 ** (SILENCE_DB / 10)))


def attack(power_nft, mel):
    """Log attack time: how long the last rise to the peak takes, in decades.

    The envelope is the square root of each frame's power. The rise ends where it
    first reaches 90 % of its peak, and begins where it was last below 10 % before
    that, or with the sound. Frames of 2048 samples at 48 kHz cannot show a rise of
    less than 13 ms; shorter than one hop is not given.

    Args:
      power_nft: power in mel bands, [sounds, mels, frames].
      mel: the `features.Mel` of the bands.

    Returns:
      log10 of seconds, [sounds]; NaN in silence.

    Source: log attack time, Peeters 2004, 5.2.1, with fixed thresholds.
    """
    energy_nt = power_nft.sum(axis=1)
    peak_n = np.maximum(energy_nt.max(axis=1), 1e-30)
    rise_nt = np.sqrt(energy_nt / peak_n[:, None])
    low, high = RISE
    end_n = (rise_nt >= high).argmax(axis=1)
    frame_t = np.arange(rise_nt.shape[1])
    below_nt = (rise_nt < low) & (frame_t[None, :] < end_n[:, None])
    start_n = np.where(below_nt, frame_t[None, :], -1).max(axis=1) + 1
    frames_n = _crossing(rise_nt, end_n, high) - _crossing(rise_nt, start_n, low)
    seconds_n = np.maximum(frames_n, 1.0) * mel.hop / mel.rate_hz
    return np.where(energy_nt.max(axis=1) > SILENT_POWER, np.log10(seconds_n), np.nan)


def _crossing(rise_nt, frame_n, level):
    """When a rise reached a level between the frame before and the given one."""
    row_n = np.arange(len(rise_nt))
    after_n = rise_nt[row_n, frame_n]
    before_n = rise_nt[row_n, np.maximum(frame_n - 1, 0)]
    step_n = np.maximum(after_n - before_n, 1e-12)
    return np.where(frame_n > 0, frame_n - np.clip((after_n - level) / step_n, 0, 1), 0)


@functools.partial(jax.jit, static_argnames=("rate_hz",))
def pitch(audio_ns, rate_hz):
    """Pitch of each sound, log2 of Hz: the median over its periodic frames.

    A frame of 2,048 samples is periodic if the best lag between 50 and 2,000 Hz
    leaves less than a fifth of what a random one does. Frames more than 40 dB below
    the loudest are not asked.

    Args:
      audio_ns: [sounds, samples].
      rate_hz: samples per second; at least 2,048 samples hold two periods of 50 Hz
        up to 51 kHz.

    Returns:
      log2 Hz, float32 [sounds]; NaN where periodic frames hold less than half of
      the energy.

    Raises:
      ValueError: the rate is so high that a frame does not hold two longest periods.

    Source: YIN, de Cheveigné & Kawahara 2002, steps 1 to 5.
    """
    half = PITCH_FRAME // 2
    shortest, longest = int(rate_hz / PITCH_HZ[1]), int(np.ceil(rate_hz / PITCH_HZ[0]))
    if longest >= half:
        raise ValueError(
            f"a frame of {PITCH_FRAME} samples is too short for {PITCH_HZ[0]:g} Hz at "
            f"{rate_hz} Hz; resample the audio to 48000 Hz"
        )
    short = max(0, PITCH_FRAME - audio_ns.shape[1])
    audio_ns = jnp.pad(audio_ns.astype(jnp.float32), ((0, 0), (0, short)))
    frame_ntw = fourier.frame(audio_ns, PITCH_FRAME, half)
    difference_ntl = _difference(frame_ntw)
    normal_ntl = _cumulative_mean_normalised(difference_ntl)
    lag_nt, aperiodic_nt = _first_dip(normal_ntl, shortest, longest)
    lag_nt = lag_nt + _vertex(difference_ntl, lag_nt)
    energy_nt = jnp.mean(jnp.square(frame_ntw), axis=-1)
    loudest_n1 = energy_nt.max(axis=1, keepdims=True)
    energy_nt = jnp.where(energy_nt < loudest_n1 * 10 ** (-OVER_DB / 10), 0, energy_nt)
    voiced_nt = (aperiodic_nt < APERIODIC) & (energy_nt > 0)
    share_n = jnp.sum(energy_nt * voiced_nt, axis=1) / (energy_nt.sum(axis=1) + 1e-30)
    octave_nt = jnp.where(voiced_nt, jnp.log2(rate_hz / lag_nt), jnp.nan)
    return jnp.where(share_n >= 0.5, jnp.nanmedian(octave_nt, axis=1), jnp.nan)


def _difference(frame_ntw):
    """Energy of x[j] - x[j + lag] over half a frame, for lags of 0 to half a frame."""
    half = frame_ntw.shape[-1] // 2
    head_ntk = jnp.fft.rfft(frame_ntw[..., :half], 2 * half)
    product_ntl = jnp.fft.irfft(head_ntk.conj() * jnp.fft.rfft(frame_ntw))[..., :half]
    sum_ntw = _running_sum(jnp.square(frame_ntw))
    sum_ntw = jnp.pad(sum_ntw, ((0, 0), (0, 0), (1, 0)))
    energy_ntl = sum_ntw[..., half : 2 * half] - sum_ntw[..., :half]
    return jnp.maximum(energy_ntl[..., :1] + energy_ntl - 2 * product_ntl, 0.0)


def _cumulative_mean_normalised(difference_ntl):
    """Each difference over the mean of those at shorter lags; 1 at lag 0."""
    tail_ntl = difference_ntl[..., 1:]
    lag_l = jnp.arange(1, tail_ntl.shape[-1] + 1)[None, None, :]
    normal_ntl = tail_ntl * lag_l / (_running_sum(tail_ntl) + 1e-20)
    return jnp.pad(normal_ntl, ((0, 0), (0, 0), (1, 0)), constant_values=1.0)


def _running_sum(x_ntw, block=32):
    """Cumulative sum over w, as products inside and over blocks.

    XLA's own goes over all of it again for each doubling of the distance.
    """
    size = x_ntw.shape[-1]
    padded_ntw = jnp.pad(x_ntw, ((0, 0), (0, 0), (0, -size % block)))
    x_ntcb = padded_ntw.reshape(*x_ntw.shape[:2], -1, block)
    count, exact = x_ntcb.shape[2], lax.Precision.HIGHEST
    inside_ntcb = jnp.matmul(
        x_ntcb, jnp.triu(jnp.ones((block, block))), precision=exact
    )
    earlier_cc = jnp.triu(jnp.ones((count, count)), 1)
    before_ntc = jnp.matmul(inside_ntcb[..., -1], earlier_cc, precision=exact)
    sum_ntcb = inside_ntcb + before_ntc[..., None]
    return sum_ntcb.reshape(padded_ntw.shape)[..., :size]


def _first_dip(normal_ntl, shortest, longest):
    """The first local minimum that is periodic, or the deepest point; its depth."""
    inside_ntl = normal_ntl[..., shortest : longest + 1]
    left_ntl = normal_ntl[..., shortest - 1 : longest]
    right_ntl = normal_ntl[..., shortest + 1 : longest + 2]
    dip_ntl = (
        (inside_ntl < APERIODIC) & (inside_ntl <= left_ntl) & (inside_ntl < right_ntl)
    )
    index_nt = jnp.where(
        dip_ntl.any(axis=-1), dip_ntl.argmax(axis=-1), inside_ntl.argmin(axis=-1)
    )
    depth_nt = jnp.take_along_axis(inside_ntl, index_nt[..., None], axis=-1)[..., 0]
    return index_nt + shortest, depth_nt


def _vertex(difference_ntl, lag_nt):
    """How far the minimum of the parabola through three points lies from the middle."""
    around_nt3 = lag_nt[..., None] + jnp.arange(-1, 2)[None, None, :]
    left_nt, here_nt, right_nt = jnp.moveaxis(
        jnp.take_along_axis(difference_ntl, around_nt3, axis=-1), -1, 0
    )
    bend_nt = left_nt - 2 * here_nt + right_nt
    shift_nt = (left_nt - right_nt) / (2 * jnp.where(bend_nt > 0, bend_nt, 1.0))
    return jnp.where(bend_nt > 0, jnp.clip(shift_nt, -1.0, 1.0), 0.0)
