"""Long recordings in which it is known where the word is spoken."""

from typing import NamedTuple

import numpy as np

from distill_jax.audio import overlap

# A word ends where its sound falls this far below its loudest 20 ms for good.
WORD_DB, FRAME_SECONDS = 30.0, 0.02
FADE_SECONDS = 0.005
WORD, SPEECH, NOISE = "word", "speech", "noise"


class Spoken(NamedTuple):
    """A recorded word.

    Attributes:
      audio_s: [samples].
      name: of the file.
      group: who speaks.
    """

    audio_s: np.ndarray
    name: str
    group: str


class Part(NamedTuple):
    """Where something is in a scene, in samples.

    Attributes:
      start: its first sample.
      end: the sample after its last.
      source: WORD, SPEECH or NOISE.
      name: of the file.
      group: who speaks, "" for noise.
    """

    start: int
    end: int
    source: str
    name: str
    group: str = ""


class Scene(NamedTuple):
    """A long recording.

    Attributes:
      audio_s: [samples].
      event_k2: first sample and end of every time the word is spoken, in order.
      parts: list of `Part`, in order; those of WORD are the events, whole clips.
      rate_hz: samples per second.
    """

    audio_s: np.ndarray
    event_k2: np.ndarray
    parts: list
    rate_hz: int


class Plan(NamedTuple):
    """How a scene is put together.

    Attributes:
      rate_hz: samples per second.
      seed: decides order, pauses and which noise is where.
      pause_seconds: shortest and longest pause after a spoken clip.
      snr_db: how far the speech, pauses left out, is above the noise under it on
        average over the scene; infinite for none, with silent pauses.
    """

    rate_hz: int
    seed: int = 0
    pause_seconds: tuple = (0.8, 1.6)
    snr_db: float = float("inf")


def word_bounds(audio_s, rate_hz):
    """First sample and end of the loud part of a clip."""
    size = max(1, round(FRAME_SECONDS * rate_hz))
    frame_ns = overlap.windows(audio_s, size, size)
    power_n = np.mean(np.square(frame_ns, dtype=np.float64), axis=1)
    loud_n = np.flatnonzero(power_n >= power_n.max() * 10 ** (-WORD_DB / 10))
    return int(loud_n[0]) * size, min((int(loud_n[-1]) + 1) * size, len(audio_s))


def build(words, others, noises, plan):
    """Puts clips in a random order with pauses; noise lies under them, or follows.

    Args:
      words: `Spoken` clips of the word.
      others: `Spoken` clips of other words.
      noises: {name: audio_s}; in turn and over and over under the speech, or, where
        that stays clean, each once after it, as it was recorded.
      plan: a `Plan`.

    Returns:
      A `Scene`.

    Raises:
      ValueError: there is no clip, or noise is wanted and there is none.
    """
    if not (words or others):
        raise ValueError("a scene needs spoken clips, found none")
    if np.isfinite(plan.snr_db) and not noises:
        raise ValueError(
            f"speech {plan.snr_db:g} dB above noise needs recordings of noise; give "
            "some, or leave the speech clean"
        )
    rng = np.random.default_rng(plan.seed)
    clips = [(clip, WORD) for clip in words] + [(clip, SPEECH) for clip in others]
    order = [clips[index] for index in rng.permutation(len(clips))]
    speech_s, parts = _speech(order, plan, rng)
    if np.isfinite(plan.snr_db):
        speech_s = speech_s + _under(speech_s, parts, noises, plan, rng)
        noises = {}
    events = [
        np.add(part.start, word_bounds(clip.audio_s, plan.rate_hz))
        for part, (clip, source) in zip(parts, order, strict=True)
        if source == WORD
    ]
    pieces = [speech_s, *noises.values()]
    end_n = np.cumsum([len(piece_s) for piece_s in pieces]).tolist()
    parts += [
        Part(start, end, NOISE, name)
        for name, start, end in zip(noises, end_n, end_n[1:], strict=False)
    ]
    audio_s = np.concatenate(pieces, dtype=np.float32)
    event_k2 = np.array(events, int).reshape(-1, 2)
    return Scene(audio_s, event_k2, parts, plan.rate_hz)


def _speech(order, plan, rng):
    """The clips with pauses before, between and after them, and where they are."""
    fade = round(FADE_SECONDS * plan.rate_hz)
    low, high = (round(seconds * plan.rate_hz) for seconds in plan.pause_seconds)
    pause_n = rng.integers(low, high + 1, len(order) + 1).tolist()
    pieces, parts, at = [np.zeros(pause_n[0], np.float32)], [], pause_n[0]
    for (clip, source), pause in zip(order, pause_n[1:], strict=True):
        end = at + len(clip.audio_s)
        parts.append(Part(at, end, source, clip.name, clip.group))
        faded_s = overlap.fade(clip.audio_s, fade)
        pieces += [faded_s, np.zeros(pause, np.float32)]
        at = end + pause
    return np.concatenate(pieces), parts


def _under(speech_s, parts, noises, plan, rng):
    """Noise as long as the speech, at its level: recordings in turn, over and over."""
    bed, names = [], list(noises)
    while sum(map(len, bed)) < len(speech_s):
        bed += [noises[names[index]] for index in rng.permutation(len(names))]
    bed_s = np.concatenate(bed)[: len(speech_s)]
    spoken = sum(part.end - part.start for part in parts)
    speech_power = np.sum(np.square(speech_s, dtype=np.float64)) / spoken
    noise_power = np.mean(np.square(bed_s, dtype=np.float64))
    return bed_s * np.sqrt(speech_power / noise_power * 10 ** (-plan.snr_db / 10))


def source_at(scene, sample):
    """What is, or was last, in a scene when a sample was heard, a `Part`."""
    starts = [part.start for part in scene.parts]
    return scene.parts[max(0, int(np.searchsorted(starts, sample, "right")) - 1)]


def hours(scene):
    """How long each source lasts, the pause after a clip with it: {source: hours}."""
    starts = [0, *(part.start for part in scene.parts[1:]), len(scene.audio_s)]
    length_of = dict.fromkeys((WORD, SPEECH, NOISE), 0)
    for part, length in zip(scene.parts, np.diff(starts).tolist(), strict=True):
        length_of[part.source] += length
    return {key: length / scene.rate_hz / 3600 for key, length in length_of.items()}
