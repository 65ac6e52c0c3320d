"""The network of a run, in the arithmetic that it was trained for."""

import json
from pathlib import Path

from distill_jax import quantised, student
from distill_jax.word_report.job import FILE


def load(workdir):
    """Opens a run to listen with it.

    A run of configs/qat.py is asked in integers, as its files will compute, any other
    in floats.

    Args:
      workdir: folder of the run.

    Returns:
      `Classifier`.

    Raises:
      FileNotFoundError, ValueError, checkpoints.CheckpointError: see `student.load`.
    """
    trained = quantised.opened(workdir)
    if "ranges" in trained.variables:
        found = quantised.of_variables(trained, trained.variables, trained.config.bits)
        known = quantised.classifier(found)
    else:
        known = student.classifier(trained)
    return known._replace(chosen=chosen(workdir))


def chosen(workdir):
    """What `evaluate` found for a run, as in `Classifier`; None where it did not."""
    path = Path(workdir) / "report" / FILE
    if not path.is_file():
        return None
    return of_figures(json.loads(path.read_text(encoding="utf-8")))


def of_figures(figures):
    """The part of a report's figures that a detector needs; see `Classifier`."""
    # Reports of before there was a choice do not say it.
    arithmetic = figures.get("arithmetic", "32-bit floats")
    names = "word", "threshold", "listening"
    return {**{name: figures[name] for name in names}, "arithmetic": arithmetic}
