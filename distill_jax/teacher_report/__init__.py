"""How well a teacher tells words apart and how sure it may be, as a page to look at."""

import logging

from distill_jax.teacher_report.calibrating import calibrate
from distill_jax.teacher_report.job import Answers, Job, load

__all__ = ["Answers", "Job", "calibrate", "load", "write"]

log = logging.getLogger(__name__)


def write(workdir):
    """Calibrates a trained teacher.

    Args:
      workdir: the folder of a run that has a checkpoint.

    Returns:
      The figures of `calibration.json`.

    Raises:
      FileNotFoundError: there is no run in the folder, or its recordings are gone.
    """
    job = load(workdir)
    return calibrate(job)
