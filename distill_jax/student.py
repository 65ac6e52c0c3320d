"""A trained keyword network and what is needed to use it."""

from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from distill_jax import checkpoints
from distill_jax.audio import front_end
from distill_jax.models.tiny_conv import TinyConv
from distill_jax.tasks import distill, words

BATCH = 64  # windows that are scored at a time


class Student(NamedTuple):
    """A trained network.

    Attributes:
      config: the run's.
      labels: the words, in the order of the classes.
      front: settings of the features.
      samples: length of a window.
      module: the network, which takes features.
      variables: `params`, the moving average, and `batch_stats`; numpy arrays.
      step: how many updates it was trained for.
    """

    config: Any
    labels: tuple[str, ...]
    front: front_end.FrontEnd
    samples: int
    module: TinyConv
    variables: dict
    step: int = 0


def load(workdir, which="best"):
    """Opens a finished or running job.

    Args:
      workdir: the folder of the run.
      which: "best", "latest" or a step.

    Returns:
      A `Student`.

    Raises:
      FileNotFoundError: there is no run in the folder.
      ValueError: the run is of another kind.
      checkpoints.CheckpointError: it has no good checkpoint.
    """
    config = checkpoints.read_config(workdir)
    if config.task not in ("distill", "qat"):
        raise ValueError(
            f"{workdir} is a run of the task {config.task!r}, expected 'distill' or "
            "'qat'; give the folder of a keyword network"
        )
    trained = checkpoints.read(workdir, which)
    variables = {"params": distill.student_of(trained["ema"]), **trained["state"]}
    return of_variables(config, variables)._replace(step=trained["step"])


def of_variables(config, variables):
    """A `Student` from a config and the variables of its module."""
    return Student(
        config,
        tuple(config.labels),
        distill.front(config),
        words.window_samples(config),
        distill.model(config),
        variables,
    )


def features(student, audio_bs):
    """Features of windows, [b, frames, mels]; see `front_end.log_mel`."""
    return front_end.log_mel(audio_bs, student.front)


def probabilities(logits_bc):
    """Softmax in double precision, where sure scores still differ from 1, [b, c]."""
    logits_bc = np.asarray(logits_bc, np.float64)
    odds_bc = np.exp(logits_bc - logits_bc.max(axis=1, keepdims=True))
    return odds_bc / odds_bc.sum(axis=1, keepdims=True)


def scores(student, audio_bs):
    """Probability of every label in every window.

    Args:
      student: the network.
      audio_bs: full scale 1, at the rate of `student.front`, [b, `student.samples`].

    Returns:
      numpy float64 [b, labels].

    Raises:
      ValueError: the windows have another length.
    """
    if audio_bs.ndim != 2 or audio_bs.shape[1] != student.samples:
        raise ValueError(
            f"the windows have shape {audio_bs.shape}, expected ('b', "
            f"{student.samples}): {student.samples / student.front.rate_hz:g} s at "
            f"{student.front.rate_hz} Hz; cut or pad them"
        )
    parts = [np.zeros((0, len(student.labels)))]
    for start in range(0, len(audio_bs), BATCH):
        part_bs = np.asarray(audio_bs[start : start + BATCH], np.float32)
        # One shape, compiled once.
        padded_bs = np.pad(part_bs, ((0, BATCH - len(part_bs)), (0, 0)))
        logits_bc = _logits(student.module, student.front, student.variables, padded_bs)
        parts.append(probabilities(logits_bc)[: len(part_bs)])
    return np.concatenate(parts)


@partial(jax.jit, static_argnums=(0, 1))
def _logits(module, front, variables, audio_bs):
    return module.apply(variables, front_end.log_mel(audio_bs, front))[0]
