"""Two "words" that are easy to tell apart, and a keyword network trained on them."""

import importlib.util
from pathlib import Path

import numpy as np

from distill_jax.audio import files

RATE_HZ = 16_000
CONFIG = Path(__file__).parents[1] / "configs" / "distill.py"
WORDS = {"high": 1600.0, "low": 300.0}


def get_config(arg="none,tiny"):
    spec = importlib.util.spec_from_file_location("distill_config", CONFIG)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(arg)


def word(name, rng):
    """Half a second of a tone that glides upwards, in faint noise, [8000]."""
    time_s = np.arange(RATE_HZ // 2) / RATE_HZ
    pitch_hz = WORDS[name] * rng.uniform(0.9, 1.1) * (1 + 0.5 * time_s)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
    tone_s = rng.uniform(0.1, 0.5) * np.sin(phase) * np.hanning(len(time_s))
    return np.float32(tone_s + 1e-3 * rng.normal(size=len(time_s)))


def recordings(folder, each=20):
    """A folder per word, and one of background noise; returns it."""
    rng = np.random.default_rng(0)
    for name in WORDS:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            path = folder / name / f"{number}.wav"
            files.write(path, word(name, rng), RATE_HZ, {})
    noise_s = np.float32(0.05 * rng.normal(size=20 * RATE_HZ))
    (folder / "_background_noise_").mkdir(exist_ok=True)
    files.write(folder / "_background_noise_" / "hiss.wav", noise_s, RATE_HZ, {})
    return folder


def config(folder, arg="none,tiny"):
    """The tiny variant on `recordings` in a folder, made if they are not there."""
    values = get_config(arg)
    root = folder / "words"
    values.data.root = str(root if root.is_dir() else recordings(root))
    values.data.cache = str(folder / "cache")
    return values
