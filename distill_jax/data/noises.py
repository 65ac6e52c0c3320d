"""Background noise from nothing: coloured, in gusts, with the hum of mains."""

import itertools
from pathlib import Path

import numpy as np

from distill_jax.audio import files

COLOURS = {"white": 0.0, "pink": 1.0, "brown": 2.0}  # power falls with frequency^-it
WAYS = ("steady", "gusts", "hum", "crackle")
SECONDS, RMS = 20.0, 0.05
LOWEST_HZ = 30.0  # of coloured noise, which would be all rumble
GUST_HZ, GUST_DB = 0.7, 8.0
MAINS_HZ, HARMONICS = 50.0, 12
CRACKLES_PER_SECOND, CRACKLE_SECONDS = 6.0, 0.01


def write(folder, rate_hz, seed=0):
    """Writes twelve recordings of different kinds, enough to be divided by file.

    Args:
      folder: where; made if missing.
      rate_hz: sampling rate.
      seed: another one makes others.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for number, (colour, way) in enumerate(itertools.product(COLOURS, WAYS)):
        rng = np.random.default_rng((seed, number))
        audio_s = noise(COLOURS[colour], way, (SECONDS, rate_hz), rng)
        about = {"colour": colour, "way": way, "seed": seed}
        files.write(folder / f"{colour}_{way}.wav", audio_s, rate_hz, about)


def noise(colour, way, length, rng):
    """A stretch of noise.

    Args:
      colour: its power falls with the frequency to this power.
      way: out of `WAYS`.
      length: seconds, and samples per second.
      rng: numpy generator.

    Returns:
      float32 [s], root mean square 0.05 before what is beyond ±1 is cut.
    """
    seconds, rate_hz = length
    samples = round(seconds * rate_hz)
    time_s = np.arange(samples) / rate_hz
    audio_s = _coloured(colour, samples, rate_hz, rng)
    if way == "gusts":
        slow_s = _below(GUST_HZ, samples, rate_hz, rng)
        audio_s = audio_s * 10 ** (GUST_DB * slow_s / 20)
    if way == "hum":
        audio_s = audio_s + _hum(time_s, rng)
    if way == "crackle":
        audio_s = audio_s + _crackle(samples, rate_hz, rng)
    audio_s = RMS * audio_s / np.sqrt(np.mean(audio_s**2))
    return np.clip(audio_s, -1.0, 1.0).astype(np.float32)


def _coloured(colour, samples, rate_hz, rng):
    spectrum_f = np.fft.rfft(rng.normal(size=samples))
    frequency_f = np.fft.rfftfreq(samples, 1 / rate_hz)
    spectrum_f *= np.maximum(frequency_f, LOWEST_HZ) ** (-colour / 2)
    spectrum_f[frequency_f < LOWEST_HZ] = 0.0
    return _unit(np.fft.irfft(spectrum_f, samples))


def _below(highest_hz, samples, rate_hz, rng):
    """Noise without what is faster, root mean square 1."""
    spectrum_f = np.fft.rfft(rng.normal(size=samples))
    spectrum_f[np.fft.rfftfreq(samples, 1 / rate_hz) > highest_hz] = 0.0
    return _unit(np.fft.irfft(spectrum_f, samples))


def _hum(time_s, rng):
    level_h = rng.uniform(0, 1, HARMONICS) / np.arange(1, HARMONICS + 1)
    phase_h = rng.uniform(0, 2 * np.pi, HARMONICS)
    turns_h = MAINS_HZ * np.arange(1, HARMONICS + 1)
    angle_sh = 2 * np.pi * time_s[:, None] * turns_h[None] + phase_h[None]
    return 2 * _unit(np.sin(angle_sh) @ level_h)


def _crackle(samples, rate_hz, rng):
    """Bursts at random times, as of rain or dishes."""
    count = round(CRACKLES_PER_SECOND * samples / rate_hz)
    pulse_s = np.zeros(samples)
    pulse_s[rng.integers(0, samples, count)] = rng.exponential(1.0, count)
    fading_w = np.exp(
        -np.arange(round(5 * CRACKLE_SECONDS * rate_hz)) / rate_hz / CRACKLE_SECONDS
    )
    burst_w = fading_w * rng.normal(size=len(fading_w))
    return 2 * _unit(np.convolve(pulse_s, burst_w)[:samples])


def _unit(audio_s):
    return audio_s / np.sqrt(np.mean(audio_s**2))
