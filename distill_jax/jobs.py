"""A training job from its settings to its report, whoever shows the steps."""

import contextlib

from distill_jax import (
    ledger,
    metrics,
    progress,
    sound_report,
    teacher_report,
    train,
    word_report,
)
from distill_jax.tasks import TASKS

REPORTS = {
    "distill": word_report.announce,
    "qat": ledger.announce,
    "teacher": teacher_report.write,
    "vae": sound_report.write,
}


def steps(config, workdir, waiting=None):
    """Trains and logs; goes on where an earlier run in the folder was left.

    Args:
      config: a `ConfigDict`, see `configs/`.
      workdir: the folder of the run.
      waiting: `progress.Waiting`, measures how long is waited for data.

    Returns:
      A generator of (step, values) as `train.train` is, each written down before it is
      given. Closed, it saves.

    Raises:
      See `train.train`, and the `data` and `make` of the job.
    """
    job = TASKS[config.task]
    data = job.data(config)
    watch = (waiting or progress.Waiting()).watch
    data = data._replace(train=watch(data.train))
    made = train.train(config, job.make(config), data, workdir)
    writer = metrics.Writer(workdir, job.rate_hz(config), config.log_every)
    return _written(made, writer)


def _written(made, writer):
    with contextlib.closing(made), writer:
        for step, values in made:
            writer.write(step, values)
            yield step, values


def report(config, workdir):
    """Writes what belongs to a finished run of that kind, or tells how to get it."""
    return REPORTS[config.task](workdir)
