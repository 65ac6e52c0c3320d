import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from distill_jax import losses
from distill_jax.audio import distance, phase
from distill_jax.tasks import TASKS, vae

CONFIG = Path(__file__).parents[1] / "configs" / "vae.py"


@pytest.fixture(scope="module")
def config():
    spec = importlib.util.spec_from_file_location("vae_config", CONFIG)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config("tiny")


@pytest.fixture(scope="module")
def task(config):
    return TASKS[config.task].make(config)


@pytest.fixture(scope="module")
def started(task):
    return jax.jit(task.init)(jax.random.key(0))


@pytest.fixture(scope="module")
def batch(task):
    rng = np.random.default_rng(0)
    level_b1 = np.array([[0.3], [0.01], [0.0]])
    audio_bs = (level_b1 * rng.standard_normal((3, 48_000))).astype(np.float32)
    batch = {"audio_bs": audio_bs, "weight_b": jnp.ones(3), "step": jnp.asarray(0)}
    return jax.jit(task.annotate)((), batch)


def test_annotation_is_the_two_channel_spectrogram(batch, config):
    assert batch["feature_bftc"].shape == (3, 128, 94, 2)
    wanted_bftc = phase.encode(batch["audio_bs"], vae.spectrogram(config))
    np.testing.assert_allclose(batch["feature_bftc"], wanted_bftc, rtol=0, atol=1e-5)


def test_every_term_is_finite_and_not_negative_even_in_silence(task, started, batch):
    params, state = started
    (loss, (_, metrics)), gradient = jax.jit(
        jax.value_and_grad(task.loss_fn, has_aux=True)
    )(params, state, batch, jax.random.key(1))
    assert np.isfinite(loss) and loss > 0
    assert {"magnitude", "frequency", "kl", "kl_nats"} <= metrics.keys()
    assert all(value >= 0 for value in metrics.values())
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_perfect_reconstruction_costs_the_kl_only(config, batch):
    objective = vae.Objective(
        vae.spectrogram(config), {**config.loss_weight, "audio": 0.0}, 0.0, 1
    )
    out = {"mean_bz": jnp.ones((3, 4)), "log_var_bz": jnp.zeros((3, 4))}
    found = vae.terms(objective, batch["feature_bftc"], out, batch)
    np.testing.assert_array_equal(found["magnitude"], 0)
    np.testing.assert_array_equal(found["frequency"], 0)
    np.testing.assert_array_equal(found["log_power"], 0)
    np.testing.assert_allclose(found["kl"], 2.0)
    np.testing.assert_allclose(
        vae.total(objective, found, 0.5), config.loss_weight.kl, rtol=1e-6
    )


def test_log_power_term_is_nearly_the_log_mel_distance(config):
    rng = np.random.default_rng(0)
    spec = vae.spectrogram(config)
    audio_2bs = np.float32(rng.normal(size=(2, 3, 48_000)) * [[[0.1]], [[0.01]]])
    pair = [phase.encode(audio_bs, spec) for audio_bs in audio_2bs]
    found_b = losses.l1(*(vae.log_power(feature_bftc, spec) for feature_bftc in pair))
    expected_b = distance.log_mel_l1(*audio_2bs, spec.mel)
    np.testing.assert_allclose(found_b, expected_b, rtol=0.02)


def test_audio_term_is_logged_finite_and_moves_the_decoder(config, started, batch):
    audible = config.copy_and_resolve_references()
    audible.loss_weight.audio = 1.0
    audible.loss_weight.magnitude = audible.loss_weight.frequency = 0.0
    audible.loss_weight.kl = 0.0
    task = vae.make(audible)
    params, state = started
    (_, (_, metrics)), gradient = jax.jit(
        jax.value_and_grad(task.loss_fn, has_aux=True)
    )(params, state, batch, jax.random.key(1))
    assert 0 < metrics["audio"] < np.inf
    leaves = jax.tree.leaves(gradient["decoder"])
    assert all(np.isfinite(leaf).all() for leaf in leaves)
    assert any((leaf != 0).any() for leaf in leaves)


def test_evaluation_leaves_out_examples_without_weight(task, started, batch):
    evaluate = jax.jit(task.eval_fn)
    one = evaluate(*started, {**batch, "weight_b": jnp.array([1.0, 1.0, 0.0])})
    changed_bs = batch["feature_bftc"].at[2].set(0.5)
    two = evaluate(
        *started,
        {**batch, "weight_b": jnp.array([1.0, 1.0, 0.0]), "feature_bftc": changed_bs},
    )
    for name, (total, count) in one.items():
        assert count == 2
        np.testing.assert_allclose(total, two[name][0], rtol=1e-6)


def test_evaluation_does_not_depend_on_chance(task, started, batch):
    evaluate = jax.jit(task.eval_fn)
    one, two = (evaluate(*started, batch) for _ in range(2))
    assert all((one[name][0] == two[name][0]).all() for name in one)


def test_kl_weight_rises_to_one():
    found = [float(vae.warm_up(step, 4)) for step in range(6)]
    np.testing.assert_allclose(found, [0.25, 0.5, 0.75, 1, 1, 1])


def test_bfloat16_weights_give_nearly_the_same_loss(task, started, batch):
    params, state = started
    low = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    loss_fn = jax.jit(task.loss_fn)
    full, _ = loss_fn(params, state, batch, jax.random.key(1))
    half, (_, metrics) = loss_fn(low, state, batch, jax.random.key(1))
    assert metrics["magnitude"].dtype == jnp.float32
    np.testing.assert_allclose(half, full, rtol=0.05)


def test_preview_has_pictures_and_sound(task, started, batch):
    held_out = {name: array for name, array in batch.items() if name != "step"}
    shown = jax.jit(task.preview)(*started, held_out)
    assert shown["original_bs"].shape == shown["reconstruction_bs"].shape
    assert shown["original_bft"].shape == (3, 128, 94)
    assert np.isfinite(shown["reconstruction_bs"]).all()
