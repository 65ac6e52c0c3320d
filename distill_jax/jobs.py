"""A training job from its settings to its report, whoever shows the steps."""

from distill_jax import (
    checkpoints,
    ledger,
    metrics,
    processes,
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


def steps(config, workdir, clock=None):
    """Trains and logs; goes on where an earlier run in the folder was left.

    Args:
      config: a `ConfigDict`, see `configs/`.
      workdir: the folder of the run.
      clock: `timing.Clock` to be told where the time goes.

    Returns:
      A generator of (step, values) as `train.train` is, each written down before it is
      given, by the first of several processes. Closed, it saves.

    Raises:
      See `train.train`, and the `data` and `make` of the job.
    """
    job = TASKS[config.task]
    data = job.data(config)
    # Each has read its recordings, which may take one much longer than another.
    checkpoints.meet("the recordings are read")
    processes.agree("settings", config.to_dict())
    processes.agree("recordings", data.sounds, "all have to read the same folder")
    made = train.train(config, job.make(config), data, workdir, clock)
    return _written(
        made, metrics.Writer(workdir, job.rate_hz(config), config.log_every)
    )


def _written(made, writer):
    with writer:
        try:
            for step, values in made:
                if processes.first():
                    writer.write(step, values)
                yield step, values
        except GeneratorExit:
            made.close()
            raise
        except BaseException as error:
            # What was thrown in at the yield is for training to see.
            made.throw(error)
            raise


def report(config, workdir):
    """Writes what belongs to a finished run of that kind, or tells how to get it."""
    return REPORTS[config.task](workdir)
