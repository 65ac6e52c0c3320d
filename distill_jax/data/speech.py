"""Synthetic speech: a phrase, near misses of it and other words, by many voices."""

import functools
import hashlib
import itertools
import math
from typing import NamedTuple

import numpy as np

from distill_jax.audio import files
from distill_jax.data import espeak, near_misses, phonemes

# Raise it when clips change, so that a folder is not finished with others.
VERSION = 1
RATE_HZ = 16000
PHRASE, NEAR_MISS, OTHER = range(3)
LABELS = {NEAR_MISS: "near_miss", OTHER: "unknown"}
# After so many the library is loaded anew; see `espeak.opened`.
BLOCK = 128
ATTEMPTS = 50
# How far a foreign voice may be from the native ones, per sound of the phrase.
ACCENT = 0.08
EVERY = 4  # one clip of so many has a foreign accent
RATE_WPM = (100, 280)
PITCH, RANGE, VOLUME = (10, 90), (10, 90), (40, 80)
AUDIBLE = 0.02  # of full scale
EDGE = 0.005  # of the peak: speech begins and ends where it is louder
MARGIN_S = 0.05


class Request(NamedTuple):
    """What decides the clips.

    Attributes:
      text: the phrase.
      label: name of its folder.
      language: code of it, such as en or en-us.
      lines: tuple of other texts in it.
      accents: whether foreign voices speak, too.
      seed: int.
      format: wav or flac.
    """

    text: str
    label: str
    language: str
    lines: tuple
    accents: bool
    seed: int
    format: str


class Study(NamedTuple):
    """What `study` found out about a request.

    Attributes:
      request: `Request`.
      version: of the synthesiser.
      natives: voices of the language.
      accents: voices of other languages that say the phrase nearly as natives do.
      variants: names of the speakers; each speaks with every voice.
      phrases: the ways to say the phrase, strings of sounds.
      material: {name of a voice: `near_misses.Material`}.
      lines: other texts, without those in which the phrase is heard.
      dropped: those.
    """

    request: Request
    version: str
    natives: tuple
    accents: tuple
    variants: tuple
    phrases: tuple
    material: dict
    lines: tuple
    dropped: tuple


class Recipe(NamedTuple):
    """What a clip is made from: the text as it is given to the synthesiser, and how."""

    text: str
    edit: str
    voice: espeak.Voice
    variant: str
    prosody: espeak.Prosody
    noise: int


class Clip(NamedTuple):
    """Speech without silence around it.

    Attributes:
      audio_s: float32 [s] at 16 kHz.
      start_s: when the speech begins, in seconds.
      end_s: when it ends.
      sha256: of what the synthesiser gave for it.
    """

    audio_s: np.ndarray
    start_s: float
    end_s: float
    sha256: str


def study(request):
    """Finds the voices for a phrase, and how they say it.

    Args:
      request: `Request`.

    Returns:
      `Study`.

    Raises:
      ModuleNotFoundError: eSpeak NG is not installed.
      ValueError: no voice speaks the language, or none can say the phrase.
    """
    with espeak.opened() as engine:
        voices = espeak.voices(engine)
        spoken = {voice: _phones(engine, voice, [request.text])[0] for voice in voices}
        spoken = {voice: phones for voice, phones in spoken.items() if phones}
        natives = tuple(voice for voice in spoken if _speaks(voice, request.language))
        if not natives:
            codes = ", ".join(sorted({voice.language for voice in voices}))
            raise ValueError(
                f"no voice of {request.language!r} can say {request.text!r}; "
                f"espeak-ng {engine.version} speaks {codes}"
            )
        accents = _accents(spoken, natives) if request.accents else ()
        phrases = {phonemes.sounds(spoken[voice]) for voice in natives + accents}
        said = {
            voice: _phones(engine, voice, request.lines) for voice in natives + accents
        }
        heard = [
            near_misses.has(row, phrases)
            for row in _rows(said[voice] for voice in natives)
        ]
        return Study(
            request,
            engine.version,
            natives,
            accents,
            tuple(espeak.variants(engine)),
            tuple(sorted(phrases)),
            {voice.name: _material(spoken[voice], said[voice]) for voice in said},
            tuple(itertools.compress(request.lines, (not one for one in heard))),
            tuple(itertools.compress(request.lines, heard)),
        )


