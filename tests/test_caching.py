import itertools
import os

import jax
import numpy as np
import pytest
import tiny_tuition
from test_tuition import params_of

from distill_jax import checkpoints, student, train
from distill_jax.tasks import caching, distill
from distill_jax.teachers import calibration, lessons


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("caching")


@pytest.fixture(scope="module")
def found(folder):
    return tiny_tuition.teachers(folder)


@pytest.fixture
def config(folder, found):
    values = tiny_tuition.config(folder, found)
    values.data.fraction = 0.5
    values.distill.update(views=2, cache=str(folder / "said"))
    return values


def take(batches, count):
    iterator = batches(0)
    try:
        return list(itertools.islice(iterator, count))
    finally:
        iterator.close()


@pytest.fixture(scope="module")
def kept(folder, found):
    """Batches with what was kept, after the teachers were asked."""
    values = tiny_tuition.config(folder, found)
    values.data.fraction = 0.5
    values.distill.update(views=2, cache=str(folder / "said"))
    return take(distill.data(values).train, 3)


def test_live_and_kept_answers_give_the_same_losses(kept, config):
    cached = distill.make(config)
    config.distill.views = 0
    live = distill.make(config)
    (params, state), (_, frozen) = params_of(live), live.load(None)

    def losses(task):
        def loss(frozen, batch):
            return task.loss_fn(params, state, task.annotate(frozen, batch), None)[0]

        return jax.jit(loss)

    ours, theirs = losses(cached), losses(live)
    for step, batch in enumerate(kept):
        asked = {k: v for k, v in batch.items() if not k.startswith("teacher")}
        bank = {"bank": frozen["bank"]}
        one = ours(bank, {**batch, "step": np.int32(step)})
        other = theirs(frozen, {**asked, "step": np.int32(step)})
        np.testing.assert_allclose(one, other, rtol=2e-5)


def test_unlabelled_clips_are_trained_on(kept):
    label_b = np.concatenate([batch["label_b"] for batch in kept])
    assert (label_b == -1).any() and (label_b >= 0).any()


def test_teachers_are_not_asked_twice(kept, config, monkeypatch):
    def never(*args):
        raise AssertionError("asked again")

    monkeypatch.setattr(caching, "asker", never)
    again = take(distill.data(config).train, 1)[0]
    config.data.fraction = 0.9  # Which labels are hidden is nothing that they hear.
    distill.data(config)
    np.testing.assert_array_equal(again[lessons.LOGITS], kept[0][lessons.LOGITS])


def test_a_lost_part_is_asked_for_again(kept, config, folder):
    path = folder / "said" / "part_00000.npy"
    said = path.read_bytes()
    os.truncate(path, 200)
    distill.data(config)
    assert path.read_bytes() == said


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [
        ("augment.gain_db", 3.0, "augmentation"),
        ("distill.view_seed", 1, "view_seed"),
        ("distill.over_time", True, "steps of a layer"),
    ],
)
def test_what_is_stale_is_refused_with_the_reason(kept, config, setting, value, named):
    config.update_from_flattened_dict({setting: value})
    with pytest.raises(ValueError, match=f"  {named}: "):
        distill.data(config)


def test_answers_of_another_teacher_are_refused(kept, config, found):
    before = calibration.read(found[0])
    calibration.write(found[0], before | {"temperature": 2.0})
    try:
        with pytest.raises(ValueError, match="  teachers: "):
            distill.data(config)
    finally:
        calibration.write(found[0], before)


def test_a_full_disk_is_told_beforehand(config, folder, monkeypatch):
    config.distill.cache = str(folder / "elsewhere")
    usage = caching.shutil.disk_usage(folder)._replace(free=10)
    monkeypatch.setattr(caching.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OSError, match=r"2 views of .* where 10 are free"):
        distill.data(config)


def test_an_unknown_type_of_what_is_kept_is_refused(config):
    config.distill.cache_dtype = "int8"
    with pytest.raises(ValueError, match="'float32' or 'float16'"):
        distill.data(config)


def test_projectors_are_kept_with_the_run_and_not_with_the_student(
    kept, config, tmp_path
):
    config.steps = config.save_every = config.eval_every = 2
    data, task = distill.data(config), distill.make(config)
    shown = dict(train.train(config, task, data, tmp_path))
    assert shown[1]["weight_wav2vec2_n"].sum() == config.batch
    saved = checkpoints.read(tmp_path, "latest")
    assert len(saved["ema"]["projectors"]) == 3
    trained = student.load(tmp_path)
    assert "projectors" not in trained.variables["params"]
    audio_bs = next(data.valid())["audio_bs"]
    assert student.scores(trained, audio_bs).shape == (8, 2)
