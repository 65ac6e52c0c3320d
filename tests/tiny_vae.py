"""A sound VAE small enough to make, train and take apart in seconds."""

import functools
import importlib.util
from pathlib import Path

import jax
import numpy as np

from distill_jax import metrics, sound, train
from distill_jax.audio import files
from distill_jax.data import sounds
from distill_jax.tasks import vae

RATE_HZ = 16_000
CONFIG = Path(__file__).parents[1] / "configs" / "vae.py"
# A third of the rate, and shorter windows.
SMALLER = {
    "spectrogram.rate_hz": RATE_HZ,
    "spectrogram.n_fft": 512,
    "spectrogram.hop": 128,
    "spectrogram.mels": 64,
    "data.window_seconds": 0.5,
    "data.hop_seconds": 0.25,
}


def config(window_seconds=0.5):
    """The tiny variant, smaller still."""
    spec = importlib.util.spec_from_file_location("vae_config", CONFIG)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    values = module.get_config("tiny")
    values.update_from_flattened_dict(SMALLER)
    values.data.window_seconds = window_seconds
    return values


@functools.cache
def birth(window_seconds):
    """Draws the first weights; to compile it takes longer than to use it."""
    return jax.jit(vae.make(config(window_seconds)).init)


def untrained(seed, window_seconds=0.5):
    """A real model with the weights it is born with."""
    params, state = birth(window_seconds)(jax.random.key(seed))
    return sound.of_variables(config(window_seconds), {"params": params, **state})


def recordings(folder, count=6):
    """A folder of synthesised sounds of different lengths; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    recipes = list(sounds.recipes(3).items())
    for name, recipe in recipes[:: len(recipes) // count][:count]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, sounds.synthesise(recipe, RATE_HZ), RATE_HZ, {})
    return folder


def windows(seed, count=40):
    """Half-seconds of noise and tones at many levels, [windows, samples]."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(RATE_HZ // 2) / RATE_HZ
    pitch_hz = 2.0 ** rng.uniform(7, 11, (count, 1))
    tone_ns = np.sin(2 * np.pi * pitch_hz * time_s[None, :])
    noise_ns = rng.standard_normal(tone_ns.shape)
    mix_n1, level_n1 = (
        rng.uniform(size=(count, 1)),
        10 ** rng.uniform(-2, -0.5, (count, 1)),
    )
    decay_ns = np.exp(-rng.uniform(0, 20, (count, 1)) * time_s[None, :])
    audio_ns = (mix_n1 * tone_ns + (1 - mix_n1) * noise_ns) * level_n1 * decay_ns
    return audio_ns.astype(np.float32)


def tones(folder, count):
    """Seconds of decaying tones in noise, the last with a silent half; the folder."""
    rng, second_s = np.random.default_rng(0), np.arange(RATE_HZ) / RATE_HZ
    for index in range(count):
        tone_s = np.sin(2 * np.pi * 220 * 2 ** (index / 3) * second_s)
        noise_s = 0.01 * rng.standard_normal(RATE_HZ)
        audio_s = tone_s * np.exp(-3 * second_s) * 0.5 + noise_s
        audio_s[RATE_HZ // 2 :] *= index < count - 1
        kind = folder / ("low" if index % 2 else "high & <far>")
        kind.mkdir(parents=True, exist_ok=True)
        files.write(kind / f"tone {index}#.wav", audio_s, RATE_HZ, {})
    return folder


def trained(folder):
    """A run of two steps on nine `tones`, as the loop leaves it; its work directory."""
    values = config()
    values.data.root = str(tones(folder / "sounds", 9))
    values.data.cache = str(folder / "cache")
    values.data.valid_fraction = 0.34
    workdir = folder / "run"
    steps = train.train(values, vae.make(values), vae.data(values), workdir)
    with metrics.Writer(workdir, RATE_HZ) as writer:
        for step, found in steps:
            writer.write(step, found)
    return workdir
