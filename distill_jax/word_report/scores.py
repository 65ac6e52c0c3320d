"""The scores that a network gives to one recording."""

from typing import NamedTuple

import numpy as np

from distill_jax import classifier, detection, exported, streaming
from distill_jax.word_report import network
from distill_jax.word_report.job import Listening


class Heard(NamedTuple):
    """What a network makes of a sound.

    Attributes:
      name: of the run or file.
      word: that is listened for.
      score_n: smoothed, [scores].
      at_n: seconds that had been heard at each.
    """

    name: str
    word: str
    score_n: np.ndarray
    at_n: np.ndarray


def opened(path, word=""):
    """A run or an exported file, to listen with.

    Args:
      path: of a folder or of an exported file.
      word: to listen for; "" is what it was judged for, or the only one.

    Returns:
      (word, `streaming.Scorer`).

    Raises:
      OSError, ValueError: there is none, it is damaged or does not know the word.
      checkpoints.CheckpointError: a run without a good checkpoint.
      runtimes.MissingRuntimeError: what runs the file is not installed.
    """
    known = exported.load(path) if path.is_file() else network.load(path)
    word = word or (known.chosen or {}).get("word", "")
    number = classifier.chosen_word(known.labels, word)
    return known.labels[number], classifier.scorer(known, number)


def listen(name, known, audio_s, listening=None):
    """Scores of a sound.

    Args:
      name: to show it by.
      known: what `opened` gives.
      audio_s: at its rate, [samples].
      listening: {"step_seconds", "smooth"} of a report; None takes the usual.

    Returns:
      `Heard`.

    Raises:
      ValueError: the sound is shorter than a window.
    """
    word, scorer = known
    listening = listening or Listening()._asdict()
    step = streaming.steps(scorer, listening["step_seconds"])
    # Words at the very beginning are heard, too.
    window = scorer.frames * scorer.hop
    padded_s = np.pad(audio_s, (window, 0))
    score_n, at_n = streaming.scores(scorer, padded_s, step)
    score_n = streaming.smooth(score_n, listening["smooth"])
    return Heard(name, word, score_n, (at_n - window) / scorer.rate_hz)


def triggers(heard, threshold, refractory_seconds=1.0):
    """When the word was heard, seconds."""
    over_n = heard.at_n[heard.score_n >= threshold]
    milliseconds = detection.spaced(
        np.round(1000 * over_n).astype(int), round(1000 * refractory_seconds)
    )
    return (milliseconds / 1000).tolist()
