"""The filterbank features of Wav2Vec2-BERT: Kaldi's, stacked two by two.

Two forms. `exact` equals `transformers`' SeamlessM4TFeatureExtractor, for which framing
and FFT must be float64 (NumPy, on the host). `fast` is float32, jitted and runs where
the model does; the quietest mel bands differ most (benchmarks/RESULTS.md).
"""

import functools
from concurrent import futures
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from distill_jax.audio import features, fourier, preprocessor, transforms

FRAME, HOP, N_FFT = 400, 160, 512  # samples: 25 ms, 10 ms, the next power of two
PRE_EMPHASIS = 0.97
LOW_HZ = 20.0
MEL_FLOOR = 1.192092955078125e-07  # float32's epsilon, as Kaldi has it
VARIANCE_FLOOR = 1e-7
PART = 128  # frames, whose float64 arrays stay in the cache
FULL_SCALE = 2.0**15  # Kaldi works on 16-bit integers
SETTINGS = {
    "sampling_rate": "rate_hz",
    "num_mel_bins": "mels",
    "stride": "stride",
    "padding_value": "padding_value",
}


class Filterbank(NamedTuple):
    """Settings of the features.

    Attributes:
      rate_hz: samples per second.
      mels: bands.
      stride: frames that are stacked to one.
      padding_value: what frames after the end of a clip hold.
    """

    rate_hz: int = 16_000
    mels: int = 80
    stride: int = 2
    padding_value: float = 1.0


def from_preprocessor(settings):
    """Reads `preprocessor_config.json` of a Wav2Vec2-BERT checkpoint.

    Args:
      settings: the file's dictionary.

    Returns:
      `Filterbank`.

    Raises:
      ValueError: it is of another kind, or has settings that are not handled; all of
        them are named.
    """
    known = preprocessor.known(settings, "SeamlessM4TFeatureExtractor", SETTINGS)
    # The class's own default, which a file that is silent about it means.
    return Filterbank(**{"padding_value": 0.0, **known})


