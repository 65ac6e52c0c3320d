"""Speech from eSpeak NG, through its C library.

libespeak-ng is licensed GPL-3.0-or-later; the `tts` extra installs it and it is loaded
while the program runs. What it speaks is not covered by its licence.
"""

import _ctypes
import contextlib
import ctypes
import threading
from typing import NamedTuple

import numpy as np

SYNCHRONOUS, DONT_EXIT = 2, 0x8000
UTF8, WITH_PHONEMES = 1, 0x100
PARAMETERS = (1, 3, 4, 2)  # Those of a `Prosody`, in its order.
IPA, SEPARATOR = 2, "|"
BUFFER_MS = 1000
# The library is one machine with one state; two threads would speak in turns of words.
LOCK = threading.Lock()
# Reed and caleb breathe with rand() of libc, which no seed of ours reaches: the same
# call gave other samples, as with no other of the 104 variants (espeak-ng 1.52.0). The
# echo of the rest comes 100 to 200 ms later and loud, so that words end too late.
LEFT_OUT = {"Reed", "caleb", "RicishayMax", "RicishayMax2", "RicishayMax3"}
# Listed, but the wheel has no dictionary for them, of which each call complains.
MUTE = {"fo", "kaa", "xex"}


class Voice(NamedTuple):
    """A language as someone speaks it.

    Attributes:
      name: the last part of the identifier, such as en-US.
      identifier: the library's path of it, such as gmw/en-US.
      language: its code, such as en-us.
    """

    name: str
    identifier: str
    language: str


class Prosody(NamedTuple):
    """How something is said.

    Attributes:
      rate_wpm: words per minute, 80 to 450.
      pitch: 0 to 99; 50 is the voice's own.
      range: of the pitch, 0 (monotone) to 99; 50 is the voice's own.
      volume: 0 to 200; 100 is usual.
    """

    rate_wpm: int
    pitch: int = 50
    range: int = 50
    volume: int = 100


class Engine(NamedTuple):
    """The library as `opened` gives it.

    Attributes:
      library: ctypes library.
      rate_hz: sampling rate of what it speaks.
      version: such as 1.52.0.
      parts: where the callback puts samples, bytes.
    """

    library: ctypes.CDLL
    rate_hz: int
    version: str
    parts: list


class _Record(ctypes.Structure):
    """espeak_VOICE of speak_lib.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("small", ctypes.c_ubyte * 4),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


@contextlib.contextmanager
def opened():
    """The synthesiser as it is when a program starts; others wait till it is closed.

    It is loaded anew, for phases of flutter and noise live on in the library: after the
    same calls in the same order the samples are the same, after others they are not.

    Yields:
      `Engine`.

    Raises:
      ModuleNotFoundError: the extra `tts` is not installed.
      OSError: the library cannot be loaded or does not find its data.
    """
    loader = _loader()
    with LOCK:
        library = ctypes.CDLL(loader.get_library_path())
        _declare(library)
        try:
            data, parts = loader.get_data_path(), []
            rate_hz = library.espeak_Initialize(
                SYNCHRONOUS, BUFFER_MS, data.encode(), DONT_EXIT
            )
            if rate_hz <= 0:
                raise OSError(
                    f"espeak-ng does not take its data from {data}: it needs a path "
                    f"under 160 bytes, found {len(data.encode())}; if that is short "
                    "enough, install the package again: pip install "
                    "--force-reinstall espeakng-loader"
                )
            callback = CALLBACK(lambda *samples: _keep(parts, *samples))
            library.espeak_SetSynthCallback(callback)
            version = library.espeak_Info(None).decode().split()[0]
            yield Engine(library, rate_hz, version, parts)
            library.espeak_Terminate()
        finally:
            _unload(library)


def voices(engine):
    """Every language that the library speaks, as a list of `Voice`."""
    found = []
    for record in _listed(engine, None):
        identifier = record.identifier.decode()
        # A byte of priority is before the code.
        code = record.languages[1:].decode().lower()
        if code not in MUTE:
            found.append(Voice(identifier.rpartition("/")[2], identifier, code))
    return sorted(found)


def variants(engine):
    """Names of the speakers that every language can be spoken by, as a list.

    Left out are those whose samples cannot be had again or whose words end in an echo.
    """
    found = (
        record.identifier.decode().removeprefix("!v/")
        for record in _listed(engine, _Record(languages=b"variant"))
    )
    return sorted(name for name in found if name not in LEFT_OUT)


def choose(engine, voice, variant=""):
    """Makes a `Voice` the one that speaks, as a variant of it.

    Raises:
      ValueError: there is no such voice.
    """
    name = f"{voice.identifier}+{variant}" if variant else voice.identifier
    if engine.library.espeak_SetVoiceByName(name.encode()):
        raise ValueError(f"espeak-ng {engine.version} has no voice {name}")


def transcribe(engine, text, ipa=False):
    """How the voice that was chosen says a text.

    Args:
      engine: `Engine`.
      text: words.
      ipa: in the International Phonetic Alphabet, else as espeak-ng writes phonemes,
        which `synthesise` takes back.

    Returns:
      Words divided by spaces, their phonemes by `SEPARATOR`.
    """
    mode = ord(SEPARATOR) << 8 | (IPA if ipa else 0)
    rest, clauses = ctypes.c_char_p(text.encode()), []
    while rest.value:
        clause = engine.library.espeak_TextToPhonemes(ctypes.byref(rest), UTF8, mode)
        clauses.append((clause or b"").decode())
    return " ".join(clauses)


def synthesise(engine, text, prosody, seed):
    """Speaks with the voice that was chosen.

    Args:
      engine: `Engine`.
      text: words; phonemes stand between [[ and ]].
      prosody: `Prosody`.
      seed: of noises.

    Returns:
      int16 [s] at `engine.rate_hz`.

    Raises:
      ValueError: espeak-ng refuses it.
    """
    library = engine.library
    for parameter, value in zip(PARAMETERS, prosody, strict=True):
        library.espeak_SetParameter(parameter, value, 0)
    library.espeak_ng_SetRandSeed(seed)
    engine.parts.clear()
    data, flags = text.encode() + b"\0", UTF8 | WITH_PHONEMES
    failed = library.espeak_Synth(data, len(data), 0, 0, 0, flags, None, None)
    if failed:
        raise ValueError(f"espeak-ng {engine.version} cannot say {text!r} ({failed})")
    return np.frombuffer(b"".join(engine.parts), np.int16)


def _loader():
    try:
        import espeakng_loader
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "synthetic speech needs eSpeak NG, which is not installed; run: "
            'pip install "distill_jax[tts]" (or pip install espeakng-loader)'
        ) from error
    return espeakng_loader


def _declare(library):
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Record))
    library.espeak_Info.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.argtypes = (
        ctypes.POINTER(ctypes.c_char_p),
        ctypes.c_int,
        ctypes.c_int,
    )
    library.espeak_ng_SetRandSeed.argtypes = (ctypes.c_long,)


def _unload(library):
    # ctypes never unloads what it loaded, and has no public way to.
    free = getattr(_ctypes, "dlclose", None) or _ctypes.FreeLibrary
    free(library._handle)


def _keep(parts, samples, count, events):
    del events
    if samples and count > 0:
        parts.append(ctypes.string_at(samples, 2 * count))
    return 0


def _listed(engine, wanted):
    found = engine.library.espeak_ListVoices(wanted and ctypes.byref(wanted))
    number = 0
    while found[number]:
        yield found[number].contents
        number += 1
