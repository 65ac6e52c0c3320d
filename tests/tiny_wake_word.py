"""A wake-word run small enough to make and judge in seconds."""

import importlib.util
from pathlib import Path

import jax
import numpy as np

from distill_jax import checkpoints, workdir
from distill_jax.audio import files
from distill_jax.task import TrainState
from distill_jax.tasks import distill, words

RATE_HZ = 16_000
CONFIG = Path(__file__).parents[1] / "configs" / "distill.py"
PITCH_HZ = {"high": 1800, "low": 300}


def config():
    """The tiny variant, for the word "high" and all others as "unknown"."""
    spec = importlib.util.spec_from_file_location("distill_config", CONFIG)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    values = module.get_config("none,tiny")
    values.data.words, values.data.unknown = ("high",), 1.0
    return values


def clip(pitch_hz, seed, seconds=0.6):
    """A tone of 0.3 s within faint noise."""
    rng = np.random.default_rng(seed)
    audio_s = rng.normal(0, 1e-3, round(seconds * RATE_HZ))
    place = np.arange(round(0.3 * RATE_HZ))
    tone_s = 0.4 * np.sin(
        2 * np.pi * pitch_hz * rng.uniform(0.9, 1.1) * place / RATE_HZ
    )
    audio_s[1600 : 1600 + len(place)] += tone_s
    return audio_s.astype(np.float32)


def recordings(folder):
    """Both words once by every speaker, the last four held out; returns it."""
    for number, (word, pitch_hz) in enumerate(PITCH_HZ.items()):
        (folder / word).mkdir(parents=True)
        for speaker in range(8):
            audio_s = clip(pitch_hz, 100 * number + speaker)
            path = folder / word / f"{speaker:08x}_nohash_0.wav"
            files.write(path, audio_s, RATE_HZ, {})
    for name, held in (("validation", (4, 5)), ("testing", (6, 7))):
        lines = [f"{word}/{n:08x}_nohash_0.wav" for word in PITCH_HZ for n in held]
        (folder / f"{name}_list.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


def noise(folder, names, seconds=4.0, seed=0):
    """Recordings of noise of those names; returns the folder."""
    rng = np.random.default_rng(seed)
    for name in names:
        path = folder / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        audio_s = np.clip(rng.normal(0, 0.1, round(seconds * RATE_HZ)), -1, 1)
        files.write(path, audio_s, RATE_HZ, {})
    return folder


# Two layers, and clips as they are but for level and shift.
QUICK = {
    "model.channels": (4, 6),
    "model.strides": (2, 2),
    "augment.speed_probability": 0.0,
    "augment.noise_probability": 0.0,
    "masks.times": 0,
    "masks.bands": 0,
}


def untrained(folder, changes=None):
    """The work directory of a run with random weights."""
    values = config()
    values.update_from_flattened_dict(changes or {})
    values.data.root = str(recordings(folder / "words"))
    values.data.noise = str(noise(folder / "noise", ["hum", "hiss"], 30.0))
    values.data.cache = str(folder / "cache")
    corpus, _ = words.corpus(values)
    values.labels = corpus.labels
    module, rng = distill.model(values), np.random.default_rng(0)
    shapes = jax.eval_shape(module.init, jax.random.key(0), np.zeros((1, *module.size)))
    variables = jax.tree.map(
        lambda leaf: rng.uniform(0.1, 0.5, leaf.shape).astype(leaf.dtype), shapes
    )
    params, zero = variables.pop("params"), np.int32(0)
    state = TrainState(zero, params, variables, {}, params, zero, zero)
    run = folder / "run"
    workdir.keep_config(run, values.to_dict(), resuming=False)
    with checkpoints.Store(run, keep=1) as store:
        store.save(state, 1.0)
        store.wait()
    return run
