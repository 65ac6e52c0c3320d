"""The built-in corpus: strings, bars, bells and bursts, made by calculation.

Every parameter is drawn from a continuous range and the pitches of a kind are
spread over its compass, so that a held-out file is a new sound and no near-copy.
"""

from pathlib import Path

import numpy as np
from scipy import signal

from distill_jax.audio import files
from distill_jax.progress import bar

# Raise it when the sounds change, so that an old corpus is not taken for this one.
CORPUS_VERSION = 4
NOTES = ("C", "Cs", "D", "Ds", "E", "F", "Fs", "G", "Gs", "A", "As", "B")
HIGHEST = 0.45  # of the sampling rate: partials above are left out
LEAD_S = 0.01
FADE_S = 0.15
KNOCK_S = 0.004
SOONEST_S = 1.3
BLOCK = 512

# Frequencies over the lowest. Fletcher and Rossing, The Physics of Musical
# Instruments, 1998: free bars chapter 2, undercut bars chapter 19, bells chapter
# 21 (over the prime, so that the hum note is at one half).
FREE_BAR = (1.0, 2.756, 5.404, 8.933, 13.345, 18.64, 24.82)
MARIMBA = (1.0, 3.93, 9.24, 15.6, 23.9)
BELL = (0.5, 1.0, 1.183, 1.506, 2.0, 2.514, 2.662, 3.011, 4.166, 5.433, 6.796, 8.215)
RATIOS = {
    "wood": MARIMBA,
    "metal": FREE_BAR,
    "glass": FREE_BAR,
    "stone": FREE_BAR,
    "bell": BELL,
}
# What a kind draws its parameters from, evenly in the logarithm.
#   decay_s: to fall by 60 dB, at the lowest frequency; decay_slope: by which power
#   of frequency it falls; again: after which part of it the next strike comes;
#   cutoff_hz: brightness of the strike; knock: its noise; detune_cents: of the two
#   partials of a pair; spread: of the ratios.
#   room: level of the air around it, over full scale; air_hz: where that turns from
#   white to brown.
ALL = {"again": (0.12, 0.45), "room": (0.0006, 0.004), "air_hz": (200, 2000)}
STRUCK = ALL | {
    "cutoff_hz": (700, 9000), "knock": (0.005, 0.15), "detune_cents": (0.2, 3),
}  # fmt: skip
RANGES = {
    "pluck": ALL | {
        "count": 30, "pitch_hz": (65, 900), "decay_s": (1, 7),
        "cutoff_hz": (500, 9000), "damping": (0.04, 0.5), "position": (0.06, 0.45),
    },
    "string": STRUCK | {
        "count": 10, "pitch_hz": (55, 1200), "decay_s": (1.5, 9),
        "decay_slope": (0.4, 1.2), "position": (0.07, 0.3), "stiffness": (5e-5, 2e-3),
    },
    "wood": STRUCK | {
        "count": 10, "pitch_hz": (130, 1600), "decay_s": (0.2, 0.9),
        "decay_slope": (0.9, 1.6), "spread": (0.005, 0.04),
    },
    "metal": STRUCK | {
        "count": 8, "pitch_hz": (170, 2000), "decay_s": (1.5, 8),
        "decay_slope": (0.3, 0.9), "spread": (0.003, 0.03),
    },
    "glass": STRUCK | {
        "count": 10, "pitch_hz": (500, 3000), "decay_s": (0.5, 2),
        "decay_slope": (0.5, 1.1), "spread": (0.01, 0.06),
    },
    "stone": STRUCK | {
        "count": 6, "pitch_hz": (250, 1800), "decay_s": (0.25, 0.8),
        "decay_slope": (0.7, 1.4), "spread": (0.01, 0.06),
    },
    "bell": STRUCK | {
        "count": 6, "pitch_hz": (150, 1400), "decay_s": (3, 16),
        "decay_slope": (0.8, 1.4), "spread": (0.002, 0.02), "detune_cents": (0.5, 8),
    },
    "burst": ALL | {
        "count": 22, "pitch_hz": (150, 7000), "decay_s": (0.25, 3),
        "octaves": (0.3, 4), "attack_s": (0.001, 0.08),
    },
}  # fmt: skip


