"""What is evaluated, and with what."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from distill_jax import streaming
from distill_jax.data import scenes

CLEAN = float("inf")
FILE = "report.json"


class Side(NamedTuple):
    """Clips and noise of one split.

    Attributes:
      audio_ns: clips as the network was trained to see them, [clips, samples].
      label_n: what is said in each, indices.
      spoken: the same as `scenes.Spoken`, None for those in which nobody speaks.
      noises: {name: audio_s}, background noise.
    """

    audio_ns: np.ndarray
    label_n: np.ndarray
    spoken: list
    noises: dict

    def with_label(self, word):
        """`Spoken` clips of that label, and those of all others."""
        pairs = [
            (clip, label == word)
            for clip, label in zip(self.spoken, self.label_n.tolist(), strict=True)
            if clip is not None
        ]
        return [c for c, same in pairs if same], [c for c, same in pairs if not same]


class Listening(NamedTuple):
    """How the detector listens and what it is judged by.

    Attributes:
      step_seconds: from one score to the next.
      smooth: how many scores the mean is taken of.
      per_hour: false accepts that the threshold is to allow.
      snr_db: levels of noise, besides none.
      seed: decides order, pauses and noise.
    """

    step_seconds: float = 0.02
    smooth: int = 5
    per_hour: float = 0.5
    snr_db: tuple = (10.0, 5.0, 0.0, -5.0)
    seed: int = 0


class Job(NamedTuple):
    """A network, and the sounds it is judged on.

    Attributes:
      folder: where the report goes.
      workdir: folder of the run whose recordings these are.
      name: of the network's run.
      arithmetic: what the network computes with, for people.
      labels: the classes.
      word: index of the wake word.
      classify: audio_bs -> probability_bc; any batch.
      scorer: the same network for `streaming`.
      valid: the `Side` that thresholds are chosen on.
      test: the `Side` that is reported.
      listening: `Listening`.
    """

    folder: Path
    workdir: Path
    name: str
    arithmetic: str
    labels: tuple
    word: int
    classify: Callable
    scorer: streaming.Scorer
    valid: Side
    test: Side
    listening: Listening

    @property
    def conditions(self):
        """Levels of noise that there is noise for, the loudest last."""
        levels = self.listening.snr_db if self.valid.noises and self.test.noises else ()
        return (CLEAN, *levels)


def shown(snr_db):
    """A level of noise as people read it."""
    return "clean" if snr_db == CLEAN else f"{snr_db:g} dB"


def scene(job, side, snr_db):
    """The `Scene` of a side at a level of noise."""
    words, others = side.with_label(job.word)
    plan = scenes.Plan(job.scorer.rate_hz, job.listening.seed, snr_db=snr_db)
    return scenes.build(words, others, side.noises, plan)
