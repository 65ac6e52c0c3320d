"""The training command.

    python -m distill_jax.main --config=configs/vae.py --workdir=runs/vae

Give the same command again to go on where a stopped run left off.
"""

import logging
import signal
import sys

import jax
from absl import app, flags
from absl import logging as absl_logging
from ml_collections import config_flags

from distill_jax import (
    folders,
    ledger,
    metrics,
    progress,
    sound_report,
    teacher_report,
    train,
    word_report,
)
from distill_jax.tasks import TASKS

CONFIG = config_flags.DEFINE_config_file("config", None, "Path of the config.")
WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.")
REPORTS = {
    "distill": word_report.announce,
    "qat": ledger.announce,
    "teacher": teacher_report.write,
    "vae": sound_report.write,
}


class Stop:
    """Makes the first Ctrl-C or SIGTERM a request and the second an exit."""

    def __init__(self):
        self.number = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.ask)

    def ask(self, number, frame):
        """Called by the interpreter between two instructions."""
        if self.number is not None:
            raise KeyboardInterrupt
        self.number = number
        print("\nstopping after this step and saving …", file=sys.stderr, flush=True)

    def leave(self):
        """Ends the process as the signal would have; 143 after SIGTERM."""
        sys.exit(128 + self.number)


def shown(values):
    """The scalars of a record, for the end of a progress bar."""
    return {
        name: f"{value:.4g}"
        for name, value in values.items()
        if isinstance(value, float) and "/" not in name
    }


def run(config, workdir):
    """Trains to the last step or to the first signal, then writes the report.

    Args:
      config: a `ConfigDict`, see `configs/`.
      workdir: the folder of the run; an earlier run there is continued.
    """
    stop = Stop()
    job = TASKS[config.task]
    data = job.data(config)
    rate_hz = job.rate_hz(config)
    waiting = progress.Waiting()
    data = data._replace(train=waiting.watch(data.train))
    steps = train.train(config, job.make(config), data, workdir)
    with (
        progress.bar(None, f"{config.task} {workdir}", config.steps, "step") as bar,
        metrics.Writer(workdir, rate_hz, config.log_every) as writer,
    ):
        try:
            for step, values in steps:
                writer.write(step, values)
                bar.set_postfix(shown(values), refresh=False)
                bar.update(step - bar.n)
                if stop.number is not None:
                    break
        finally:
            steps.close()
    print(f"{waiting.share:.1%} of the time was spent waiting for data")
    if stop.number is not None:
        stop.leave()
    REPORTS[config.task](workdir)


def say():
    """Shows what the package tells, without the noise of what it is built on."""
    absl_logging.set_verbosity(absl_logging.WARNING)
    log = logging.getLogger("distill_jax")
    log.setLevel(logging.INFO)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(handler)
    log.propagate = False


def main(argv):
    """Reads the flags; run by absl."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments {argv[1:]}; every flag starts with --")
    say()
    train.cache_compilations(folders.cache("xla"))
    print(
        f"{jax.device_count()} × {jax.devices()[0].device_kind}, JAX {jax.__version__}"
    )
    run(CONFIG.value, WORKDIR.value)


if __name__ == "__main__":
    flags.mark_flags_as_required(["config", "workdir"])
    app.run(main)
