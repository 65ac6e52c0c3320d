"""A trained teacher, and the clips that it is judged on."""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from distill_jax import checkpoints, progress, teachers
from distill_jax.data import labelled
from distill_jax.tasks import words


class Answers(NamedTuple):
    """What a teacher says about the clips of one split.

    Attributes:
      logits_nc: before the temperature, [clips, classes].
      label_n: what is said in each.
    """

    logits_nc: np.ndarray
    label_n: np.ndarray


class Job(NamedTuple):
    """What is reported.

    Attributes:
      workdir: of the run.
      config: of the run.
      step: of the checkpoint that is judged, the best.
      parameters: how many numbers it has.
      answers: {"valid", and "test" where there are clips of it: `Answers`}.
    """

    workdir: Path
    config: Any
    step: int
    parameters: int
    answers: dict

    @property
    def folder(self):
        """Where the report goes."""
        return self.workdir / "report"


def load(workdir):
    """Opens a run and lets it answer the clips that it was not trained on.

    Args:
      workdir: the folder of the run.

    Returns:
      `Job`.

    Raises:
      FileNotFoundError: there is no run, or its recordings are gone.
      ValueError: the recordings are not those of the run.
      checkpoints.CheckpointError: it has no good checkpoint.
    """
    config, trained = checkpoints.read_config(workdir), checkpoints.read(workdir)
    corpus, recordings = words.corpus(config)
    if tuple(corpus.labels) != tuple(config.labels):
        raise ValueError(
            f"{config.data.root} holds {', '.join(corpus.labels)}, but the teacher was "
            f"trained on {', '.join(config.labels)}; bring back the recordings of the "
            "run"
        )
    sides = {
        split: labelled.examples(
            corpus, split, recordings, words.window_samples(config)
        )
        for split in ("valid", "test")
        if corpus.split(split)
    }
    answers = {
        split: _answers(config, trained["ema"], examples, split)
        for split, examples in sides.items()
    }
    sizes = [leaf.size for leaf in jax.tree.leaves(trained["ema"])]
    return Job(Path(workdir), config, trained["step"], sum(sizes), answers)


def _answers(config, params, examples, split):
    run = partial(_logits, teachers.network(config), teachers.form(config))
    variables = {"params": jax.tree.map(lambda x: x.astype(config.dtype), params)}
    count, batch = len(examples.label_n), config.batch
    batches = labelled.valid_batches(examples, batch)()
    parts = []
    with progress.bar(batches, f"{split} clips", -(-count // batch), "batch") as bar:
        for each in bar:
            parts.append(np.asarray(run(variables, each["audio_bs"])))
    return Answers(np.concatenate(parts)[:count], examples.label_n)


@partial(jax.jit, static_argnums=(0, 1))
def _logits(module, form, variables, audio_bs):
    return teachers.outputs(module, form, variables, audio_bs)[0]
