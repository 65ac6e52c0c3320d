"""Log-mel features that a microcontroller can compute as the samples come in.

No frame looks beyond its own window and nothing is normalised by what a stream cannot
know, such as the mean of an utterance. In fixed point the steps are:

1. 16-bit samples times a Hann window in Q15;
2. a real FFT of 512 points (CMSIS-DSP `arm_rfft_q15`, or the kissfft of TFLite
   Micro's front end), its exponent kept beside it;
3. squared magnitude, 32 bits;
4. triangular bands: Q15 weights, 64-bit sums; every bin is in two bands at most;
5. the logarithm: that of the exponent exactly, that of the rest from a table;
6. one multiplication and one addition, into which the scale and the zero point of an
   int8 network's input can be folded.

What is computed here is the float version of it.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from distill_jax.audio import features, fourier, overlap, transforms

# Frames that a call of the program of `log_mel_in_turn` has room for.
ROOM = 64


class FrontEnd(NamedTuple):
    """Settings of the features.

    Attributes:
      rate_hz: samples per second.
      window: samples that a frame depends on, under a periodic Hann window.
      hop: samples from one frame to the next.
      n_fft: length of the Fourier transform; zeros follow the window.
      mels: how many bands.
      low_hz: where the first band begins.
      high_hz: where the last band ends.
      floor: added to the power of a band before the logarithm.
      shift: added to the logarithm, in nepers.
      scale: what that is multiplied by.
    """

    rate_hz: int = 16_000
    window: int = 480
    hop: int = 320
    n_fft: int = 512
    mels: int = 40
    low_hz: float = 60.0
    high_hz: float = 7600.0
    floor: float = 1e-5
    shift: float = 4.0
    scale: float = 0.25

    @property
    def mel(self):
        """The bands, `features.Mel`."""
        return features.Mel(
            self.rate_hz, self.n_fft, self.hop, self.mels, self.low_hz, self.high_hz
        )


def check(front):
    """Raises ValueError naming everything that no front end can have."""
    problems = []
    positive = front._replace(low_hz=1.0, shift=1.0)
    if min(positive) <= 0 or front.low_hz < 0:
        problems.append(f"every number but shift must be positive, found {front}")
    elif not front.low_hz < front.high_hz <= front.rate_hz / 2:
        problems.append(
            f"bands from {front.low_hz} to {front.high_hz} Hz should rise and end by "
            f"{front.rate_hz / 2} Hz, half the rate"
        )
    elif front.window > front.n_fft:
        problems.append(
            f"window {front.window} is longer than n_fft {front.n_fft}; take the next "
            "power of two"
        )
    elif (features.mel_filters(front.mel).sum(axis=0) == 0).any():
        problems.append(
            f"{front.mels} mels leave bands with no FFT bin at n_fft {front.n_fft}; "
            "take fewer mels or a longer n_fft"
        )
    if problems:
        raise ValueError("; ".join(problems))


def frames(samples, front):
    """Number of whole frames in so many samples; 0 if there is none."""
    return max(0, 1 + (samples - front.window) // front.hop)


@functools.partial(jax.jit, static_argnames="front")
def log_mel(audio_bs, front):
    """Normalised log-mel power of whole frames.

    Frame t depends on the samples from `t * hop` to `t * hop + window` alone, so that
    a stream gives the same frames as a file.

    Args:
      audio_bs: full scale 1, [batch, samples].
      front: a `FrontEnd`.

    Returns:
      float32 [batch, frames, mels].

    Raises:
      ValueError: the audio is shorter than one window.

    Source: `librosa.feature.melspectrogram(center=False, htk=True, norm=None)` of the
      windows, then `scale * (log(power + floor) + shift)`.
    """
    if audio_bs.shape[-1] < front.window:
        raise ValueError(
            f"audio of {audio_bs.shape[-1]} samples has no frame; give at least "
            f"{front.window}"
        )
    return features.few_at_a_time(lambda audio_bs: _log_mel(audio_bs, front), audio_bs)


def _log_mel(audio_bs, front):
    frame_bts = fourier.frame(audio_bs.astype(jnp.float32), front.window, front.hop)
    windowed_bts = frame_bts * fourier.hann(front.window)[None, None, :]
    power_btk = fourier.power(transforms.rfft(windowed_bts, front.n_fft))
    power_btf = features.to_mel(power_btk, front.mel)
    return front.scale * (jnp.log(power_btf + np.float32(front.floor)) + front.shift)


def log_mel_in_turn(audio_bs, front):
    """As `log_mel`, and the same to the last bit however many frames are made at once.

    XLA compiles a program for every number of frames; their results differ in the last
    bit, which moves a code where the number is next to the border of two. Here one
    program makes one frame after the other, so that a frame of a stream is that of the
    whole recording.

    Args:
      audio_bs: full scale 1, [batch, samples].
      front: a `FrontEnd`.

    Returns:
      numpy float32 [batch, frames, mels]; no frame where there is less than a window.
    """
    count = frames(audio_bs.shape[-1], front)
    size, found_btf = (ROOM - 1) * front.hop + front.window, []
    for audio_s in np.asarray(audio_bs, np.float32):
        parts_ns = overlap.windows(audio_s, size, ROOM * front.hop)
        parts = [
            np.asarray(_in_turn(part_s, min(ROOM, count - number * ROOM), front))
            for number, part_s in enumerate(parts_ns)
        ]
        found_btf.append(np.concatenate(parts)[:count])
    return np.array(found_btf, np.float32).reshape(len(audio_bs), count, front.mels)


@functools.partial(jax.jit, static_argnames="front")
def _in_turn(audio_s, count, front):
    """The first `count` frames, then zeros, [`ROOM`, mels]."""

    def put(number, feature_tf):
        start = number * front.hop
        frame_s = jax.lax.dynamic_slice_in_dim(audio_s, start, front.window)
        return feature_tf.at[number].set(_log_mel(frame_s[None], front)[0, 0])

    return jax.lax.fori_loop(0, count, put, jnp.zeros((ROOM, front.mels)))