def frames(samples):
    """Number of 10-ms frames in so many samples; none is padded."""
    return np.maximum(0, 1 + (samples - FRAME) // HOP)


def steps(samples, stride=2):
    """Number of whole feature vectors, `stride` frames each, in so many samples."""
    return frames(samples) // stride


@functools.cache
def window():
    """Povey's window, float64 [400]: a Hann window to the power of 0.85."""
    return np.hanning(FRAME) ** 0.85


@functools.cache
def filters(bank):
    """Mel filters, triangles on the mel scale, float64 [257, mels].

    Source: Kaldi's `MelBanks`; `transformers.audio_utils.mel_filter_bank` with
      `mel_scale="kaldi"` and `triangularize_in_mel_space`.
    """

    def mel(hz):
        return 1127.0 * np.log(1.0 + hz / 700.0)

    edge_f = np.linspace(mel(LOW_HZ), mel(bank.rate_hz / 2), bank.mels + 2)
    bin_k = mel(bank.rate_hz / N_FFT * np.arange(N_FFT // 2 + 1))[:, None]
    rise_kf = (bin_k - edge_f[:-2]) / np.diff(edge_f)[:-1]
    fall_kf = (edge_f[2:] - bin_k) / np.diff(edge_f)[1:]
    return np.maximum(0.0, np.minimum(rise_kf, fall_kf))


@functools.cache
def filter_blocks(bank):
    """`filters` as `features.blocks`, float64."""
    cuts = np.arange(1, features.BLOCKS) * bank.mels // features.BLOCKS
    return features.blocks(filters(bank), cuts)


def log_mel(audio_s, bank):
    """Log mel energies of one clip, before any normalisation.

    Args:
      audio_s: float, full scale 1, at `bank.rate_hz`; at least 400 samples.
      bank: `Filterbank`.

    Returns:
      float32 [frames, mels].
    """
    audio_s = np.asarray(audio_s, np.float32) * np.float64(FULL_SCALE)
    sum_s = np.concatenate([[0.0], np.cumsum(audio_s)])
    mean_t = (sum_s[FRAME::HOP] - sum_s[:-FRAME:HOP]) / FRAME
    # Emphasis before framing is emphasis after it: only the first sample of a frame
    # would know, and there the window is 0. Of its mean 3 % are left.
    audio_s[1:] -= PRE_EMPHASIS * audio_s[:-1]
    offset_t1 = (1 - PRE_EMPHASIS) * mean_t[:, None]
    frame_ts = np.lib.stride_tricks.sliding_window_view(audio_s, FRAME)[::HOP]
    log_tf = np.empty((len(frame_ts), bank.mels), np.float32)
    part_ts = np.zeros((min(PART, len(frame_ts)), N_FFT))
    for start in range(0, len(frame_ts), PART):
        part = slice(start, start + PART)
        part_ts = part_ts[: len(offset_t1[part])]
        inside_ts = np.subtract(frame_ts[part], offset_t1[part], out=part_ts[:, :FRAME])
        inside_ts *= window()
        log_tf[part] = _log_mel(part_ts, bank)
    return log_tf


def _log_mel(frame_ts, bank):
    # The reference keeps the spectrum, and nothing else, in single precision.
    single_tk = np.fft.rfft(frame_ts).astype(np.complex64)
    square_tn = np.square(single_tk.view(np.float32), dtype=np.float64)
    power_tk = square_tn[:, ::2] + square_tn[:, 1::2]
    mels = [power_tk[:, bins] @ part_kf for bins, part_kf in filter_blocks(bank)]
    return np.log(np.maximum(MEL_FLOOR, np.concatenate(mels, axis=1)))


def check(audio_bs, bank):
    """Raises ValueError naming every clip that is too short or not one channel."""
    least = FRAME + (bank.stride - 1) * HOP
    problems = [
        f"clip {number} has shape {audio_s.shape}"
        for number, audio_s in enumerate(map(np.asarray, audio_bs))
        if audio_s.ndim != 1 or audio_s.size < least
    ]
    if problems:
        raise ValueError(
            f"expected one channel of at least {least} samples "
            f"({1000 * least / bank.rate_hz:g} ms) each; " + "; ".join(problems)
        )


def exact(audio_bs, bank):
    """Features of clips, equal to the reference.

    Silence gives 0.003, as there: a rounding error of the mean.

    Args:
      audio_bs: clips of any lengths, [samples] each, full scale 1.
      bank: `Filterbank`.

    Returns:
      feature_btf, float32 [clips, steps, stride * mels], and mask_bt, True where a
      step is whole. An odd last frame gives a step that is not.

    Raises:
      ValueError: a clip is shorter than one step, or not one channel.

    Source: `transformers.SeamlessM4TFeatureExtractor`.
    """
    check(audio_bs, bank)
    # NumPy lets go of the interpreter while it computes.
    with futures.ThreadPoolExecutor() as pool:
        mels = list(pool.map(lambda audio_s: _normalised(audio_s, bank), audio_bs))
    longest = max(len(mel_tf) for mel_tf in mels)
    count = -(-longest // bank.stride)
    shape = len(mels), count * bank.stride, bank.mels
    feature_btf = np.full(shape, bank.padding_value, np.float32)
    for row_tf, mel_tf in zip(feature_btf, mels, strict=True):
        row_tf[: len(mel_tf)] = mel_tf
    whole_b = np.array([len(mel_tf) // bank.stride for mel_tf in mels])
    mask_bt = np.arange(count)[None] < whole_b[:, None]
    return feature_btf.reshape(len(mels), count, -1), mask_bt


def _normalised(audio_s, bank):
    """Log mel energies of one clip, each band with zero mean and unit variance."""
    # The order in memory of the reference, in which its sums in float32 round alike.
    log_tf = np.asfortranarray(log_mel(audio_s, bank))
    variance_f = log_tf.var(axis=0, ddof=1) + np.float32(VARIANCE_FLOOR)
    return (log_tf - log_tf.mean(axis=0)) / np.sqrt(variance_f)


@functools.partial(jax.jit, static_argnames=("bank",))
def fast(audio_bs, length_b, bank):
    """`exact` in float32, jitted: off by 4e-4 at most in benchmarks/RESULTS.md.

    Args:
      audio_bs: [clips, samples], zeros after the end of a clip.
      length_b: samples of each clip, int [clips].
      bank: `Filterbank`.

    Returns:
      As `exact`, for the length of `audio_bs`. A clip shorter than a step has no
      whole step.
    """
    log_btf = features.few_at_a_time(
        functools.partial(_log_mel_float32, bank=bank), audio_bs, clips=1
    )
    count_b = jnp.maximum(0, 1 + (length_b - FRAME) // HOP)
    real_bt1 = (jnp.arange(log_btf.shape[1])[None] < count_b[:, None])[..., None]
    mean_b1f = jnp.sum(log_btf, axis=1, where=real_bt1, keepdims=True)
    mean_b1f /= jnp.maximum(count_b, 1)[:, None, None]
    centred_btf = log_btf - mean_b1f
    square_b1f = jnp.sum(centred_btf**2, axis=1, where=real_bt1, keepdims=True)
    variance_b1f = square_b1f / jnp.maximum(count_b - 1, 1)[:, None, None]
    feature_btf = centred_btf * jax.lax.rsqrt(variance_b1f + VARIANCE_FLOOR)
    feature_btf = jnp.where(real_bt1, feature_btf, bank.padding_value)
    return _stacked(feature_btf, bank), _whole(count_b, feature_btf.shape[1], bank)


def _log_mel_float32(audio_bs, bank):
    frame_bts = fourier.frame(audio_bs.astype(jnp.float32) * FULL_SCALE, FRAME, HOP)
    frame_bts -= frame_bts.mean(axis=2, keepdims=True)
    before_bts = jnp.concatenate([frame_bts[..., :1], frame_bts[..., :-1]], axis=-1)
    emphasised_bts = frame_bts - PRE_EMPHASIS * before_bts
    window_s = window().astype(np.float32)
    power_btk = fourier.power(
        transforms.rfft(emphasised_bts * window_s[None, None], N_FFT)
    )
    mel_btf = jnp.matmul(
        power_btk, filters(bank).astype(np.float32), precision=jax.lax.Precision.HIGHEST
    )
    return jnp.log(jnp.maximum(MEL_FLOOR, mel_btf))


def _stacked(feature_btf, bank):
    extra = -feature_btf.shape[1] % bank.stride
    pads = ((0, 0), (0, extra), (0, 0))
    feature_btf = jnp.pad(feature_btf, pads, constant_values=bank.padding_value)
    count = feature_btf.shape[1] // bank.stride
    return feature_btf.reshape(len(feature_btf), count, bank.stride * bank.mels)


def _whole(count_b, longest, bank):
    count = -(-longest // bank.stride)
    return jnp.arange(count)[None] < (count_b // bank.stride)[:, None]
