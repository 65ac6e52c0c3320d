"""Teachers small enough to make and judge in seconds."""

import importlib.util
from pathlib import Path

import jax
import numpy as np
import tiny_words

from distill_jax import checkpoints, teachers, workdir
from distill_jax.task import TrainState
from distill_jax.tasks import teacher

CONFIG = Path(__file__).parents[1] / "configs" / "teacher.py"


def get_config(arg):
    spec = importlib.util.spec_from_file_location("teacher_config", CONFIG)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(arg)


def config(arg="wav2vec2,tiny", **settings):
    """The tiny variant for two words, with settings of the teacher, adopted."""
    values = get_config(arg)
    values.labels = ("high", "low")
    values.teacher.encoder.num_hidden_layers = 1
    values.teacher.update(settings)
    teacher.adopt(values)
    return values


def params(values, seed=0):
    """Parameters drawn by numpy: to compile the model's own draws takes seconds."""
    rng = np.random.default_rng(seed)
    shapes, _ = jax.eval_shape(teacher.make(values).init, jax.random.key(0))
    return jax.tree.map(lambda leaf: np.float32(rng.normal(0, 0.2, leaf.shape)), shapes)


def hearing(values, folder):
    """The config with recordings in a folder, made if they are not there."""
    root = folder / "words"
    values.data.root = str(root if root.is_dir() else tiny_words.recordings(root))
    values.data.cache = str(folder / "cache")
    return values


def untrained(folder, arg="wav2vec2,tiny"):
    """The work directory of a run with random weights, not yet calibrated."""
    return kept(hearing(config(arg), folder), folder / "run")


def kept(values, run):
    """Writes random weights as those of a finished run; returns its folder."""
    drawn, zero = params(values), np.int32(0)
    state = TrainState(zero + values.steps, drawn, {}, {}, drawn, zero, zero)
    workdir.keep_config(run, values.to_dict(), resuming=False)
    with checkpoints.Store(run, keep=1) as store:
        store.save(state, 1.0)
        store.wait()
    return run


def network(values):
    """Module, form and variables."""
    variables = {"params": params(values)}
    return teachers.network(values), teachers.form(values), variables
