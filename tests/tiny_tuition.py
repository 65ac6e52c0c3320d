"""A student of two words with two tiny teachers, one of each kind."""

import jax
import numpy as np
import tiny_teacher
import tiny_words

from distill_jax import checkpoints, workdir
from distill_jax.task import TrainState
from distill_jax.tasks import distill
from distill_jax.teachers import calibration

KINDS = {"wav2vec2": 0.8, "wav2vec2_bert": 1.5}  # and their temperatures


def teachers(folder):
    """Runs of both kinds with random weights, calibrated; returns their folders."""
    found = []
    for kind, temperature in KINDS.items():
        run = tiny_teacher.untrained(folder, f"{kind},tiny").rename(folder / kind)
        calibration.write(run, {"temperature": temperature, "step": 2})
        found.append(str(run))
    return tuple(found)


def config(folder, found):
    """The tiny variant on `tiny_words`, taught by the runs of `teachers`."""
    values = tiny_words.config(folder, "dual,tiny")
    values.teachers, values.labels = found, ("high", "low")
    values.teacher_alignment_layers = ("0,last", "middle")
    values.distill.inner = 8
    return values


def untrained(folder, values):
    """The work directory of a student with random weights, and projectors."""
    rng, zero = np.random.default_rng(0), np.int32(0)
    shapes = jax.eval_shape(distill.make(values).init, jax.random.key(0))
    params, state = shapes
    params = jax.tree.map(
        lambda leaf: np.float32(rng.normal(0, 0.5, leaf.shape)), params
    )
    # Near those of the batches to come, or calibrated ranges would be far off.
    state = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), state)
    run = folder / "student"
    workdir.keep_config(run, values.to_dict(), resuming=False)
    with checkpoints.Store(run, keep=1) as store:
        store.save(TrainState(zero + 1, params, state, {}, params, zero, zero), 1.0)
        store.wait()
    return run
