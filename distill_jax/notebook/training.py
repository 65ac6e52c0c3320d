"""Runs in a notebook: the devices, the steps and their curves."""

import contextlib
import time
from pathlib import Path

import jax

from distill_jax import folders, jobs, progress, report
from distill_jax import train as training
from distill_jax.notebook import showing

# Out of all that is logged, in this order, as far as there is room.
CURVES = {
    "loss": "loss",
    "accuracy": "right answers",
    "log_power": "log power",
    "kl_nats": "KL, nats",
    "agreement": "agrees with the teachers",
}
PANELS = 3
SECONDS = 20.0  # from one drawing of the curves to the next


def begin():
    """Tells which devices there are, and keeps what is compiled for the next start."""
    training.cache_compilations(folders.cache("xla"))
    kind = jax.devices()[0].device_kind
    print(f"{jax.device_count()} × {kind}, JAX {jax.__version__}")


def train(config, workdir):
    """Trains with the curves below the cell; goes on where it was left.

    To interrupt the kernel stops it with the state saved; the same cell goes on.

    Args:
      config: a `ConfigDict`, see `settings.read`.
      workdir: the folder of the run.

    Raises:
      See `jobs.steps`.
    """
    place, drawn = showing.Place(), time.monotonic()
    with (
        progress.told(),
        contextlib.closing(jobs.steps(config, workdir)) as steps,
        progress.bar(None, Path(workdir).name, config.steps, "step") as bar,
    ):
        for step, values in steps:
            bar.set_postfix(progress.shown(values), refresh=False)
            bar.update(step - bar.n)
            if "valid/loss" in values and time.monotonic() - drawn > SECONDS:
                _curves(place, workdir)
                drawn = time.monotonic()
    _curves(place, workdir)


def _curves(place, workdir):
    logged = report.curves(workdir)
    found = {title: report.sides(logged, name) for name, title in CURVES.items()}
    found = {title: curves for title, curves in found.items() if curves}
    series = dict(list(found.items())[:PANELS])
    place.draw(report.panels, series, Path(workdir).name, "step")


def compare(workdirs, name, title):
    """Shows a value on held-out examples in several runs.

    Args:
      workdirs: {name of a curve: folder of the run}.
      name: of the value, such as "accuracy".
      title: of the picture.

    Raises:
      KeyError: a run did not log it.
    """
    series = {
        run: report.curves(workdir)[f"valid/{name}"]
        for run, workdir in workdirs.items()
    }
    showing.draw(report.lines, series, title, "step", f"{name}, held out")
