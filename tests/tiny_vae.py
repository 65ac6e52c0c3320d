"""A sound VAE small enough to make, train and take apart in seconds."""

import importlib.util
from pathlib import Path

import jax
import numpy as np

from distill_jax import sound, sound_report, train
from distill_jax.audio import files
from distill_jax.data import sounds
from distill_jax.tasks import vae

RATE_HZ = 16_000
CONFIG = Path(__file__).parents[1] / "configs" / "vae.py"


def config(arg="tiny"):
    """The tiny variant, at a third of the rate and with windows of half a second."""
    spec = importlib.util.spec_from_file_location("vae_config", CONFIG)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    values = module.get_config(arg)
    values.spectrogram.rate_hz = RATE_HZ
    values.spectrogram.n_fft, values.spectrogram.hop = 512, 128
    values.spectrogram.mels = 64
    values.data.window_seconds, values.data.hop_seconds = 0.5, 0.25
    return values


def untrained(seed, values=None):
    """A real model with the weights it is born with."""
    values = values or config()
    params, state = jax.jit(vae.make(values).init)(jax.random.key(seed))
    return sound.of_variables(values, {"params": params, **state})


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


def trained(folder):
    """A run of two steps with its report's latents; returns its work directory."""
    values = config()
    values.data.root = str(recordings(folder / "sounds"))
    values.data.cache = str(folder / "cache")
    workdir = folder / "run"
    for _ in train.train(values, vae.make(values), vae.data(values), workdir):
        pass
    sound_report.load(workdir)
    return workdir
