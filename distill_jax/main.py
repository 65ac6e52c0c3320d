"""The training command.

    python -m distill_jax.main --config=configs/vae.py --workdir=runs/vae

Give the same command again to go on where a stopped run left off. Several processes,
each with its own devices, train one model with --distributed; see `processes.plan`.
"""

import contextlib
import logging
import os
import signal
import sys
from pathlib import Path

import jax
from absl import app, flags
from absl import logging as absl_logging
from ml_collections import config_flags

from distill_jax import (
    folders,
    jobs,
    processes,
    progress,
    settings,
    timing,
    train,
    watchdog,
)

log = logging.getLogger("distill_jax.main")

CONFIG = config_flags.DEFINE_config_file("config", None, "Path of the config.")
WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.")
DISTRIBUTED = flags.DEFINE_bool(
    "distributed",
    False,
    "This is one of several processes. SLURM and TPU pods tell which; elsewhere give "
    "the next three flags, or JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and "
    "JAX_PROCESS_ID.",
)
COORDINATOR = flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0.")
PROCESSES = flags.DEFINE_integer("processes", None, "How many processes.")
PROCESS = flags.DEFINE_integer("process", None, "Number of this process, from 0.")
START_TIMEOUT = flags.DEFINE_float(
    "start_timeout", 300.0, "Seconds to wait for the other processes at the start."
)
STEP_TIMEOUT = flags.DEFINE_float(
    "step_timeout",
    None,
    "Seconds without a step after which the process ends and says where it hangs; 0 "
    "waits for ever. 1800 with several processes, else 0.",
)
PROFILE = flags.DEFINE_string(
    "profile_steps", "", "FIRST:LAST of steps to trace into WORKDIR/profile, 10:15."
)


class Stop:
    """Makes the first Ctrl-C or SIGTERM a request and the second an exit."""

    def __init__(self):
        self.number = None
        # Of several processes JAX itself hears SIGTERM, and tells the others.
        heard = signal.SIGUSR1 if processes.several() else signal.SIGTERM
        for number in (signal.SIGINT, heard):
            signal.signal(number, self.ask)

    def ask(self, number, frame):
        """Called by the interpreter between two instructions."""
        if self.number is not None:
            raise KeyboardInterrupt
        self.number = number
        print("\nstopping after this step and saving …", file=sys.stderr, flush=True)
        if processes.several():
            os.kill(os.getpid(), signal.SIGTERM)

    def due(self, step):
        """Whether to stop after a step; the same on all processes."""
        if not processes.several():
            return self.number is not None
        if processes.stopping(step):
            self.number = signal.SIGTERM
            log.warning("all stop after step %d, one was told to; saving …", step)
            return True
        return False

    def leave(self):
        """Ends the process as the signal would have; 143 after SIGTERM."""
        sys.exit(128 + self.number)


def run(config, workdir, trace=None):
    """Trains to the last step or to the first signal, then writes the report.

    Args:
      config: a `ConfigDict`, see `configs/`.
      workdir: the folder of the run; an earlier run there is continued.
      trace: `timing.Trace` of some steps, if one is wanted.
    """
    stop = Stop()
    clock = timing.Clock(trace)
    steps = jobs.steps(config, workdir, clock)
    stopped = follow(steps, stop, f"{config.task} {workdir}", config.steps)
    processes.part()
    if processes.first():
        print(timing.said(clock.write(workdir)))
    if stopped:
        stop.leave()
    if processes.first():
        jobs.report(config, workdir)


def follow(steps, stop, title, count):
    """Shows the steps of a job, until the end or until it is to stop.

    Args:
      steps: from `jobs.steps`; closed at the end.
      stop: `Stop`.
      title: of the bar.
      count: how many steps there will have been.

    Returns:
      Whether it was stopped.
    """
    stopped = False
    with (
        progress.bar(None, title, count, "step") as bar,
        watchdog.Watchdog(patience(), f"process {jax.process_index()}") as dog,
    ):
        try:
            for step, values in steps:
                dog.told(step)
                bar.set_postfix(progress.shown(values), refresh=False)
                bar.update(step - bar.n)
                stopped = stop.due(step)
                if stopped:
                    break
            steps.close()
        except BaseException as error:
            # Alone it saves what is good; see `train.train`.
            steps.throw(error)
            raise
    return stopped


def profile_folder():
    """Where this process writes its trace."""
    folder = Path(WORKDIR.value) / "profile"
    # On one machine their files would have the same name.
    if processes.first():
        return folder
    return folder / f"process_{jax.process_index()}"


def patience():
    """Seconds without a step that are too many; 0 for none."""
    if STEP_TIMEOUT.value is None:
        return 1800.0 if processes.several() else 0.0
    return STEP_TIMEOUT.value


@contextlib.contextmanager
def said():
    """Shows what the package tells, without the noise of what it is built on.

    Of several processes the first tells all, the others what is wrong with them.
    """
    absl_logging.set_verbosity(absl_logging.WARNING)
    progress.show(processes.first())
    with progress.told(logging.INFO if processes.first() else logging.WARNING):
        yield


def main(argv):
    """Reads the flags; run by absl."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments {argv[1:]}; every flag starts with --")
    given = processes.Plan(COORDINATOR.value, PROCESSES.value, PROCESS.value)
    try:
        plan = processes.plan(DISTRIBUTED.value, given)
        if plan is not None:
            processes.start(plan, START_TIMEOUT.value)
        trace = timing.trace(PROFILE.value, profile_folder())
    except ValueError as error:
        raise app.UsageError(str(error)) from error
    with processes.leaving(), said():
        train.cache_compilations(folders.cache("xla"))
        if processes.first():
            print(
                f"{jax.device_count()} × {jax.devices()[0].device_kind}, "
                f"JAX {jax.__version__}"
            )
        run(CONFIG.value, WORKDIR.value, trace)


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