def draw(found, kind, index, attempt):
    """What a clip is made from.

    Args:
      found: `Study`.
      kind: PHRASE, NEAR_MISS or OTHER.
      index: number of the clip; speakers and texts take turns.
      attempt: 0; another one where that gave a clip that exists or cannot be heard.

    Returns:
      `Recipe`, the same for the same arguments.
    """
    seed = found.request.seed
    rng = np.random.default_rng([seed, kind, index, attempt])
    voice, variant = _speaker(found, kind, index + attempt * BLOCK)
    text, edit = found.request.text, ""
    if kind == NEAR_MISS:
        phones, edit = near_misses.draw(found.material[voice.name], found.phrases, rng)
        text = phonemes.written(phones)
    elif kind == OTHER:
        order = _order(len(found.lines), (seed, kind))
        text = found.lines[order[index % len(order)]]
    low, high = map(math.log, RATE_WPM)
    prosody = espeak.Prosody(
        round(math.exp(rng.uniform(low, high))),
        *(
            int(rng.integers(*limits, endpoint=True))
            for limits in (PITCH, RANGE, VOLUME)
        ),
    )
    return Recipe(text, edit, voice, variant, prosody, int(rng.integers(2**31)))


def speak(engine, recipe):
    """Makes a clip of a recipe.

    Args:
      engine: `espeak.Engine`.
      recipe: `Recipe`.

    Returns:
      `Clip`; None where nothing can be heard, or samples are clipped.
    """
    espeak.choose(engine, recipe.voice, recipe.variant)
    sample_s = espeak.synthesise(engine, recipe.text, recipe.prosody, recipe.noise)
    level_s = np.abs(sample_s.astype(np.int32))
    peak = int(level_s.max(initial=0))
    if not AUDIBLE * 32768 < peak < 32767:
        return None
    loud_n = np.flatnonzero(level_s > EDGE * peak)
    first, last = int(loud_n[0]), int(loud_n[-1]) + 1
    margin = round(MARGIN_S * engine.rate_hz)
    kept_s = np.zeros(last - first + 2 * margin, np.float32)
    before, after = min(margin, first), min(margin, len(sample_s) - last)
    kept_s[margin - before : len(kept_s) - margin + after] = sample_s[
        first - before : last + after
    ]
    audio_s = files.resample(kept_s / 32768, engine.rate_hz, RATE_HZ)
    return Clip(
        files.limit(audio_s),
        MARGIN_S,
        round(MARGIN_S + (last - first) / engine.rate_hz, 4),
        hashlib.sha256(sample_s[first:last].tobytes()).hexdigest(),
    )


def _speaks(voice, language):
    code = language.lower()
    return voice.language == code or voice.language.startswith(f"{code}-")


def _phones(engine, voice, texts):
    """What a voice says for texts; None for one that is not all in its language."""
    espeak.choose(engine, voice)
    sides = (
        [espeak.transcribe(engine, text, ipa) for text in texts]
        for ipa in (False, True)
    )
    pairs = zip(*sides, strict=True)
    return [phonemes.parse(*pair, espeak.SEPARATOR) for pair in pairs]


def _accents(spoken, natives):
    """Foreign voices that are near to a native one."""
    wanted = {phonemes.sounds(spoken[voice]) for voice in natives}
    return tuple(
        voice
        for voice, phones in spoken.items()
        if voice not in natives
        and min(phonemes.distance(said, phonemes.sounds(phones)) for said in wanted)
        < ACCENT * len(phonemes.sounds(phones))
    )


def _rows(columns):
    """What several voices say for each text, joined with a pause that is no sound."""
    for row in zip(*columns, strict=True):
        yield sorted({phonemes.sounds(phones) for phones in row if phones})


def _material(phones, others):
    others = [other for other in others if other]
    inventory = {(p.sign, p.ipa) for other in (phones, *others) for p in other}
    words = {other for other in others if other[-1].word == 0}
    return near_misses.Material(phones, frozenset(inventory), tuple(sorted(words)))


def _speaker(found, kind, index):
    """Voice and variant; all take turns, in an order that the seed decides."""
    foreign = found.accents and index % EVERY == EVERY - 1
    voices = found.accents if foreign else found.natives
    turn = index // EVERY if foreign else index - index // EVERY * bool(found.accents)
    rounds, place = divmod(turn, len(found.variants))
    order = _order(len(found.variants), (found.request.seed, kind, int(bool(foreign))))
    return voices[(rounds + place) % len(voices)], found.variants[order[place]]


@functools.lru_cache
def _order(count, seed):
    return np.random.default_rng(seed).permutation(count)
