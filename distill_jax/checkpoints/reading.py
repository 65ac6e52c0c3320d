"""What a run has saved, read back by whoever wants it."""

import logging
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
from ml_collections import ConfigDict

from distill_jax import integrity
from distill_jax import workdir as folders

log = logging.getLogger("distill_jax.checkpoints")

PARTS = ("params", "state", "ema")


class CheckpointError(RuntimeError):
    """A checkpoint cannot be written, or none can be read."""


def read(workdir, which="best"):
    """What a run has learnt, without knowing its optimizer or its devices.

    Args:
      workdir: folder of the run.
      which: "best" for the smallest evaluation loss (the latest where none was
        evaluated), "latest", or a step.

    Returns:
      {"step": int, "params": tree, "state": tree, "ema": tree}, the trees nested
      dictionaries of numpy arrays; `ema`, the moving average of `params`, is what to
      use. If the best or the latest is damaged it is the one after it in that order,
      and a message says so.

    Raises:
      FileNotFoundError: there is none.
      CheckpointError: none is good.
    """
    directory = directory_of(workdir)
    problems = {}
    for step in _candidates(directory, which):
        folder = directory / str(step)
        problems[step] = integrity.problem(folder)
        if problems[step] is None:
            tell(problems, folder)
            return {"step": step, **_arrays(folder)}
    raise none_good(directory, which, problems)


def read_config(workdir):
    """Settings of a run, as a `ConfigDict`.

    Raises:
      FileNotFoundError: the folder holds no run.
    """
    return ConfigDict(folders.read_config(workdir))


def directory_of(workdir):
    """Where the checkpoints of a run are."""
    # Orbax insists on an absolute path.
    return Path(workdir).resolve() / "checkpoints"


def _candidates(directory, which):
    """Steps in the order in which they are tried."""
    steps = integrity.steps(directory)[::-1]
    if which == "latest":
        return steps
    if which == "best":
        return sorted(steps, key=lambda step: integrity.loss(directory / str(step)))
    return [step for step in steps if step == which]


def _arrays(folder):
    """Parameters, state and average of a checkpoint as numpy arrays."""
    # The handler and not a Checkpointer, which misses a file of its own and says so.
    handler, path = ocp.PyTreeCheckpointHandler(), folder / "state"
    saved = handler.metadata(path).tree
    item = {name: saved[name] for name in PARTS if name in saved}
    as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), item)
    args = ocp.args.PyTreeRestore(item, restore_args=as_numpy, partial_restore=True)
    return {name: {} for name in PARTS} | handler.restore(path, args=args)


def tell(problems, good):
    """Warns of every damaged checkpoint, {step: problem}; `good` is used instead."""
    for step, problem in problems.items():
        if problem is not None:
            log.warning("checkpoint %s is damaged: %s; using %s", step, problem, good)


def none_good(directory, which, problems):
    """The error where no checkpoint can be used: {step: problem}."""
    if not problems:
        saved = ", ".join(map(str, integrity.steps(directory))) or "none"
        return FileNotFoundError(
            f"no checkpoint {which!r} in {directory}; saved steps: {saved}; name one "
            "of these, or train first"
        )
    found = "\n  ".join(f"step {step}: {problem}" for step, problem in problems.items())
    return CheckpointError(
        f"no checkpoint in {directory} can be used:\n  {found}\nbring back a copy of "
        "one, or start over in a new --workdir"
    )
