"""Every job learns the same on any number of devices, whole or in pieces."""

import importlib.util
import math
import re
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny_job
import tiny_teacher
import tiny_tuition
import tiny_vae

from distill_jax import checkpoints, sharding, train
from distill_jax.tasks import TASKS

# Many programs to compile, on as many devices.
pytestmark = pytest.mark.timeout(900)

STEPS = 3
# With the least optimisation one gradient of `distill` is beyond what is allowed.
OPTIONS = {"xla_backend_optimization_level": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sharded")


def vae(folder):
    values = tiny_vae.config()
    values.data.root = str(tiny_vae.recordings(folder / "sounds"))
    values.data.cache = str(folder / "cache")
    return values


def teacher(folder):
    return tiny_teacher.hearing(tiny_teacher.config(), folder)


def distill(folder):
    return tiny_tuition.config(folder, tiny_tuition.teachers(folder))


def qat(folder):
    student = distill(folder)
    path = Path(__file__).parents[1] / "configs" / "qat.py"
    spec = importlib.util.spec_from_file_location("qat_config", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    values = module.get_config("tiny")
    values.student = str(tiny_tuition.untrained(folder, student))
    return values


def learnt(config, task, batches, layout):
    """Losses, the last state and the program, on so many devices, so many a copy."""
    devices, fsdp = layout
    mesh = sharding.mesh(fsdp, jax.devices()[:devices])
    programs, state = train.prepare(config, task, mesh)
    step = programs.step.lower(state, programs.frozen, programs.place(batches[0]))
    step, losses = step.compile(OPTIONS), []
    for batch in batches:
        state, values = step(state, programs.frozen, programs.place(batch))
        losses.append(float(values["loss"]))
    return losses, jax.device_get(state), step


def gathered(step):
    """Numbers in each array that a program collects from several devices."""
    for dims in re.findall(r"= \w+\[([\d,]*)\]\S* all-gather\(", step.as_text()):
        yield math.prod(map(int, dims.split(",")))


def assert_same(found, wanted, rate, smooth=True):
    """Parameters are alike, but for those that Adam moves by rounding noise alone.

    A bias before a normalisation has no gradient; what is computed instead of 0 is
    divided by its own size, and moves the bias by up to a learning rate. What is not
    smooth, as rounding to integers, jumps where another order of summing crosses an
    edge: there gradients are not compared.
    """
    (losses, state, _), (wanted_losses, wanted_state, _) = found, wanted
    np.testing.assert_allclose(losses, wanted_losses, rtol=0, atol=1e-6)
    moments, wanted_moments = state.opt_state, wanted_state.opt_state
    squares = jax.tree.leaves(wanted_moments.square)
    loudest, compared, apart = max(float(square.max()) for square in squares), 0, 0
    for one, other, square in zip(
        jax.tree.leaves(state.params),
        jax.tree.leaves(wanted_state.params),
        squares,
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=0, atol=2 * STEPS * rate)
        moved = square > 1e-7 * loudest
        apart += np.sum(np.abs(one[moved] - other[moved]) > 1e-5)
        compared += np.sum(moved)
    assert compared > 0.4 * sum(square.size for square in squares)
    # Where the first gradient happened to be near 0 noise was magnified all the same.
    assert apart <= 1e-4 * compared
    if not smooth:
        return
    # The gradients of all of them, also of those.
    near = partial(np.testing.assert_allclose, rtol=0, atol=1e-5 * loudest**0.5)
    jax.tree.map(near, moments.mean, wanted_moments.mean)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("make", [vae, teacher, distill, qat])
def test_every_job_learns_the_same_on_any_devices(make, folder):
    config = make(folder / make.__name__)
    job = TASKS[config.task]
    config.batch, config.steps = 8, 100
    stream = job.data(config).train(0)
    batches = [next(stream) for _ in range(STEPS)]
    stream.close()
    task = job.make(config)
    alone = learnt(config, task, batches, (1, 1))
    for layout in ((2, 1), (4, 2), (8, 8)):
        found = learnt(config, task, batches, layout)
        assert_same(found, alone, config.learning_rate, config.task != "qat")
        # What is put together is weights; no device works on another's examples.
        weights = jax.tree.leaves((task.load(found[1].params), found[1].state))
        sizes = {leaf.size for leaf in weights} | {config.batch}
        assert set(gathered(found[2])) <= sizes


LAYOUTS = [
    (8, 1),
    (4, 2),
    *(
        pytest.param(layout, marks=pytest.mark.slow)
        for layout in ((2, 1), (4, 1), (2, 2), (8, 8))
    ),
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_small_job_learns_the_same_on_any_devices(layout, small):
    config, task, batches, alone = small
    assert_same(learnt(config, task, batches, layout), alone, config.learning_rate)


def test_parts_of_a_batch_are_the_same_on_any_devices(small):
    config, task, batches, whole = small
    config = config.copy_and_resolve_references()
    config.accumulate = 2
    alone = learnt(config, task, batches, (1, 1))
    assert_same(learnt(config, task, batches, (8, 4)), alone, config.learning_rate)
    # Normalised and dropped out by halves, so alike and not the same.
    np.testing.assert_allclose(alone[0], whole[0], rtol=0.2)
    assert alone[0] != whole[0]


@pytest.fixture(scope="module")
def small():
    config = tiny_job.config()
    task, stream = tiny_job.make(config), tiny_job.data(config).train(0)
    batches = [next(stream) for _ in range(STEPS)]
    return config, task, batches, learnt(config, task, batches, (1, 1))


def test_run_saved_on_eight_devices_goes_on_with_one_and_back(tmp_path, small):
    config, task, batches, alone = small

    def trained(devices, fsdp, batches):
        mesh = sharding.mesh(fsdp, jax.devices()[:devices])
        with checkpoints.Store(tmp_path, keep=9) as store:
            programs, state = train.prepare(config, task, mesh, store)
            for batch in batches:
                batch = programs.place(batch)
                state, values = programs.step(state, programs.frozen, batch)
            store.save(state)
        return float(values["loss"]), jax.device_get(state)

    one, *others = batches
    trained(8, 4, [one])
    trained(1, 1, others[:1])
    loss, state = trained(8, 1, others[1:])
    assert_same(([*alone[0][:-1], loss], state, None), alone, config.learning_rate)
