"""Long sounds as rows of overlapping windows, and rows of windows as long sounds."""

import numpy as np


def count(length, samples, hop):
    """How many windows cover a sound.

    Args:
      length: samples of the sound.
      samples: length of a window.
      hop: samples from one window's start to the next.
    """
    return max(1, 1 + -(-(length - samples) // hop))


def windows(audio_s, samples, hop):
    """Cuts audio into overlapping windows, the last one filled with silence.

    Args:
      audio_s: [samples of the sound].
      samples: length of a window.
      hop: samples from one window's start to the next.

    Returns:
      [windows, samples].
    """
    starts = count(len(audio_s), samples, hop)
    padded_s = np.pad(audio_s, (0, max(0, (starts - 1) * hop + samples - len(audio_s))))
    view_ns = np.lib.stride_tricks.sliding_window_view(padded_s, samples)
    return view_ns[: (starts - 1) * hop + 1 : hop]


def cross_fade(feature_nftc, hop):
    """Joins spectrograms that start `hop` frames apart.

    Args:
      feature_nftc: [windows, mels, frames, 2].
      hop: frames between starts, at most the frames of a window.

    Returns:
      [mels, (windows - 1)·hop + frames, 2]. Each frame is a mean of the windows
      that cover it, weighted by a triangle that is nowhere 0.
    """
    count, mels, frames, channels = feature_nftc.shape
    ramp_t = np.arange(1, frames + 1, dtype=np.float32)
    weight_t = np.minimum(ramp_t, ramp_t[::-1])
    total = (count - 1) * hop + frames
    sum_ftc = np.zeros((mels, total, channels), np.float32)
    weight_sum_t = np.zeros(total, np.float32)
    for index, feature_ftc in enumerate(feature_nftc):
        part = slice(index * hop, index * hop + frames)
        sum_ftc[:, part] += feature_ftc * weight_t[None, :, None]
        weight_sum_t[part] += weight_t
    return sum_ftc / weight_sum_t[None, :, None]


def fade(audio_s, length):
    """Fades a sound in and out, so that it begins and ends without a click.

    Args:
      audio_s: [samples].
      length: samples of each fade; at most half the sound is used.

    Returns:
      [samples].
    """
    length = min(length, len(audio_s) // 2)
    ramp_s = np.sin(np.pi / 2 * (np.arange(length) + 0.5) / max(length, 1)) ** 2
    gain_s = np.ones(len(audio_s), np.float32)
    gain_s[:length] = ramp_s
    gain_s[len(audio_s) - length :] = ramp_s[::-1]
    return audio_s * gain_s
