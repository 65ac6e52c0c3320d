"""Judging a run over long sound, as `distill-jax evaluate` does, from the page."""

from pathlib import Path

from distill_jax import student, word_report
from distill_jax.app import places, runs
from distill_jax.app.training import Event
from distill_jax.word_report import network, opening

TASKS = ("distill", "qat")


def choices(root):
    """Names of the runs that can be judged."""
    return runs.trained(root, *TASKS)


def evaluate(root, name, word=""):
    """Judges a run on its test recordings; its page goes to NAME/report.

    Args:
      root: work directory.
      name: of a run in it.
      word: to listen for; "" where the run knows only one.

    Yields:
      `training.Event`.

    Raises:
      OSError, ValueError: see `opening.load`; or its recordings are outside of the
        root.
      checkpoints.CheckpointError: it has no good checkpoint.
    """
    path = places.inside(root, name)
    _check(root, path)
    yield Event("opening the run", 1, 2)
    known = network.load(path)
    sounds = opening.Sounds(path)
    job = opening.load(known, word, word_report.Listening(), sounds)
    yield Event("listening to long sound", 2, 2)
    word_report.write(job)


def _check(root, path):
    """Refuses to put sounds from elsewhere into a report, which is served."""
    data = student.settings(path).data
    for place in filter(None, (data.root, data.noise)):
        places.recordings(root, Path(place).absolute())
