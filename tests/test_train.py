import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny_job

from distill_jax import checkpoints, sharding, train, workdir


@pytest.fixture(scope="module", autouse=True)
def quick_compilation(tmp_path_factory):
    """The same few programs are compiled by every test; keep them."""
    before = {
        name: getattr(jax.config, name)
        for name in (
            "jax_compilation_cache_dir",
            "jax_persistent_cache_min_compile_time_secs",
        )
    }
    train.cache_compilations(tmp_path_factory.mktemp("xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def start(workdir, at=None, trainable=(".*",), **changes):
    config = tiny_job.config(**changes)
    task = tiny_job.make(config, trainable)
    return train.train(config, task, tiny_job.data(config, at), workdir)


def learnt(workdir, which="latest"):
    """Digest of all that training moves, and the step."""
    saved = checkpoints.read(workdir, which)
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves((saved["params"], saved["state"], saved["ema"])):
        digest.update(leaf.tobytes())
    return saved["step"], digest.hexdigest()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """An uninterrupted run: its folder and all that it yielded."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, list(start(folder))


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
    assert yielded[-1][1]["valid/loss"] == pytest.approx(total / count, rel=1e-5)


def test_learning_rate_and_counters_are_reported(finished):
    _, yielded = finished
    rates = [metrics["learning_rate"] for _, metrics in yielded]
    np.testing.assert_allclose(rates[:3], [1e-2 / 3, 2e-2 / 3, 1e-2], rtol=1e-6)
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert {metrics["skipped"] for _, metrics in yielded} == {0.0}


@pytest.mark.parametrize("stop", [1, 10, 19])
def test_closed_run_saves_and_resumes_bit_for_bit(tmp_path, finished, stop):
    steps = start(tmp_path)
    for step, _ in steps:
        if step == stop:
            break
    steps.close()
    saved = learnt(tmp_path)[0]
    assert stop <= saved <= stop + train.RUN_AHEAD
    resumed = list(start(tmp_path))
    assert [step for step, _ in resumed] == list(range(saved + 1, 25))
    assert resumed[-1][1]["valid/loss"] == finished[1][-1][1]["valid/loss"]
    assert learnt(tmp_path) == learnt(finished[0])


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_exception_thrown_in_saves_and_comes_out(tmp_path, error):
    steps = start(tmp_path, save_every=100)
    for _ in range(3):
        next(steps)
    with pytest.raises(error):
        steps.throw(error())
    assert 3 <= learnt(tmp_path)[0] <= 3 + train.RUN_AHEAD


def test_error_in_the_data_saves_what_was_learnt(tmp_path):
    def at(step, batch):
        if step == 11:
            raise OSError("the disk with the recordings is gone")
        return batch

    with pytest.raises(OSError, match="recordings"):
        list(start(tmp_path, at))
    assert learnt(tmp_path)[0] == 11


def test_run_closed_before_it_learnt_anything_saves_nothing(tmp_path):
    def at(step, batch):
        raise OSError("no data")

    with pytest.raises(OSError, match="no data"):
        list(start(tmp_path, at))
    assert not list((tmp_path / "checkpoints").iterdir())
    list(start(tmp_path, steps=1, seed=5))  # So the settings may still change.


def test_interrupts_at_any_moment_lose_and_change_nothing(tmp_path, finished):
    """A signal handler may raise between any two instructions, in Orbax too."""

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    rng, interrupts = random.Random(0), 0
    try:
        while interrupts < 12:
            timer = threading.Timer(
                rng.uniform(0.0, 0.8), os.kill, (os.getpid(), signal.SIGUSR1)
            )
            steps = start(tmp_path, save_every=4)
            timer.start()
            try:
                list(steps)
                timer.cancel()
                timer.join()
                break
            except KeyboardInterrupt:
                interrupts += 1
            finally:
                timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert interrupts
    list(start(tmp_path, save_every=4))
    assert learnt(tmp_path) == learnt(finished[0])


def test_finished_run_yields_nothing_and_says_so(finished, caplog):
    assert list(start(finished[0])) == []
    assert "is complete: 24 of 24 steps" in caplog.text


def test_finished_run_goes_on_with_more_steps(tmp_path):
    list(start(tmp_path, steps=4))
    assert [step for step, _ in start(tmp_path, steps=6)] == [5, 6]


def test_changed_setting_is_refused_and_nothing_is_touched(tmp_path):
    list(start(tmp_path, steps=2))
    before = learnt(tmp_path)
    with pytest.raises(workdir.ConfigChangedError, match=r"ema_decay: 0.9 -> 0.5"):
        list(start(tmp_path, steps=4, ema_decay=0.5))
    assert learnt(tmp_path) == before


def test_changed_model_is_refused(tmp_path):
    list(start(tmp_path, steps=2))
    (tmp_path / "config.json").unlink()
    with pytest.raises(checkpoints.CheckpointError, match="holds another model"):
        list(start(tmp_path, steps=4, model={"width": 8}))


def test_damaged_checkpoint_is_replaced_by_the_one_before(tmp_path, finished, caplog):
    list(start(tmp_path))
    files = (tmp_path / "checkpoints" / "24").rglob("d/*")
    largest = max(files, key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 64
    largest.write_bytes(data)
    assert [step for step, _ in start(tmp_path)] == list(range(17, 25))
    assert "checkpoint 24 is damaged" in caplog.text
    assert learnt(tmp_path) == learnt(finished[0])


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
    yielded = list(start(tmp_path, spoil({3, 4, 9}), max_skipped=3))
    assert yielded[-1][1]["skipped"] == 3
    assert yielded[-1][1]["valid/loss"] < 1.3


def test_ten_bad_steps_in_a_row_stop_the_run(tmp_path):
    with pytest.raises(train.NonFiniteError) as error:
        list(start(tmp_path, spoil(set(range(7, 40))), steps=40, save_every=100))
    message = str(error.value)
    assert "steps 8 to 17 were not finite (loss nan" in message
    assert "last good state is saved" in message
    list(start(tmp_path / "good", steps=7))
    good, saved = checkpoints.read(tmp_path / "good"), checkpoints.read(tmp_path)
    assert saved["step"] >= 17
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(saved["params"]))
    # Seven steps were good, with another cosine: only the running statistics of the
    # first forward pass are the same to the bit.
    assert jax.tree.structure(good["ema"]) == jax.tree.structure(saved["ema"])
    resumed = start(tmp_path, spoil(()), steps=40, save_every=100)
    assert next(resumed)[1]["skipped_in_a_row"] == 0
    resumed.close()


def test_only_trainable_parameters_move(tmp_path):
    config = tiny_job.config()
    task = tiny_job.make(config)
    first, _ = jax.jit(task.init)(jax.random.key(config.seed))
    list(start(tmp_path, trainable=("head/.*", ".*/bias"), steps=3))
    saved = checkpoints.read(tmp_path)
    for tree in (saved["params"], saved["ema"]):
        same = jax.tree.map(lambda a, b: bool((a == b).all()), first, tree)
        assert same["conv"]["kernel"] and same["hidden"]["kernel"]
        assert same["norm"]["scale"]
        assert not same["head"]["kernel"] and not same["conv"]["bias"]


@pytest.mark.parametrize("fsdp", [1, 4])
def test_eight_devices_equal_one(fsdp):
    config = tiny_job.config()
    task = tiny_job.make(config)
    results = []
    for mesh in (sharding.mesh(1, jax.devices()[:1]), sharding.mesh(fsdp)):
        programs, state = train.prepare(config, task, mesh)
        batches = tiny_job.data(config).train(0)
        for _ in range(10):
            batch = programs.place(next(batches))
            state, metrics = programs.step(state, programs.frozen, batch)
            jax.block_until_ready(state)
        results.append(jax.device_get((metrics, state)))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), *results
    )


def test_half_precision_keeps_full_precision_parameters(tmp_path):
    yielded = list(start(tmp_path, dtype="bfloat16"))
    assert yielded[-1][1]["loss"] < yielded[0][1]["loss"]
    leaves = jax.tree.leaves(checkpoints.read(tmp_path)["params"])
    assert {leaf.dtype for leaf in leaves} == {np.dtype(np.float32)}


def run_job(*arguments):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    command = [sys.executable, str(Path(tiny_job.__file__)), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, timeout=120)


@pytest.mark.slow
def test_killed_process_resumes_to_the_same_bits(tmp_path):
    rng = random.Random()
    whole = run_job(tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr.decode()
    kills = sorted(rng.sample(range(2, 60), 2))
    for kill_at in kills:
        killed = run_job(tmp_path / "killed", kill_at)
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    last = run_job(tmp_path / "killed")
    assert last.returncode == 0, last.stderr.decode()
    assert b"resuming from step" in last.stderr or kills[-1] < 12, kills
    assert learnt(tmp_path / "killed") == learnt(tmp_path / "whole"), kills
    with contextlib.suppress(StopIteration):
        assert int(last.stdout.split()[0]) <= kills[-1] + 1
