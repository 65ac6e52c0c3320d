"""Keyword networks: how often they are right, and what they hear in a recording."""

from typing import NamedTuple

import numpy as np

from distill_jax import report, word_report
from distill_jax.notebook import showing
from distill_jax.word_report import job as jobs
from distill_jax.word_report import network, opening, scores


class Excerpt(NamedTuple):
    """A recording, and where in it the word is said.

    Attributes:
      audio_s: [samples].
      rate_hz: samples per second.
      said: (first second, last second) each; () where nobody knows.
    """

    audio_s: np.ndarray
    rate_hz: int
    said: tuple


def judge(workdir, word, snr_db=(0.0,)):
    """Listens to long sound with a run and writes its report.

    Args:
      workdir: folder of the run.
      word: to listen for.
      snr_db: levels of noise, besides none.

    Returns:
      The figures of `report.json`, see `word_report.write`.

    Raises:
      See `opening.load` and `word_report.write`.
    """
    listening = word_report.Listening(snr_db=snr_db)
    sounds, known = opening.Sounds(workdir), network.load(workdir)
    return word_report.write(opening.load(known, word, listening, sounds))


def accuracies(figures_of):
    """Shows how often single test clips are told apart, in every kind of noise.

    Args:
      figures_of: {name: what `judge` gave}, of the same recordings.
    """
    conditions = list(next(iter(figures_of.values()))["clips"])
    rows = [
        [name, *(_share(figures["clips"][each]) for each in conditions)]
        for name, figures in figures_of.items()
    ]
    showing.table(["right answers, with 95 % interval", *conditions], rows)


def _share(each):
    low, high = each["interval"]
    return (
        f"{each['right']} of {each['clips']}, {each['accuracy']:.1%} "
        f"({low:.1%} to {high:.1%})"
    )


def excerpt(workdir, word, seconds, snr_db=np.inf):
    """Test clips of a run one after the other, the word among others.

    Args:
      workdir: folder of the run.
      word: that is looked for.
      seconds: how long, at most.
      snr_db: of the noise under it; infinite for none.

    Returns:
      `Excerpt`.

    Raises:
      See `opening.load`.
    """
    known = network.load(workdir)
    found = opening.load(known, word, word_report.Listening(), opening.Sounds(workdir))
    scene = jobs.scene(found, found.test, snr_db)
    said_k2 = scene.event_k2 / scene.rate_hz
    said = tuple(map(tuple, said_k2[said_k2[:, 1] < seconds].tolist()))
    return Excerpt(scene.audio_s[: round(seconds * scene.rate_hz)], scene.rate_hz, said)


def timeline(all_heard, threshold, said=()):
    """Shows scores over time, with the threshold and where the word is said.

    Args:
      all_heard: list of `word_report.scores.Heard`.
      threshold: lowest score that triggers.
      said: (first second, last second) each.
    """
    curves = {each.name: (each.at_n, each.score_n) for each in all_heard}
    title = f"Score of {all_heard[0].word!r}"
    showing.draw(report.timeline, curves, threshold, said, title)
    for each in all_heard:
        at = scores.triggers(each, threshold)
        moments = ", ".join(f"{second:.1f} s" for second in at) or "never"
        print(f"{each.name} heard {each.word!r}: {moments}")
