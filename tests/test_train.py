import jax
import numpy as np
import pytest
import tiny_job

from distill_jax import checkpoints, sharding, train, workdir


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory):
    with tiny_job.compiled_once(tmp_path_factory.getbasetemp() / "xla"):
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """An uninterrupted run: its folder and all that it yielded."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, list(tiny_job.start(folder))


def spoil(steps):
    """For `start`: puts a NaN into the batches of these steps."""

    def at(step, batch):
        if step in steps:
            batch["audio_bs"][0, 0] = np.nan
        return batch

    return at


def test_job_learns(finished):
    _, yielded = finished
    losses = [metrics["loss"] for _, metrics in yielded]
    assert [step for step, _ in yielded] == list(range(1, 25))
    assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:4])
    assert yielded[-1][1]["valid/accuracy"] > 0.6


def test_evaluations_and_previews_come_when_due(finished):
    _, yielded = finished
    evaluated = [step for step, metrics in yielded if "valid/loss" in metrics]
    shown = {s: m["preview/heard_bs"] for s, m in yielded if "preview/heard_bs" in m}
    assert evaluated == [8, 16, 24]
    assert list(shown) == [12, 24]
    batch = next(iter(tiny_job.data(tiny_job.config()).valid()))
    np.testing.assert_allclose(shown[12], 2 * batch["audio_bs"][:2])
    for _, metrics in yielded:
        floats = {n: v for n, v in metrics.items() if not n.startswith("preview/")}
        assert all(type(value) is float for value in floats.values())
        assert {"loss", "highest", "grad_norm", "learning_rate", "skipped"} <= set(
            floats
        )


def test_evaluation_uses_the_average_and_weighs_examples(finished):
    folder, yielded = finished
    saved, config = checkpoints.read(folder, 24), tiny_job.config()
    task = tiny_job.make(config)
    total = count = 0
    for batch in tiny_job.data(config).valid():
        batch = task.annotate({"gain": 2.0}, batch)
        part = task.eval_fn(saved["ema"], saved["state"], batch)["loss"]
        total, count = total + part[0], count + part[1]
    assert count == 24
    assert yielded[-1][1]["valid/loss"] == pytest.approx(float(total / count), rel=1e-5)


def test_learning_rate_and_counters_are_reported(finished):
    _, yielded = finished
    rates = [metrics["learning_rate"] for _, metrics in yielded]
    np.testing.assert_allclose(rates[:3], [1e-2 / 3, 2e-2 / 3, 1e-2], rtol=1e-6)
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert {metrics["skipped"] for _, metrics in yielded} == {0.0}


def test_finished_run_yields_nothing_and_says_so(finished, caplog):
    assert list(tiny_job.start(finished[0])) == []
    assert "is complete: 24 of 24 steps" in caplog.text


def test_finished_run_goes_on_with_more_steps(tmp_path):
    list(tiny_job.start(tmp_path, steps=4))
    assert [step for step, _ in tiny_job.start(tmp_path, steps=6)] == [5, 6]


def test_changed_setting_is_refused_and_nothing_is_touched(tmp_path):
    list(tiny_job.start(tmp_path, steps=2))
    before = tiny_job.learnt(tmp_path)
    with pytest.raises(workdir.ConfigChangedError, match=r"ema_decay: 0.9 -> 0.5"):
        list(tiny_job.start(tmp_path, steps=4, ema_decay=0.5))
    assert tiny_job.learnt(tmp_path) == before


def test_changed_model_is_refused(tmp_path):
    list(tiny_job.start(tmp_path, steps=2))
    (tmp_path / "config.json").unlink()
    with pytest.raises(checkpoints.CheckpointError, match="holds another model"):
        list(tiny_job.start(tmp_path, steps=4, model={"width": 8}))


def test_step_that_is_not_finite_moves_nothing(tmp_path):
    config = tiny_job.config()
    programs, state = train.prepare(config, tiny_job.make(config), sharding.mesh())
    batches = tiny_job.data(config, spoil({1})).train(0)
    state, _ = programs.step(state, programs.frozen, programs.place(next(batches)))
    before = jax.device_get(state)
    state, metrics = programs.step(
        state, programs.frozen, programs.place(next(batches))
    )
    after = jax.device_get(state)
    assert np.isnan(metrics["loss"])
    assert (after.step, after.skipped, after.skipped_in_a_row) == (2, 1, 1)
    for part in ("params", "state", "opt_state", "ema"):
        jax.tree.map(
            np.testing.assert_array_equal, getattr(after, part), getattr(before, part)
        )
    state, _ = programs.step(state, programs.frozen, programs.place(next(batches)))
    assert (int(state.skipped), int(state.skipped_in_a_row)) == (1, 0)
    assert programs.step._cache_size() == 1  # Compiled once.


def test_run_survives_bad_steps_and_counts_them(tmp_path):
    yielded = list(tiny_job.start(tmp_path, spoil({3, 4, 9}), max_skipped=3))
    assert yielded[-1][1]["skipped"] == 3
    assert yielded[-1][1]["valid/loss"] < 1.3


def test_ten_bad_steps_in_a_row_stop_the_run(tmp_path):
    settings = {"steps": 40, "save_every": 7, "keep": 9}
    with pytest.raises(train.NonFiniteError) as error:
        list(tiny_job.start(tmp_path, spoil(range(7, 40)), **settings))
    message = str(error.value)
    assert "steps 8 to 17 were not finite (loss nan" in message
    assert "last good state is saved" in message
    good, newest = checkpoints.read(tmp_path, 7), checkpoints.read(tmp_path, "latest")
    assert newest["step"] >= 17
    for part in ("params", "state", "ema"):
        jax.tree.map(np.testing.assert_array_equal, good[part], newest[part])
    resumed = tiny_job.start(
        tmp_path, **settings
    )  # The batches after these are fine again.
    assert next(resumed)[1]["skipped_in_a_row"] == 0
    resumed.close()


def test_only_trainable_parameters_move(tmp_path):
    config = tiny_job.config()
    task = tiny_job.make(config)
    first, _ = jax.jit(task.init)(jax.random.key(config.seed))
    list(tiny_job.start(tmp_path, trainable=("head/.*", ".*/bias"), steps=3))
    saved = checkpoints.read(tmp_path)
    for tree in (saved["params"], saved["ema"]):
        same = jax.tree.map(lambda a, b: bool((a == b).all()), first, tree)
        assert same["conv"]["kernel"] and same["hidden"]["kernel"]
        assert same["norm"]["scale"]
        assert not same["head"]["kernel"] and not same["hidden"]["bias"]


def test_half_precision_keeps_full_precision_parameters(tmp_path):
    yielded = list(tiny_job.start(tmp_path, dtype="bfloat16"))
    assert yielded[-1][1]["loss"] < yielded[0][1]["loss"]
    leaves = jax.tree.leaves(checkpoints.read(tmp_path)["params"])
    assert {leaf.dtype for leaf in leaves} == {np.dtype(np.float32)}
