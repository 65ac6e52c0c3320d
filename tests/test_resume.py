import os
import random
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import jax
import pytest
import tiny_job

from distill_jax import integrity, metrics, train


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory):
    with tiny_job.compiled_once(tmp_path_factory.getbasetemp() / "xla"):
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Digest of an uninterrupted run, and the last it yielded."""
    folder = tmp_path_factory.mktemp("finished")
    *_, last = tiny_job.start(folder)
    return tiny_job.learnt(folder), last


@pytest.mark.parametrize("stop", [1, 10, 19])
def test_closed_run_saves_and_resumes_bit_for_bit(tmp_path, finished, stop):
    steps = tiny_job.start(tmp_path)
    for step, _ in steps:
        if step == stop:
            break
    steps.close()
    saved = tiny_job.learnt(tmp_path)[0]
    assert stop <= saved <= stop + train.RUN_AHEAD
    resumed = list(tiny_job.start(tmp_path))
    assert [step for step, _ in resumed] == list(range(saved + 1, 25))
    assert resumed[-1][1]["valid/loss"] == finished[1][1]["valid/loss"]
    assert tiny_job.learnt(tmp_path) == finished[0]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_exception_thrown_in_saves_and_comes_out(tmp_path, error):
    steps = tiny_job.start(tmp_path, save_every=100)
    for _ in range(3):
        next(steps)
    with pytest.raises(error):
        steps.throw(error())
    assert 3 <= tiny_job.learnt(tmp_path)[0] <= 3 + train.RUN_AHEAD


def test_error_in_the_data_saves_what_was_learnt(tmp_path):
    def at(step, batch):
        if step == 11:
            raise OSError("the disk with the recordings is gone")
        return batch

    with pytest.raises(OSError, match="recordings"):
        list(tiny_job.start(tmp_path, at))
    assert tiny_job.learnt(tmp_path)[0] == 11


def test_run_left_at_an_evaluation_saves_its_loss(tmp_path):
    steps = tiny_job.start(tmp_path, save_every=100)
    loss = next(values["valid/loss"] for step, values in steps if step == 8)
    steps.close()
    assert integrity.loss(tmp_path / "checkpoints" / "8") == loss


def test_run_closed_before_it_learnt_anything_saves_nothing(tmp_path):
    def at(step, batch):
        raise OSError("no data")

    with pytest.raises(OSError, match="no data"):
        list(tiny_job.start(tmp_path, at))
    assert not list((tmp_path / "checkpoints").iterdir())
    list(tiny_job.start(tmp_path, steps=1, seed=5))  # So the settings may still change.


# One that falls into a callback of the garbage collector is swallowed by Python.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_interrupts_at_any_moment_lose_and_change_nothing(tmp_path, finished):
    """A signal handler may raise between any two instructions, in Orbax too."""

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    rng, interrupts = random.Random(0), 0
    try:
        while interrupts < 6:
            timer = threading.Timer(
                rng.uniform(0.0, 0.8), os.kill, (os.getpid(), signal.SIGINT)
            )
            steps = tiny_job.start(tmp_path, save_every=4)
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
        signal.signal(signal.SIGINT, before)
    assert interrupts
    list(tiny_job.start(tmp_path, save_every=4))
    assert tiny_job.learnt(tmp_path) == finished[0]


def test_damaged_checkpoint_is_replaced_by_the_one_before(tmp_path, finished, caplog):
    list(tiny_job.start(tmp_path))
    files = (tmp_path / "checkpoints" / "24").rglob("d/*")
    largest = max(files, key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 64
    largest.write_bytes(data)
    assert [step for step, _ in tiny_job.start(tmp_path)] == list(range(17, 25))
    assert "checkpoint 24 is damaged" in caplog.text
    assert tiny_job.learnt(tmp_path) == finished[0]


@pytest.fixture
def run_job(one_device):
    return partial(run_in, dict(one_device))


def run_in(environment, *arguments):
    environment["JAX_COMPILATION_CACHE_DIR"] = jax.config.jax_compilation_cache_dir
    environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    command = [sys.executable, str(Path(tiny_job.__file__)), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, timeout=120)


@pytest.mark.slow
def test_killed_process_resumes_to_the_same_bits(run_job, tmp_path):
    rng = random.Random()
    whole = run_job(tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr.decode()
    kills = sorted(rng.sample(range(2, 60), 2))
    for kill_at in kills:
        killed = run_job(tmp_path / "killed", kill_at)
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    last = run_job(tmp_path / "killed")
    assert last.returncode == 0, last.stderr.decode()
    told = b"resuming from step" in last.stderr
    assert told or kills[-1] < 13, kills  # Before that nothing need be saved yet.
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert tiny_job.learnt(killed) == tiny_job.learnt(whole), kills
    assert metrics.read(killed) == metrics.read(whole), kills
