"""A trained teacher and what is needed to listen to it."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from distill_jax import checkpoints, optimizer
from distill_jax.audio import kaldi, normalise
from distill_jax.models.heads import ClassifierHead
from distill_jax.teachers import building, calibration


class Teacher(NamedTuple):
    """A trained teacher.

    Attributes:
      name: of the run's folder.
      labels: the words, in the order of the classes.
      module: the network.
      form: what its encoder takes.
      rate_hz: samples per second that it takes.
      variables: `params`, the moving average; arrays in the type asked for.
      temperature: its logits are divided by it.
      digest: SHA-256 over names and float32 bytes of the parameters and over the
        temperature.
    """

    name: str
    labels: tuple[str, ...]
    module: ClassifierHead
    form: kaldi.Filterbank | normalise.Waveform
    rate_hz: int
    variables: dict
    temperature: float
    digest: str


def load(workdir, labels, dtype="float32"):
    """Opens a finished run.

    Args:
      workdir: the folder of the run.
      labels: what the teacher must tell apart, in this order.
      dtype: of the weights, "float32" or "bfloat16".

    Returns:
      `Teacher`.

    Raises:
      FileNotFoundError: there is no run in the folder.
      ValueError: the run is of another kind, has other labels, or is not finished
        and calibrated.
      checkpoints.CheckpointError: it has no good checkpoint.
    """
    config = checkpoints.read_config(workdir)
    check(config, workdir, labels)
    measured = calibration.read(workdir)
    trained = checkpoints.read(workdir)
    if trained["step"] != measured["step"]:
        raise ValueError(
            f"{workdir} was calibrated at step {measured['step']}, but its best "
            f"checkpoint is now step {trained['step']}; give its training command "
            "again, which finishes and calibrates it"
        )
    params, temperature = trained["ema"], measured["temperature"]
    form = building.form(config)
    return Teacher(
        Path(workdir).resolve().name,
        tuple(config.labels),
        building.network(config),
        form,
        form.rate_hz,
        {"params": jax.tree.map(lambda leaf: leaf.astype(dtype), params)},
        temperature,
        digest(params, temperature),
    )


def check(config, workdir, labels):
    """Raises ValueError where a run is no teacher of these labels."""
    if config.task != "teacher":
        raise ValueError(
            f"{workdir} is a run of the task {config.task!r}, expected 'teacher'; give "
            "the folder of a run of configs/teacher.py"
        )
    if tuple(config.labels) != tuple(labels):
        raise ValueError(
            f"the teacher in {workdir} tells apart {', '.join(config.labels)}; needed "
            f"is one that tells apart {', '.join(labels)}, in this order: train a "
            "teacher on the recordings and words of this job, or give those that it "
            "was trained on"
        )


def digest(params, temperature):
    """SHA-256 that tells teachers apart, in hexadecimal."""
    found = hashlib.sha256(np.float64(temperature).tobytes())
    for path, leaf in sorted(optimizer.named(params).items()):
        found.update(f"{path} {leaf.dtype} {leaf.shape}".encode())
        found.update(np.ascontiguousarray(leaf).tobytes())
    return found.hexdigest()
