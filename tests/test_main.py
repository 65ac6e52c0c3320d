"""The training command as a user types it, in a process of its own."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny_vae

from distill_jax.audio import files
from distill_jax.data import sounds

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A small folder of sounds."""
    folder = tmp_path_factory.mktemp("sounds")
    for name, recipe in list(sounds.recipes(3).items())[::16]:
        files.write(folder / name, sounds.synthesise(recipe, 48_000), 48_000, {})
    return folder


@pytest.fixture
def start(cache, recorded, one_device):
    """Starts the command on the small folder, with changed settings."""

    def start(workdir, **changes):
        changes = {"data.root": recorded, **tiny_vae.SMALLER, **changes}
        command = [sys.executable, "-m", "distill_jax.main"]
        command += [f"--config={ROOT}/configs/vae.py:tiny", f"--workdir={workdir}"]
        command += [f"--config.{name}={value}" for name, value in changes.items()]
        environment = one_device | {"XDG_CACHE_HOME": str(cache)}
        return subprocess.Popen(
            command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
        )

    return start


def records(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_command_trains_and_reports_and_refuses_other_settings(start, tmp_path):
    job = start(tmp_path / "run")
    _, said = job.communicate(timeout=280)
    assert job.returncode == 0, said
    figures = json.loads((tmp_path / "run/report/report.json").read_text())
    assert figures and (tmp_path / "run/report/index.html").is_file()
    assert max(record["step"] for record in records(tmp_path / "run")) == 2

    job = start(tmp_path / "run", learning_rate=0.5)
    _, said = job.communicate(timeout=280)
    assert job.returncode != 0
    assert "learning_rate" in said and "0.5" in said


@pytest.mark.long
def test_interrupt_saves_and_the_same_command_goes_on(start, tmp_path):
    job = start(tmp_path, steps=100_000, eval_every=0, preview_every=0, save_every=0)
    log = tmp_path / "metrics.jsonl"
    until = time.monotonic() + 240
    while not (log.is_file() and log.stat().st_size) and time.monotonic() < until:
        time.sleep(0.2)
    job.send_signal(signal.SIGINT)
    _, said = job.communicate(timeout=120)
    assert job.returncode == 128 + signal.SIGINT, said
    (saved,) = (int(path.name) for path in (tmp_path / "checkpoints").glob("[0-9]*"))
    assert saved >= 2

    last = saved + 2
    job = start(tmp_path, steps=last, eval_every=0, preview_every=0, save_every=0)
    _, said = job.communicate(timeout=280)
    assert job.returncode == 0, said
    assert f"resuming from step {saved}" in said
    steps = [r["step"] for r in records(tmp_path) if r["split"] == "train"]
    assert steps == sorted(set(steps)) and steps[-1] == last


def test_damaged_recordings_are_listed_before_training(start, recorded, tmp_path):
    folder = tmp_path / "sounds"
    folder.mkdir()
    for path in recorded.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "broken.wav").write_bytes(b"RIFF")
    files.write(folder / "silent.wav", np.zeros(48_000, np.float32), 48_000, {})
    job = start(tmp_path / "run", **{"data.root": folder})
    _, said = job.communicate(timeout=280)
    assert job.returncode != 0
    assert "broken.wav" in said and "silent.wav" in said and "skip_bad" in said
    assert not (tmp_path / "run" / "checkpoints").exists()
