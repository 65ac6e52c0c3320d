"""From the folder of a run to what is evaluated."""

from functools import partial
from pathlib import Path

from distill_jax import student
from distill_jax.tasks import words
from distill_jax.word_report import network, sides
from distill_jax.word_report.job import Job


def load(workdir, word, listening, data=None, noise=None):
    """Opens a run and reads the recordings that it was not trained on.

    Args:
      workdir: the folder of the run.
      word: the label to listen for; "" where there is only one.
      listening: `Listening`.
      data: where the labelled recordings are now; None is where they were.
      noise: folder of more background noise, which training did not use; or None.

    Returns:
      A `Job` whose report goes to WORKDIR/report.

    Raises:
      FileNotFoundError: there is no run, or its recordings are gone.
      ValueError: the recordings are not those of the run, or see
        `network.chosen_word` and `sides`.
      checkpoints.CheckpointError: the run has no good checkpoint.
    """
    trained, workdir = student.load(workdir), Path(workdir)
    number = network.chosen_word(trained.labels, word)
    config = trained.config.copy_and_resolve_references()
    config.data.root = str(data or config.data.root)
    corpus, recordings = words.corpus(config)
    if corpus.labels != trained.labels:
        raise ValueError(
            f"{config.data.root} holds {', '.join(corpus.labels)}, but the network "
            f"was trained on {', '.join(trained.labels)}; give the recordings of the "
            "run as --data"
        )
    valid, test = (
        sides.side(corpus, split, recordings, trained.samples)
        for split in ("valid", "test")
    )
    if noise is not None:
        rate_hz = trained.front.rate_hz
        valid, test = sides.more_noise(Path(noise), rate_hz, corpus, (valid, test))
    return Job(
        workdir / "report",
        workdir.resolve().name,
        trained.labels,
        number,
        partial(student.scores, trained),
        network.scorer(trained, number),
        valid,
        test,
        listening,
    )
