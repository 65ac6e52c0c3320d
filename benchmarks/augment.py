"""Speed of augmentation, beside audiomentations and NumPy with SciPy, in one run.

    python -m benchmarks.augment [--batch 128] [--rounds 9]

The same clips of 1 s, noise, rooms, ranges and probabilities for all; audiomentations
has no change of speed alone, so it is compared without. Then the same with each part
left out, which tells what it costs. Goal on two CPU cores: under 10 ms a batch of 128.
"""

import argparse
import tempfile
import warnings
from pathlib import Path

import jax
import numpy as np
import scipy.signal
import soundfile

from benchmarks import timing
from distill_jax import folders
from distill_jax.audio import augment, rooms

SETTINGS = augment.Settings()
SAMPLES = SETTINGS.rate_hz


def sounds(batch):
    rng = np.random.default_rng(0)
    audio_bs = np.float32(0.1 * rng.normal(size=(batch, SAMPLES)))
    noise_s = np.float32(0.1 * rng.normal(size=60 * SETTINGS.rate_hz))
    return audio_bs, noise_s, rooms.responses(folders.cache("rooms"))


def ours(sound, settings):
    audio_bs, noise_s, room_nr = sound
    bank = jax.device_put(augment.bank(noise_s, room_nr, SAMPLES))
    audio_bs = jax.device_put(audio_bs)
    steps = iter(range(10**9))
    seed_b = np.arange(len(audio_bs), dtype=np.uint32)

    def call():
        seeds_b = np.uint32(next(steps) * len(audio_bs)) + seed_b
        augment.augment(audio_bs, seeds_b, bank, settings).block_until_ready()

    return call


def numpy_scipy(sound, settings):
    """What a person would write: clip by clip, and only what is drawn."""
    audio_bs, noise_s, room_nr = sound
    rng = np.random.default_rng(0)
    most = round(settings.shift_seconds * settings.rate_hz)

    def one(audio_s):
        move = rng.integers(-most, most, endpoint=True)
        audio_s = np.pad(audio_s, most)[most - move : most - move + SAMPLES]
        if rng.random() < settings.speed_probability:
            change = rng.uniform(-settings.speed_change, settings.speed_change)
            time_s = np.arange(SAMPLES)
            place_s = time_s + (time_s - SAMPLES / 2) * change
            audio_s = np.interp(place_s, time_s, audio_s, 0, 0).astype(np.float32)
        if rng.random() < settings.room_probability:
            room_r = room_nr[rng.integers(len(room_nr))]
            audio_s = scipy.signal.fftconvolve(audio_s, room_r)[:SAMPLES]
        if rng.random() < settings.noise_probability:
            first = rng.integers(len(noise_s) - SAMPLES)
            cut_s = noise_s[first : first + SAMPLES]
            snr_db = rng.uniform(settings.snr_low_db, settings.snr_high_db)
            ratio = np.mean(audio_s**2) / np.mean(cut_s**2)
            audio_s = audio_s + cut_s * np.sqrt(ratio * 10 ** (-snr_db / 10))
        gain_db = rng.uniform(-settings.gain_db, settings.gain_db)
        return audio_s * np.float32(10 ** (gain_db / 20))

    return lambda: np.stack([one(audio_s) for audio_s in audio_bs])


def audiomentations_chain(sound, settings, folder):
    import audiomentations as am

    audio_bs, noise_s, room_nr = sound
    soundfile.write(folder / "noise.wav", noise_s, settings.rate_hz, "FLOAT")
    (folder / "rooms").mkdir()
    for number, room_r in enumerate(room_nr):
        path = folder / "rooms" / f"{number}.wav"
        soundfile.write(path, room_r, settings.rate_hz, "FLOAT")
    most, gain_db = settings.shift_seconds, settings.gain_db
    chain = am.Compose(
        [
            am.Shift(-most, most, shift_unit="seconds", rollover=False, p=1.0),
            am.ApplyImpulseResponse(
                folder / "rooms",
                p=settings.room_probability,
                leave_length_unchanged=True,
            ),
            am.AddBackgroundNoise(
                folder / "noise.wav",
                min_snr_db=settings.snr_low_db,
                max_snr_db=settings.snr_high_db,
                p=settings.noise_probability,
            ),
            am.Gain(-gain_db, gain_db, p=1.0),
        ]
    )

    def call():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [chain(audio_s, settings.rate_hz) for audio_s in audio_bs]

    return call


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    sound = sounds(args.batch)
    still = SETTINGS._replace(speed_probability=0.0)
    dry = still._replace(room_probability=0.0)
    with tempfile.TemporaryDirectory() as folder:
        calls = {
            "augment": ours(sound, SETTINGS),
            "NumPy + SciPy": numpy_scipy(sound, SETTINGS),
            "augment, no speed": ours(sound, still),
            "audiomentations, no speed": audiomentations_chain(
                sound, still, Path(folder)
            ),
            "augment, no speed, no rooms": ours(sound, dry),
            "augment, level and shift only": ours(
                sound, dry._replace(noise_probability=0.0)
            ),
        }
        times = timing.in_turns(calls, args.rounds)
    print(f"{args.batch} clips of 1 s on {jax.devices()[0].device_kind}")
    timing.show(times, "batch", 1)
    for reference, name in (
        ("NumPy + SciPy", "augment"),
        ("audiomentations, no speed", "augment, no speed"),
    ):
        ratio = times[reference].median / times[name].median
        print(f"{name} is {ratio:.1f} x as fast as {reference}")


if __name__ == "__main__":
    main()
