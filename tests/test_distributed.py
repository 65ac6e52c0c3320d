"""The training command in two processes, beside one with as many devices."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest
import tiny_job
import tiny_pod
import tiny_vae
import tiny_words

from distill_jax import metrics, train

ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]
SECONDS = 240


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory):
    with tiny_job.compiled_once(tmp_path_factory.getbasetemp() / "xla"):
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("distributed")


def words(folder):
    root = folder / "words"
    root = root if root.is_dir() else tiny_words.recordings(root)
    return "distill.py:none,tiny", {"data.root": root, "data.cache": folder / "cache"}


def sounds(folder):
    root = folder / "sounds"
    root = root if root.is_dir() else tiny_vae.tones(root, 9)
    changes = {"data.root": root, "data.cache": folder / "cache", "batch": 4}
    return "vae.py:tiny", changes | tiny_vae.SMALLER


def start(job, workdir, count, **changes):
    """The command in so many processes, on two devices in all."""
    name, settings = job
    settings = settings | {"eval_every": 0, "preview_every": 0, "log_every": 1}
    settings |= {"save_every": 0} | changes

    def command_of(coordinator, number):
        command = [sys.executable, "-m", "distill_jax.main"]
        command += [f"--config={ROOT}/configs/{name}", f"--workdir={workdir}"]
        command += [f"--config.{key}={value}" for key, value in settings.items()]
        if count > 1:
            command += ["--distributed", f"--coordinator={coordinator}"]
            command += [f"--processes={count}", f"--process={number}"]
        return command

    return tiny_pod.started(command_of, count, 2 // count, cwd=ROOT)


def finish(running):
    statuses, said = tiny_pod.ended(running, SECONDS)
    assert statuses == [0] * len(running), said
    return said


def wait_for_step(workdir, running, step):
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and all(job.poll() is None for job in running):
        if any(record["step"] >= step for record in metrics.read(workdir)):
            return
        time.sleep(0.1)


@pytest.mark.parametrize(("job", "steps"), [(words, 200), (sounds, 40)])
def test_two_processes_stopped_and_begun_again_learn_what_one_does(
    job, steps, folder, tmp_path
):
    job = job(folder)
    one, two = tmp_path / "one", tmp_path / "two"
    said = finish(start(job, one, 1, steps=steps))
    assert "time: " in said[0] and "% input" in said[0]

    running = start(job, two, 2, steps=steps)
    wait_for_step(two, running, 3)
    running[1].send_signal(signal.SIGTERM)
    statuses, said = tiny_pod.ended(running, SECONDS)
    assert statuses == [143, 143], said
    assert "all stop after step" in said[0]
    saved = tiny_job.learnt(two)[0]
    assert 3 <= saved < steps

    said = finish(start(job, two, 2, steps=steps))
    assert f"resuming from step {saved}" in said[0]
    # The steps in flight when it was stopped are done and not reported.
    found, wanted = tiny_pod.losses(two), tiny_pod.losses(one)
    assert [line for line in wanted if line in found] == found
    assert len(found) >= len(wanted) - train.RUN_AHEAD
    assert tiny_job.learnt(two) == tiny_job.learnt(one)


def test_a_worker_that_hangs_is_told(folder, tmp_path):
    running = start(words(folder), tmp_path, 2, steps=100_000)
    wait_for_step(tmp_path, running, 3)
    os.kill(running[1].pid, signal.SIGSTOP)
    try:
        statuses, said = tiny_pod.ended(running[:1], SECONDS)
    finally:
        running[1].kill()
        running[1].communicate()
    assert statuses[0] not in (0, 143)
    assert "heartbeat" in said[0]
