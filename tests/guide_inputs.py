"""What a reader of the guides has: recordings, and encoders, but tiny."""

import numpy as np
import tiny_extraction
import tiny_speech

from distill_jax.audio import files
from distill_jax.data import noises, sounds

RATE_HZ = 16_000
WORDS_HZ = {"happy": 1600.0, "bed": 300.0, "cat": 700.0}


def inputs(folder):
    """Makes everything that the pages expect a reader to have."""
    rng = np.random.default_rng(0)
    for word, pitch_hz in WORDS_HZ.items():
        for number in range(20):
            path = folder / "speech_commands" / word / f"{number:08x}_nohash_0.wav"
            keep(path, said(pitch_hz, rng))
    for number in range(4):
        for place in ("speech", "voices"):
            keep(folder / place / f"{number}.wav", tiny_extraction.voice(number, 9000))
    for number in range(16):  # enough for each side to have some
        for place in ("background_noise", "more_noise", "other"):
            sound_s = noises.noise(number % 3, "steady", (4.0, RATE_HZ), rng)
            keep(folder / place / f"{number}.wav", sound_s)
    recipes = list(sounds.recipes(3).items())[::12]
    for name, recipe in recipes:
        keep(folder / "my_sounds" / name, sounds.synthesise(recipe, RATE_HZ))
    for name, (_, recipe) in zip(
        ("song", "bell", "pluck", "dog"), recipes, strict=False
    ):
        keep(folder / f"{name}.wav", sounds.synthesise(recipe, RATE_HZ))
    keep(folder / "long.wav", np.tile(said(WORDS_HZ["happy"], rng), 5))
    encoders(folder)


def encoders(folder):
    """Folders of published speech encoders, but tiny and of random weights."""
    one = {"num_hidden_layers": 1}
    wave = {
        **tiny_speech.WAVE,
        **one,
        "conv_kernel": (10, 3, 2),
        "conv_stride": (5, 4, 4),
    }
    form = {"sampling_rate": RATE_HZ, "do_normalize": True}
    for name, config, preprocessor in (
        ("w2v-bert-2.0", {**tiny_extraction.BERT, **one}, tiny_extraction.PREPROCESSOR),
        ("wav2vec2-base", wave, form),
        ("hubert", {**wave, "model_type": "hubert"}, form),
    ):
        (folder / name).mkdir()
        tiny_extraction.save_model(folder / name, config, preprocessor)


def keep(path, audio_s):
    """Writes a sound, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, np.float32(audio_s), RATE_HZ, {})


def said(pitch_hz, rng):
    """Half a second of a gliding tone that stands for a word, [8000]."""
    time_s = np.arange(RATE_HZ // 2) / RATE_HZ
    glide_hz = pitch_hz * rng.uniform(0.9, 1.1) * (1 + 0.5 * time_s)
    tone_s = np.sin(2 * np.pi * np.cumsum(glide_hz) / RATE_HZ) * np.hanning(len(time_s))
    return rng.uniform(0.1, 0.5) * tone_s + 1e-3 * rng.normal(size=len(time_s))
