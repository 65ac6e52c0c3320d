"""Waveforms of zero mean and unit variance, as Wav2Vec2, HuBERT and WavLM take them."""

from typing import NamedTuple

import numpy as np

from distill_jax.audio import preprocessor

VARIANCE_FLOOR = 1e-7
SETTINGS = {
    "sampling_rate": "rate_hz",
    "do_normalize": "normalise",
    "return_attention_mask": "masked",
    "padding_value": "padding_value",
}


class Waveform(NamedTuple):
    """Settings of the features.

    Attributes:
      rate_hz: samples per second.
      normalise: to zero mean and unit variance, a clip at a time.
      masked: whether the checkpoint takes a mask. One that does not (wav2vec2-base)
        was trained on clips normalised with their padding: in a batch, its features
        depend on the longest clip, here as in the reference.
      padding_value: what follows the end of a clip that has a mask.
    """

    rate_hz: int = 16_000
    normalise: bool = True
    masked: bool = True
    padding_value: float = 0.0


def from_preprocessor(settings):
    """Reads `preprocessor_config.json` of a Wav2Vec2, HuBERT or WavLM checkpoint.

    Args:
      settings: the file's dictionary.

    Returns:
      `Waveform`.

    Raises:
      ValueError: it is of another kind, or has settings that are not handled; all of
        them are named.
    """
    known = preprocessor.known(settings, "Wav2Vec2FeatureExtractor", SETTINGS)
    # The class's own default, which a file that is silent about it means.
    return Waveform(**{"masked": False, **known})


def exact(audio_bs, form):
    """Pads clips to one length and normalises them.

    Args:
      audio_bs: clips of any lengths, [samples] each, full scale 1.
      form: `Waveform`.

    Returns:
      audio_bs, float32 [clips, samples], and mask_bs, True where a clip is.

    Raises:
      ValueError: a clip is empty or not one channel; all of them are named.

    Source: `transformers.Wav2Vec2FeatureExtractor`.
    """
    clips = [np.asarray(audio_s, np.float32) for audio_s in audio_bs]
    problems = [
        f"clip {number} has shape {clip_s.shape}"
        for number, clip_s in enumerate(clips)
        if clip_s.ndim != 1 or not clip_s.size
    ]
    if problems:
        raise ValueError("expected clips of one channel; " + "; ".join(problems))
    length_b = np.array([len(clip_s) for clip_s in clips])
    mask_bs = np.arange(length_b.max())[None] < length_b[:, None]
    padded_bs = np.full(mask_bs.shape, form.padding_value, np.float32)
    for row_s, clip_s in zip(padded_bs, clips, strict=True):
        row_s[: len(clip_s)] = clip_s
        if form.normalise:
            _normalise(row_s[: len(clip_s)] if form.masked else row_s)
    return padded_bs, mask_bs


def _normalise(audio_s):
    """In place, with the variance of the whole."""
    mean, variance = audio_s.mean(), audio_s.var()
    audio_s[:] = (audio_s - mean) / np.sqrt(variance + VARIANCE_FLOOR)
