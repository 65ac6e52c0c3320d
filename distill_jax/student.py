"""A trained keyword network and what is needed to use it."""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax

from distill_jax import checkpoints
from distill_jax.audio import front_end
from distill_jax.classifier import Classifier
from distill_jax.classifier import scores as asked
from distill_jax.models import sliding
from distill_jax.models.tiny_conv import TinyConv
from distill_jax.tasks import distill, words


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
      name: of the run.
    """

    config: Any
    labels: tuple[str, ...]
    front: front_end.FrontEnd
    samples: int
    module: TinyConv
    variables: dict
    step: int = 0
    name: str = ""


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
    config = settings(workdir)
    trained = checkpoints.read(workdir, which)
    variables = {"params": distill.student_of(trained["ema"]), **trained["state"]}
    found = of_variables(config, variables)
    return found._replace(step=int(trained["step"]), name=Path(workdir).resolve().name)


def settings(workdir):
    """The config of a run of a keyword network.

    Raises:
      FileNotFoundError: there is no run in the folder.
      ValueError: the run is of another kind.
    """
    config = checkpoints.read_config(workdir)
    if config.task not in ("distill", "qat"):
        raise ValueError(
            f"{workdir} is a run of the task {config.task!r}, expected 'distill' or "
            "'qat'; give the folder of a keyword network"
        )
    return config


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


def classifier(student):
    """The network as a `Classifier`, in floats as it was trained."""
    variables, along = jax.device_put(student.variables), None
    if sliding.supports(student.module):
        along = sliding.along(student.module, student.variables)
    return Classifier(
        student.name,
        "32-bit floats",
        student.labels,
        student.front,
        student.samples,
        student.module.size[0],
        partial(features, student),
        partial(_logits, student.module, variables),
        along,
    )


def scores(student, audio_bs):
    """Probability of every label in every window; see `classifier.scores`."""
    return asked(classifier(student), audio_bs)


@partial(jax.jit, static_argnums=0)
def _logits(module, variables, feature_btf):
    return module.apply(variables, feature_btf)[0]
