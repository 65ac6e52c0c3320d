"""From a network and the folder of a run to what is evaluated."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

from distill_jax import classifier, student
from distill_jax.tasks import words
from distill_jax.word_report import sides
from distill_jax.word_report.job import Job


class Sounds(NamedTuple):
    """Where the recordings are.

    Attributes:
      workdir: folder of the run that was trained with them.
      data: where the labelled recordings are now; None is where they were.
      noise: folder of more background noise, which training did not use; or None.
    """

    workdir: Path
    data: Path | None = None
    noise: Path | None = None


def load(known, word, listening, sounds):
    """Reads the recordings of a run that it was not trained on.

    Args:
      known: `Classifier` to evaluate; that of the run or another for its words.
      word: the label to listen for; "" where there is only one.
      listening: `Listening`.
      sounds: `Sounds`.

    Returns:
      A `Job` whose report goes to WORKDIR/report.

    Raises:
      FileNotFoundError: there is no run, or its recordings are gone.
      ValueError: the run is of another kind, the recordings are not of the words or
        the rate of the network, or see `classifier.chosen_word` and `sides`.
    """
    number = classifier.chosen_word(known.labels, word)
    config = student.settings(sounds.workdir).copy_and_resolve_references()
    config.data.root = str(sounds.data or config.data.root)
    rate_hz = config.front_end.rate_hz
    if rate_hz != known.front.rate_hz:
        raise ValueError(
            f"the recordings of {sounds.workdir} are prepared at {rate_hz} Hz, but the "
            f"network listens at {known.front.rate_hz} Hz; give the run it comes from"
        )
    corpus, recordings = words.corpus(config)
    if corpus.labels != known.labels:
        raise ValueError(
            f"{config.data.root} holds {', '.join(corpus.labels)}, but the network "
            f"was trained on {', '.join(known.labels)}; give the recordings of the "
            "run as --data"
        )
    valid, test = (
        sides.side(corpus, split, recordings, known.samples)
        for split in ("valid", "test")
    )
    if sounds.noise is not None:
        noise = Path(sounds.noise)
        valid, test = sides.more_noise(noise, rate_hz, corpus, (valid, test))
    return Job(
        Path(sounds.workdir) / "report",
        Path(sounds.workdir),
        known.name,
        known.arithmetic,
        known.labels,
        number,
        partial(classifier.scores, known),
        classifier.scorer(known, number),
        valid,
        test,
        listening,
    )
