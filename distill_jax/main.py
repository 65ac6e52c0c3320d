"""The training command.

    python -m distill_jax.main --config=configs/vae.py --workdir=runs/vae

Give the same command again to go on where a stopped run left off.
"""

import contextlib
import logging
import signal
import sys

import jax
from absl import app, flags
from absl import logging as absl_logging
from ml_collections import config_flags

from distill_jax import folders, jobs, progress, settings, train

CONFIG = config_flags.DEFINE_config_file("config", None, "Path of the config.")
WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.")


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


def run(config, workdir):
    """Trains to the last step or to the first signal, then writes the report.

    Args:
      config: a `ConfigDict`, see `configs/`.
      workdir: the folder of the run; an earlier run there is continued.
    """
    stop = Stop()
    waiting = progress.Waiting()
    with (
        contextlib.closing(jobs.steps(config, workdir, waiting)) as steps,
        progress.bar(None, f"{config.task} {workdir}", config.steps, "step") as bar,
    ):
        for step, values in steps:
            bar.set_postfix(progress.shown(values), refresh=False)
            bar.update(step - bar.n)
            if stop.number is not None:
                break
    print(f"{waiting.share:.1%} of the time was spent waiting for data")
    if stop.number is not None:
        stop.leave()
    jobs.report(config, workdir)


@contextlib.contextmanager
def said():
    """Shows what the package tells, without the noise of what it is built on."""
    absl_logging.set_verbosity(absl_logging.WARNING)
    # absl would show it once more.
    logging.getLogger("distill_jax").propagate = False
    with progress.told():
        yield


@said()
def main(argv):
    """Reads the flags; run by absl."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments {argv[1:]}; every flag starts with --")
    train.cache_compilations(folders.cache("xla"))
    print(
        f"{jax.device_count()} × {jax.devices()[0].device_kind}, JAX {jax.__version__}"
    )
    run(CONFIG.value, WORKDIR.value)


def located(arguments):
    """Arguments in which a config that comes along is named by where it is."""
    found = []
    for text in arguments:
        name, equals, value = text.partition("=")
        path, colon, variant = value.partition(":")
        if name in ("--config", "-config") and path:
            with contextlib.suppress(FileNotFoundError):  # The flag itself tells.
                text = f"{name}{equals}{settings.find(path)}{colon}{variant}"
        found.append(text)
    return found


if __name__ == "__main__":
    flags.mark_flags_as_required(["config", "workdir"])
    app.run(main, located(sys.argv))