def corpus(cache, rate_hz=48000, seed=0):
    """Makes the corpus, or the part of it that is not there yet.

    Args:
      cache: folder in which the corpus gets a folder.
      rate_hz: sampling rate, at least 16,000.
      seed: int, another one makes other sounds.

    Returns:
      pathlib.Path of a folder of 102 WAV files of 2 to 4 s, mono, named by kind and
      nearest note. A file is made again unless it decodes and holds the settings
      that it should have.

    Raises:
      OSError: the folder cannot be written, or the disk is full.
    """
    folder = Path(cache) / f"sounds_v{CORPUS_VERSION}_{rate_hz}_{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = recipes(seed)
    todo = [name for name in wanted if not _finished(folder / name, wanted[name])]
    for name in bar(todo, "making sounds", unit="file") if todo else ():
        audio_s = synthesise(wanted[name], rate_hz)
        files.write(folder / name, audio_s, rate_hz, wanted[name])
    return folder


def recipes(seed):
    """What `synthesise` makes each file of a corpus from: {name: parameters}."""
    found = {}
    for number, (kind, ranges) in enumerate(RANGES.items()):
        rng = np.random.default_rng([seed, number])
        for index in range(ranges["count"]):
            recipe = _recipe(kind, index, rng) | {"seed": [seed, number, index]}
            note = _note(recipe["pitch_hz"])
            found[f"{kind}_{note}_{len(found):02d}.wav"] = recipe
    return found


def synthesise(recipe, rate_hz):
    """One sound, struck as often as its length allows.

    Args:
      recipe: parameters, as `recipes` gives them.
      rate_hz: sampling rate.

    Returns:
      float32 [s], with the peak of the recipe, and the air of a room from end to
      end, as in any recording.
    """
    rng = np.random.default_rng(recipe["seed"])
    samples = round(recipe["seconds"] * rate_hz)
    voice = {"pluck": pluck, "burst": burst}.get(recipe["kind"], struck)
    note_s = voice(recipe, samples, rate_hz, rng)
    audio_s = np.zeros(samples)
    second = LEAD_S
    while second < recipe["seconds"] - 0.25:
        first = round(second * rate_hz)
        audio_s[first:] += 10 ** (rng.normal(0, 4) / 20) * note_s[: samples - first]
        interval = max(SOONEST_S, recipe["again"] * recipe["decay_s"])
        second += interval * rng.uniform(0.85, 1.15)
    # Strikes begin after silence; the end is faded out so that it does not click.
    fall = round(FADE_S * rate_hz)
    audio_s[-fall:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, fall + 1) / fall)
    audio_s *= 10 ** (recipe["peak_db"] / 20) / np.abs(audio_s).max()
    return np.float32(audio_s + air(recipe, samples, rate_hz, rng))


def air(recipe, samples, rate_hz, rng):
    """The noise of a quiet room, float64 [s]; takes what `pluck` takes."""
    white_s = rng.standard_normal(samples)
    noise_s = 0.1 * white_s + _lowpass(white_s, recipe["air_hz"], rate_hz)
    return recipe["room"] * noise_s / noise_s.std()


def pluck(recipe, samples, rate_hz, rng):
    """A plucked string: a burst of noise in a delay line that loses treble.

    Args:
      recipe: parameters.
      samples: length of the result.
      rate_hz: sampling rate.
      rng: numpy random generator.

    Returns:
      float64 [s].

    Source: Karplus and Strong 1983; allpass for the fractional delay and comb for
    the place of plucking as in Jaffe and Smith 1983.
    """
    period, damping = rate_hz / recipe["pitch_hz"], recipe["damping"]
    whole = int(period - damping - 0.3)
    fraction = period - damping - whole
    allpass = (1 - fraction) / (1 + fraction)
    gain = 10 ** (-3 / (recipe["pitch_hz"] * recipe["decay_s"]))
    noise_s = np.zeros(samples)
    noise_s[:whole] = rng.standard_normal(whole)
    for _ in range(2):
        noise_s = _lowpass(noise_s, recipe["cutoff_hz"], rate_hz)
    place = round(recipe["position"] * period)
    noise_s[place:] -= noise_s[:-place].copy()
    # y = x / (1 - gain * lowpass * allpass * z^-whole), over one denominator.
    feedback = np.zeros(whole + 3)
    feedback[:2] = 1, allpass
    feedback[whole:] -= gain * np.convolve([1 - damping, damping], [allpass, 1])
    return signal.lfilter([1, allpass], feedback, noise_s)


