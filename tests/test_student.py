import json

import jax
import numpy as np
import pytest
import tiny_words

from distill_jax import classifier, student
from distill_jax.audio import front_end


@pytest.fixture(scope="module")
def trained():
    """A network with weights from numpy."""
    config = tiny_words.get_config("none,depthwise,tiny")
    config.labels = ("yes", "no", "else")
    rng = np.random.default_rng(0)
    blank = student.of_variables(config, {})
    shapes = jax.eval_shape(
        blank.module.init, jax.random.key(0), np.zeros((1, 49, 40), np.float32)
    )
    variables = jax.tree.map(
        lambda leaf: rng.uniform(0.1, 1.0, leaf.shape).astype(leaf.dtype), shapes
    )
    return student.of_variables(config, variables)


def windows(count):
    return np.random.default_rng(1).normal(size=(count, 16_000)).astype(np.float32)


def test_scores_are_the_softmax_of_the_module(trained):
    audio_bs = windows(3)
    feature_btf = front_end.log_mel(audio_bs, trained.front)
    logits_bc, _ = jax.jit(trained.module.apply)(trained.variables, feature_btf)
    expected_bc = jax.nn.softmax(logits_bc)
    np.testing.assert_allclose(
        student.scores(trained, audio_bs), expected_bc, atol=1e-5
    )


def test_a_window_scores_the_same_in_any_company(trained):
    audio_bs = windows(classifier.BATCH + 3)
    together_bc = student.scores(trained, audio_bs)
    assert together_bc.shape == (classifier.BATCH + 3, 3)
    np.testing.assert_allclose(together_bc.sum(axis=1), 1, rtol=1e-5)
    last_bc = student.scores(trained, audio_bs[-3:])
    np.testing.assert_allclose(together_bc[-3:], last_bc, atol=1e-6)
    assert student.scores(trained, audio_bs[:0]).shape == (0, 3)


def test_windows_of_another_length_are_refused(trained):
    with pytest.raises(ValueError, match="1 s at 16000 Hz"):
        student.scores(trained, windows(2)[:, :8000])


def test_a_folder_without_a_run_or_of_another_task_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="is missing"):
        student.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"task": "vae"}))
    with pytest.raises(ValueError, match="'vae', expected 'distill' or 'qat'"):
        student.load(tmp_path)
