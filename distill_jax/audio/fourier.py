"""Short-time Fourier transform and its inverse.

Letters of the axes here and in `audio/`: b batch, s samples, t frames,
k FFT bins, f mel bands. Everything is float32, as librosa's is.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from distill_jax.audio import transforms

# arctan(x) / x in powers of x^2, within 2e-8: Abramowitz & Stegun 1964, eq. 4.4.49.
ARCTANGENT = (
    0.0028662257,
    -0.0161657367,
    0.0429096138,
    -0.0752896400,
    0.1065626393,
    -0.1420889944,
    0.1999355085,
    -0.3333314528,
    1.0,
)


def frames(samples, hop):
    """Number of centred frames in a signal of so many samples."""
    return 1 + samples // hop


@functools.cache
def hann(n_fft):
    """Periodic Hann window, float32 [n_fft], as `scipy.signal.get_window` gives."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)


def frame(signal_bs, n_fft, hop):
    """Cuts a signal into overlapping frames, without padding.

    Args:
      signal_bs: [batch, samples], at least n_fft samples.
      n_fft: samples per frame.
      hop: samples between frames; must share a factor of at least n_fft / 64
        with n_fft, since frames are put together from such pieces.

    Returns:
      [batch, 1 + (samples - n_fft) // hop, n_fft].

    Raises:
      ValueError: hop and n_fft have too small a common factor.
    """
    piece = math.gcd(n_fft, hop)
    if n_fft > 64 * piece:
        raise ValueError(
            f"hop {hop} and n_fft {n_fft} share the factor {piece} only, expected at "
            f"least {n_fft / 64:g}; choose a hop such as {n_fft // 4}"
        )
    # A strided slice of pieces is a copy; the gather that it replaces is many times
    # slower on CPU.
    count, stride = 1 + (signal_bs.shape[1] - n_fft) // hop, hop // piece
    used = (count - 1) * hop + n_fft
    piece_bns = signal_bs[:, :used].reshape(signal_bs.shape[0], -1, piece)
    end = (count - 1) * stride + 1
    part_bts = [piece_bns[:, i : i + end : stride] for i in range(n_fft // piece)]
    return jnp.concatenate(part_bts, axis=-1)


@functools.partial(jax.jit, static_argnames=("n_fft", "hop", "pad"))
def stft(audio_bs, n_fft=2048, hop=512, pad="constant"):
    """Short-time Fourier transform with centred frames and a Hann window.

    Args:
      audio_bs: [batch, samples].
      n_fft: samples per frame, even.
      hop: samples between frames; see `frame`.
      pad: what lies beyond the ends: "constant" (zeros) or "reflect".

    Returns:
      complex64 [batch, 1 + samples // hop, n_fft // 2 + 1], scaled as librosa's.

    Raises:
      ValueError: the audio is not [batch, samples], or see `frame`.

    Source: `librosa.stft(center=True)`, with the last two axes swapped.
    """
    if audio_bs.ndim != 2:
        raise ValueError(
            f"expected audio of shape [batch, samples], found {audio_bs.shape}; "
            "add a batch axis with audio[None]"
        )
    half = n_fft // 2
    padded_bs = jnp.pad(audio_bs.astype(jnp.float32), ((0, 0), (half, half)), mode=pad)
    return analyse(padded_bs, n_fft, hop)


def analyse(padded_bs, n_fft, hop):
    """`stft` of audio that has half a frame before it and after it already."""
    frame_bts = frame(padded_bs, n_fft, hop)
    return transforms.rfft(frame_bts * hann(n_fft)[None, None, :])


def _window_power(frame_count, n_fft, hop):
    """Sum of the squared windows over each sample, [frames + n_fft/hop - 1, hop]."""
    overlap = n_fft // hop
    square_rs = (hann(n_fft).astype(np.float64) ** 2).reshape(overlap, hop)
    short = min(frame_count, 2 * overlap)
    row_ns = np.zeros((short + overlap - 1, hop))
    for i in range(overlap):
        row_ns[i : i + short] += square_rs[i]
    row_ns = row_ns.astype(np.float32)
    # All rows but those of the ends are alike: a broadcast that XLA does not fold
    # keeps a constant as long as the audio out of the program.
    middle_ns = jnp.broadcast_to(row_ns[overlap - 1], (frame_count - short, hop))
    return jnp.concatenate([row_ns[:overlap], middle_ns, row_ns[overlap:]])


@functools.partial(jax.jit, static_argnames=("hop", "samples"))
def istft(spectrum_btk, hop=512, samples=None):
    """Least-squares inverse of `stft`.

    Args:
      spectrum_btk: complex [batch, frames, n_fft // 2 + 1].
      hop: samples between frames; divides n_fft.
      samples: length of the result, (frames - 1) * hop if None; at most half a
        frame more than that.

    Returns:
      [batch, samples].

    Raises:
      ValueError: hop does not divide n_fft, or more samples than frames reach.

    Source: Griffin & Lim 1984, eq. 6; `librosa.istft(center=True)`.
    """
    frame_count, n_fft = spectrum_btk.shape[1], 2 * (spectrum_btk.shape[2] - 1)
    most = (frame_count - 1) * hop + n_fft // 2
    samples = (frame_count - 1) * hop if samples is None else samples
    if n_fft % hop or samples > most:
        raise ValueError(
            f"expected a hop that divides n_fft {n_fft} and at most {most} samples for "
            f"{frame_count} frames, found hop {hop} and {samples} samples"
        )
    padded_bs = synthesise(spectrum_btk, hop, samples)
    return padded_bs[:, n_fft // 2 : n_fft // 2 + samples]


def synthesise(spectrum_btk, hop, samples):
    """`istft` with zeros before and after the audio, as `analyse` takes it."""
    batch, frame_count, bins = spectrum_btk.shape
    n_fft = 2 * (bins - 1)
    overlap = n_fft // hop
    pieces = frame_count + overlap - 1
    frame_bts = transforms.irfft(spectrum_btk) * hann(n_fft)[None, None, :]
    piece_btrs = frame_bts.reshape(batch, frame_count, overlap, hop)
    # Slices of one padded array: XLA makes slow loops of a sum of padded ones.
    ends = (overlap - 1, overlap - 1)
    piece_btrs = jnp.pad(piece_btrs, ((0, 0), ends, (0, 0), (0, 0)))
    starts = range(overlap - 1, -1, -1)
    sum_bns = sum(piece_btrs[:, n : n + pieces, r] for r, n in enumerate(starts))
    weight_ns = jnp.maximum(_window_power(frame_count, n_fft, hop), 1e-10)
    sample_ns = jnp.arange(pieces * hop).reshape(pieces, hop) - n_fft // 2
    inside_ns = (sample_ns >= 0) & (sample_ns < samples)
    return jnp.where(inside_ns[None], sum_bns / weight_ns[None], 0.0).reshape(batch, -1)


def power(spectrum_btk):
    """Squared magnitude; its gradient is finite at zero, unlike that of abs."""
    return spectrum_btk.real**2 + spectrum_btk.imag**2


def angle(number):
    """Angle of a complex array; 0, with a gradient of 0, where it vanishes.

    A polynomial, since XLA's arctangent takes most of the time of `encode` on CPU.
    """
    x, y = number.real, number.imag
    larger = jnp.maximum(jnp.abs(x), jnp.abs(y))
    smaller = jnp.minimum(jnp.abs(x), jnp.abs(y))
    known = larger > 1e-12
    ratio = jnp.where(known, smaller / jnp.where(known, larger, 1.0), 0.0)
    square = ratio * ratio
    turned = ratio * functools.reduce(lambda sum_, c: sum_ * square + c, ARCTANGENT)
    turned = jnp.where(jnp.abs(y) > jnp.abs(x), np.float32(np.pi / 2) - turned, turned)
    turned = jnp.where(x < 0, np.float32(np.pi) - turned, turned)
    return jnp.where(y < 0, -turned, turned)
