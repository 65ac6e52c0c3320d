import json
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_words

from distill_jax import optimizer, student
from distill_jax.audio import augment, files, front_end
from distill_jax.tasks import TASKS, distill, words

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    values = tiny_words.config(tmp_path_factory.mktemp("words"))
    values.learning_rate, values.warmup_steps = 0.02, 0
    return values


@pytest.fixture(scope="module")
def data(config):
    return TASKS[config.task].data(config)


@pytest.fixture(scope="module")
def task(config, data):
    return TASKS[config.task].make(config)


@pytest.fixture(scope="module")
def started(task):
    """Parameters drawn by numpy: to compile the model's own draws takes seconds."""
    rng = np.random.default_rng(0)
    params, state = jax.eval_shape(task.init, jax.random.key(0))
    params = jax.tree.map(lambda x: jnp.float32(rng.normal(size=x.shape) * 0.3), params)
    return params, jax.tree.map(lambda x: jnp.ones(x.shape, x.dtype), state)


@pytest.fixture(scope="module")
def annotated(task, data):
    frozen = task.load(None)[1]
    batch = next(data.train(0))
    annotate = jax.jit(task.annotate)
    return (
        batch,
        annotate(frozen, {**batch, "step": np.int32(0)}),
        annotate(frozen, batch),
    )


def test_labels_are_found_and_kept_in_the_config(config, data):
    assert config.labels == ("high", "low")


def test_held_out_features_are_those_of_the_audio_as_it_is(annotated, config):
    batch, _, held = annotated
    expected_btf = front_end.log_mel(batch["audio_bs"], distill.front(config))
    assert held["feature_btf"].shape == (8, 49, 40)
    np.testing.assert_allclose(held["feature_btf"], expected_btf, atol=1e-5)


def test_training_features_are_those_of_augmented_audio(annotated, config):
    batch, trained, held = annotated
    frozen = words.bank(config)
    varied = augment.Settings(rate_hz=16_000, **config.augment)
    heard_bs = augment.augment(batch["audio_bs"], batch["seed_b"], frozen, varied)
    feature_btf = front_end.log_mel(heard_bs, distill.front(config))
    masks = augment.Masks(**config.masks)
    expected_btf = augment.spec_augment(feature_btf, batch["seed_b"], masks)
    np.testing.assert_allclose(trained["feature_btf"], expected_btf, atol=1e-4)
    assert np.abs(trained["feature_btf"] - held["feature_btf"]).max() > 0.1


def test_twenty_updates_tell_a_batch_apart(task, started, annotated, config):
    _, batch, _ = annotated
    config = config.copy_and_resolve_references()
    config.steps = 20
    opt = optimizer.adamw(config)

    @jax.jit
    def update(params, state, opt_state, rng):
        (loss, (state, shown)), grads = jax.value_and_grad(task.loss_fn, has_aux=True)(
            params, state, batch, rng
        )
        moving, opt_state, _ = opt.update(
            optimizer.named(params), opt_state, optimizer.named(grads), loss
        )
        params = optimizer.replaced(params, moving)
        return params, state, opt_state, {**shown, "loss": loss}

    params, state = started
    opt_state, seen = opt.init(optimizer.named(params)), []
    for number in range(20):
        params, state, opt_state, values = update(
            params, state, opt_state, jax.random.key(number)
        )
        seen.append(values)
    assert seen[-1]["loss"] < 0.5 * seen[0]["loss"]
    assert seen[-1]["accuracy"] == 1


def test_evaluation_leaves_out_examples_without_weight(task, started, annotated):
    _, _, batch = annotated
    weight_b = jnp.array([1.0] * 5 + [0.0] * 3)
    evaluate = jax.jit(task.eval_fn)
    one = evaluate(*started, {**batch, "weight_b": weight_b})
    changed_btf = batch["feature_btf"].at[5:].set(7.0)
    two = evaluate(
        *started, {**batch, "weight_b": weight_b, "feature_btf": changed_btf}
    )
    for name, (total, count) in one.items():
        assert count == 5
        np.testing.assert_allclose(total, two[name][0], rtol=1e-6)


def test_evaluation_is_cross_entropy_and_share_of_right_answers():
    logits_bc = np.log([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])
    label_b = np.array([0, 1])
    found = words.counted(logits_bc, np.eye(3)[label_b], label_b)
    np.testing.assert_allclose(found["loss"], -np.log([0.5, 0.2]), rtol=1e-6)
    np.testing.assert_array_equal(found["accuracy"], [1, 0])


def test_mixup_keeps_targets_probabilities_and_mixes_both_alike():
    feature_btf = jnp.arange(3.0)[:, None, None] * jnp.ones((1, 4, 2))
    target_bc = jnp.eye(3)
    mixed_btf, mixed_bc = distill.mixed(jax.random.key(3), feature_btf, target_bc, 0.4)
    np.testing.assert_allclose(mixed_bc.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(mixed_btf[:, 0, 0], mixed_bc @ np.arange(3.0), rtol=1e-5)
    assert ((mixed_bc > 0).sum(axis=1) == 2).all()


def test_missing_folder_of_recordings_is_said(config):
    empty = config.copy_and_resolve_references()
    empty.data.root = ""
    with pytest.raises(ValueError, match="nothing to learn from"):
        distill.data(empty)


def test_unknown_variants_are_refused():
    with pytest.raises(ValueError, match="depthwise"):
        tiny_words.get_config("none,huge")


@pytest.mark.parametrize(
    ("arg", "most"), [("none,depthwise", 8_600), ("small", 12_000)]
)
def test_small_variants_stay_below_their_size(arg, most):
    config = tiny_words.get_config(arg)
    config.labels = ("a", "b", "c")
    params, _ = jax.eval_shape(distill.make(config).init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) <= most


@pytest.mark.slow
def test_command_trains_and_the_student_opens(config, one_device, tmp_path):
    command = [sys.executable, "-m", "distill_jax.main"]
    command += [f"--config={ROOT}/configs/distill.py:none,tiny"]
    command += [f"--config.data.root={config.data.root}", f"--workdir={tmp_path}"]
    environment = one_device | {"XDG_CACHE_HOME": str(tmp_path / "x")}
    job = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280
    )
    assert job.returncode == 0, job.stderr
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    valid = [r for r in map(json.loads, lines) if r["split"] == "valid"]
    assert valid[-1]["values"].keys() == {"loss", "accuracy"}

    trained = student.load(tmp_path)
    assert trained.labels == ("high", "low") and trained.step == 2
    audio_bs = np.random.default_rng(0).normal(size=(3, 16_000)).astype(np.float32)
    found_bc = student.scores(trained, audio_bs)
    assert found_bc.shape == (3, 2) and np.isfinite(found_bc).all()


def test_other_recordings_are_other_sounds(config, data, tmp_path):
    other = config.copy_and_resolve_references()
    other.data.cache = str(tmp_path / "cache")
    assert TASKS[config.task].data(other).sounds == data.sounds
    other.data.root = str(tmp_path / "words")
    shutil.copytree(config.data.root, other.data.root)
    said_s = tiny_words.word("high", np.random.default_rng(9))
    files.write(tmp_path / "words" / "high" / "0.wav", said_s, tiny_words.RATE_HZ, {})
    assert TASKS[config.task].data(other).sounds != data.sounds
