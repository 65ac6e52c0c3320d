"""What a run logged, and the figures that a report leaves for programs."""

import math

import numpy as np

from distill_jax import metrics, timing
from distill_jax import workdir as folders

SIDES = {"train": "training", "valid": "held out"}


def curves(workdir):
    """What a run logged, as curves.

    Args:
      workdir: the folder of the run.

    Returns:
      {"train/NAME" or "valid/NAME": (step_n, value_n)}, NaN where a value was not
      finite; {} if nothing was logged. Histograms are left out.
    """
    points = {}
    for record in metrics.read(workdir):
        for name, value in record["values"].items():
            if isinstance(value, list):
                continue
            value = math.nan if value is None else value
            points.setdefault(f"{record['split']}/{name}", []).append(
                (record["step"], value)
            )
    return {name: tuple(np.array(pairs).T) for name, pairs in points.items()}


def histograms(workdir, name):
    """Counts in equal bins from 0 to 1 that a run logged while training.

    Args:
      workdir: the folder of the run.
      name: of the value, without `_n`.

    Returns:
      step_n, and count_nk of each bin; both empty if none was logged.
    """
    found = [
        (record["step"], record["values"][f"{name}_n"])
        for record in metrics.read(workdir)
        if f"{name}_n" in record["values"]
    ]
    return np.array([step for step, _ in found]), np.array([n for _, n in found])


def sides(logged, name):
    """A value in training and on held-out examples, of those that were logged.

    Args:
      logged: from `curves`.
      name: of the value, such as "loss".

    Returns:
      {"training" or "held out": (step_n, value_n)}.
    """
    return {
        title: logged[f"{side}/{name}"]
        for side, title in SIDES.items()
        if f"{side}/{name}" in logged
    }


def time(workdir):
    """What a run did with its time, as figures {"time_on_input": share, …}."""
    shares = timing.shares(workdir)
    return {f"time_on_{part}": share for part, share in shares.items()}


def figures(path, values):
    """Writes figures as JSON that is there whole or not at all.

    Args:
      path: the file.
      values: nested dictionaries and lists of numbers, arrays and text; what is
        not finite is written as null, since JSON knows no NaN.
    """
    folders.write_json(path, _plain(values))


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(np.asarray(value).tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