def struck(recipe, samples, rate_hz, rng):
    """A struck string, bar or bell: decaying partials in pairs that beat.

    Takes what `pluck` takes.

    Returns:
      float64 [s].

    Source: partials of a stiff string by Fletcher 1964, of bars and bells by
    Fletcher and Rossing 1998; the loss of treble tells materials apart (Klatzky,
    Pai and Krotkov 2000).
    """
    ratio_n, level_n = _partials(recipe, rng)
    frequency_n = recipe["pitch_hz"] * ratio_n
    decay_n = recipe["decay_s"] * (ratio_n / ratio_n[0]) ** -recipe["decay_slope"]
    level_n = level_n * np.exp(-frequency_n / recipe["cutoff_hz"])
    detune_n = 2 ** (recipe["detune_cents"] * rng.uniform(0.3, 1, ratio_n.shape) / 1200)
    share_n = rng.uniform(0.2, 0.8, ratio_n.shape)
    low_n3 = np.stack([frequency_n, decay_n, level_n * share_n], axis=1)
    high_n3 = np.stack(
        [frequency_n * detune_n, decay_n, level_n * (1 - share_n)], axis=1
    )
    partial_n3 = np.concatenate([low_n3, high_n3])
    partial_n3 = partial_n3[partial_n3[:, 0] < HIGHEST * rate_hz]
    tone_s = modes(partial_n3, samples, rate_hz)
    fall_s = np.exp(-np.arange(samples) / (KNOCK_S * rate_hz))
    noise_s = rng.standard_normal(samples) * fall_s
    knock_s = _lowpass(noise_s, recipe["cutoff_hz"], rate_hz)
    loudness = np.abs(tone_s).max() / np.abs(knock_s).max()
    return tone_s + recipe["knock"] * loudness * knock_s


def burst(recipe, samples, rate_hz, rng):
    """Noise in a band with attack and decay, float64 [s]; takes what `pluck` takes."""
    half = 2 ** (recipe["octaves"] / 2)
    edges_hz = (
        recipe["pitch_hz"] / half,
        min(recipe["pitch_hz"] * half, HIGHEST * rate_hz),
    )
    band = signal.butter(2, edges_hz, "bandpass", fs=rate_hz, output="sos")
    noise_s = signal.sosfilt(band, rng.standard_normal(samples))
    second_s = np.arange(samples) / rate_hz
    rise_s = 1 - np.exp(-second_s / recipe["attack_s"])
    return noise_s * rise_s * np.exp(-np.log(1000) * second_s / recipe["decay_s"])


def modes(partial_n3, samples, rate_hz):
    """Sum of decaying sines.

    Args:
      partial_n3: float [n, 3]: frequency in Hz, seconds to fall by 60 dB, level.
      samples: length of the result.
      rate_hz: sampling rate.

    Returns:
      float64 [s].
    """
    frequency_n, decay_n, level_n = partial_n3.T
    pole_n1 = ((2j * np.pi * frequency_n - np.log(1000) / decay_n) / rate_hz)[:, None]
    # Powers of a pole factor into blocks: one matrix product, and few exponentials.
    inner_nw = np.exp(pole_n1 * np.arange(BLOCK)[None, :])
    outer_nt = np.exp(pole_n1 * np.arange(0, samples, BLOCK)[None, :])
    audio_tw = (level_n[:, None] * outer_nt).T @ inner_nw
    return audio_tw.imag.ravel()[:samples]


def _recipe(kind, index, rng):
    ranges = dict(RANGES[kind])
    count = ranges.pop("count")
    recipe = {
        "kind": kind,
        "seconds": rng.uniform(2, 4),
        "peak_db": rng.uniform(-24, -2),
    }
    for name, (low, high) in ranges.items():
        place = rng.uniform()
        # Even over the compass: another tenth of it for every tenth file.
        place = (index + place) / count if name == "pitch_hz" else place
        recipe[name] = low * (high / low) ** place
    return {k: v if k == "kind" else float(f"{v:.6g}") for k, v in recipe.items()}


def _note(pitch_hz):
    midi = round(69 + 12 * np.log2(pitch_hz / 440))
    return f"{NOTES[midi % 12]}{midi // 12 - 1}"


def _partials(recipe, rng):
    if recipe["kind"] == "string":
        number_n = np.arange(1, 61)
        ratio_n = number_n * np.sqrt(1 + recipe["stiffness"] * number_n**2)
        return ratio_n, np.abs(np.sin(np.pi * number_n * recipe["position"])) / number_n
    ratio_n = np.array(RATIOS[recipe["kind"]])
    ratio_n = ratio_n * np.exp(rng.normal(0, recipe["spread"], ratio_n.shape))
    return ratio_n, np.exp(rng.normal(0, 0.5, ratio_n.shape))


def _lowpass(audio_s, cutoff_hz, rate_hz):
    pole = np.exp(-2 * np.pi * cutoff_hz / rate_hz)
    return signal.lfilter([1 - pole], [1, -pole], audio_s)


def _finished(path, recipe):
    try:
        files.probe(path)
        return files.read_settings(path) == recipe
    except (FileNotFoundError, ValueError):
        return False
