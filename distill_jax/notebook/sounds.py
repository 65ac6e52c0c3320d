"""Sounds and what encoders make of them, to look at and to listen to."""

import numpy as np

from distill_jax import report
from distill_jax.audio import phase
from distill_jax.notebook import showing
from distill_jax.sound_report import examples

SPREAD = 3.0  # standard deviations that have a colour of their own
MEL = phase.Spectrogram(16_000, n_fft=512, hop=128, mels=64)


def sounds(audio_of, spec):
    """Shows the spectrograms of sounds side by side, and a player for each.

    Args:
      audio_of: {title: audio_s}.
      spec: `phase.Spectrogram`, as a `sound.Sound` has it.
    """
    row = [np.asarray(phase.encode(x_s[None], spec))[0] for x_s in audio_of.values()]
    showing.draw(examples.levels, [row], (list(audio_of), [""]), spec)
    showing.players(audio_of, spec.rate_hz)


def features(audio_s, feature_td, title):
    """Shows the features of a sound below its spectrogram, and a player.

    Args:
      audio_s: at 16 kHz, what speech encoders take.
      feature_td: of its frames, in standard deviations from the mean.
      title: of the picture.
    """
    level_ft = examples.decibels(np.asarray(phase.encode(audio_s[None], MEL))[0], MEL)
    seconds = len(audio_s) / MEL.rate_hz
    tracks = {
        "mel band": report.Track(level_ft, seconds, "dB", examples.LEVEL_DB),
        "feature": report.Track(
            feature_td.T, seconds, "standard deviations", (-SPREAD, SPREAD)
        ),
    }
    showing.draw(report.tracks, tracks, title)
    showing.players({title: audio_s}, MEL.rate_hz)
