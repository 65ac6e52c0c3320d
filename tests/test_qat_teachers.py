"""Training on as integers with the teachers of the student."""

import jax
import numpy as np
import pytest
import tiny_tuition
from test_qat import get_config
from test_tuition import LAYERS, batch_of

from distill_jax.tasks import qat


@pytest.mark.slow
def test_the_students_teachers_go_on_teaching(tmp_path):
    found = tiny_tuition.teachers(tmp_path)
    given = tiny_tuition.config(tmp_path, found)
    config = get_config("int8,tiny")
    config.student = str(tiny_tuition.untrained(tmp_path, given))
    batch = next(qat.data(config).train(0))
    assert tuple(config.teachers) == found
    task = qat.make(config)
    params, frozen = task.load(None)
    assert set(params["projectors"]) == set(LAYERS)
    asked = jax.eval_shape(task.annotate, frozen, {**batch, "step": np.int32(0)})
    assert set(LAYERS) < set(asked)

    state = jax.jit(task.init)(jax.random.key(0))[1]
    grad = jax.jit(
        jax.grad(lambda p: task.loss_fn(p, state, batch_of(task, config), None)[0])
    )(params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(grad["projectors"]):
        assert np.abs(leaf).max() > 0, path
    assert np.abs(grad["conv_0"]["kernel"]).max() > 0
