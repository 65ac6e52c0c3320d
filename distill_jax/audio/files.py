"""Sound files: read, checked completely, and written whole or not at all."""

import contextlib
import hashlib
import io
import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr

from distill_jax import folders
from distill_jax.audio import containers

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif")
BLOCK = 1 << 14


class Probe(NamedTuple):
    """What complete decoding found.

    Attributes:
      frames: samples per channel that decode.
      rate_hz: sampling rate.
      channels: number of channels.
      peak: largest magnitude of the finite samples; 1 is full scale.
      finite: whether no sample is NaN or infinite.
      sha256: of rate, channels and decoded samples, so that a copy in another
        lossless container counts as the same sound.
    """

    frames: int
    rate_hz: int
    channels: int
    peak: float
    finite: bool
    sha256: str


def probe(path):
    """Decodes a file from its first to its last sample.

    Args:
      path: file in any format that libsndfile reads.

    Returns:
      Probe.

    Raises:
      ValueError: not a sound file, damaged or truncated; says where it fails.
      OSError: the file cannot be opened.
    """
    with _opened(path) as sound:
        seen = hashlib.sha256(f"{sound.samplerate} {sound.channels}".encode())
        frames, peak, finite = 0, 0.0, True
        for block_sc in _blocks(sound, path):
            seen.update(block_sc.tobytes())
            good = np.isfinite(block_sc)
            frames += len(block_sc)
            finite = finite and bool(good.all())
            peak = max(peak, float(np.abs(block_sc[good]).max(initial=0.0)))
        return Probe(
            frames, sound.samplerate, sound.channels, peak, finite, seen.hexdigest()
        )


def promised(path):
    """Samples per channel and rate in Hz that a file's header promises.

    Raises:
      ValueError: not a sound file, or shorter than it promises.
      OSError: the file cannot be opened.
    """
    with _opened(path) as sound:
        return sound.frames, sound.samplerate


def read(path, rate_hz):
    """Reads a file as mono at a wanted rate, at the level it was recorded.

    Args:
      path: file in any format that libsndfile reads.
      rate_hz: sampling rate of the result.

    Returns:
      float32 [s], the mean of the channels.

    Raises:
      ValueError: not a sound file, damaged, truncated or without a sample.
      OSError: the file cannot be opened.
    """
    with _opened(path) as sound:
        found_hz = sound.samplerate
        parts = [block_sc.mean(axis=1) for block_sc in _blocks(sound, path)]
    if not parts:
        raise ValueError(f"{path} holds no samples; remove it")
    return resample(np.concatenate(parts), found_hz, rate_hz)


def resample(audio_s, found_hz, rate_hz):
    """Audio at another rate; at the same rate as it is.

    Args:
      audio_s: float32 [s].
      found_hz: its sampling rate.
      rate_hz: sampling rate of the result.

    Returns:
      float32 [s].

    Source: libsoxr, "HQ" (band-limited, passband to 0.91 Nyquist).
    """
    if found_hz == rate_hz:
        return audio_s
    size = length(len(audio_s), found_hz, rate_hz)
    audio_s = soxr.resample(audio_s, found_hz, rate_hz, "HQ")
    # soxr rounds the length to the nearest.
    missing = np.zeros(max(0, size - len(audio_s)), audio_s.dtype)
    return np.concatenate([audio_s, missing])[:size]


def length(frames, found_hz, rate_hz):
    """How many samples `read` gives for a file of so many frames."""
    return -(-frames * rate_hz // found_hz)


def limit(audio_s, ceiling=1.0):
    """Turns audio down so far that it can be written without clipping.

    Args:
      audio_s: float [s].
      ceiling: largest magnitude allowed; quieter audio is left as it is.

    Returns:
      float32 [s].
    """
    # In float32 the loudest sample could round to just above the ceiling.
    audio_s = np.asarray(audio_s, np.float64)
    return np.float32(audio_s * (ceiling / np.abs(audio_s).max(initial=ceiling)))


def write(path, audio_s, rate_hz, settings):
    """Writes mono audio with 24 bits, and how it was made in the comment tag.

    Args:
      path: where to; the suffix `.wav` or `.flac` chooses the format.
      audio_s: float [s], within ±1.
      rate_hz: sampling rate.
      settings: what JSON can hold; `read_settings` gives it back.

    Raises:
      ValueError: unknown suffix, no samples, not finite, beyond full scale, or
        more settings than a WAV tag holds (2,045 bytes).
      OSError: the folder is missing or the disk is full.
    """
    path = Path(path)
    kind = {".wav": "WAV", ".flac": "FLAC"}.get(path.suffix.lower())
    if kind is None:
        raise ValueError(
            f"{path} should end in .wav or .flac, found {path.suffix!r}; rename it"
        )
    audio_s = np.asarray(audio_s)
    _check_writable(path, audio_s)
    comment = json.dumps(settings, separators=(",", ":"))
    data = io.BytesIO()
    with soundfile.SoundFile(data, "w", rate_hz, 1, "PCM_24", format=kind) as sound:
        sound.comment = comment
        sound.write(_steps(audio_s))
    data.seek(0)
    # libsndfile drops a tag that is too long and says nothing.
    with soundfile.SoundFile(data) as sound:
        if sound.comment != comment:
            raise ValueError(
                f"{path}: the settings are {len(comment):,} bytes of JSON, more than "
                f"a {kind} tag holds; write .flac or shorten them"
            )
    with folders.replacing(path) as file:
        file.write(data.getbuffer())


def read_settings(path):
    """What `write` was given as settings.

    Raises:
      ValueError: not a sound file, or its comment is not such settings.
      OSError: the file cannot be opened.
    """
    with _opened(path) as sound:
        comment = sound.comment
    try:
        return json.loads(comment)
    except ValueError as error:
        raise ValueError(
            f"{path} holds no settings, its comment is {comment[:80]!r}; "
            "only files written by this package have them"
        ) from error


def _steps(audio_s):
    """The nearest 24-bit steps, in the upper bits of int32 [s]."""
    # libsndfile scales floats by another factor for WAV than for FLAC.
    step_s = np.rint(audio_s.astype(np.float64) * 2**23)
    return np.minimum(step_s, 2**23 - 1).astype(np.int32) << 8


def _check_writable(path, audio_s):
    if audio_s.ndim != 1 or not audio_s.size:
        raise ValueError(f"{path} needs audio [s], found shape {audio_s.shape}")
    bad = int(np.count_nonzero(~np.isfinite(audio_s)))
    if bad:
        raise ValueError(
            f"{path}: {bad:,} of {audio_s.size:,} samples are NaN or infinite; "
            "look for the step that made them"
        )
    peak = float(np.abs(audio_s).max())
    if peak > 1.0:
        raise ValueError(
            f"{path}: the peak {peak:.3f} is beyond full scale 1 and would clip; "
            "turn the audio down, as files.limit does"
        )


@contextlib.contextmanager
def _opened(path):
    """The file open for decoding, after a look at what its container promises."""
    if not os.path.getsize(path):
        raise ValueError(f"{path} is an empty file (0 bytes)")
    reason = containers.missing(path)
    if reason:
        raise ValueError(f"{path} is truncated or damaged: {reason}")
    try:
        with soundfile.SoundFile(path) as sound:
            yield sound
    except soundfile.LibsndfileError as error:
        raise ValueError(
            f"{path} cannot be decoded: {error.error_string.strip()}"
        ) from error


def _blocks(sound, path):
    """Yields float32 [s, channels]; fails where the header promised more."""
    done = 0
    try:
        while len(block_sc := sound.read(BLOCK, dtype="float32", always_2d=True)):
            done += len(block_sc)
            yield block_sc
    except soundfile.LibsndfileError as error:
        raise ValueError(
            f"{path} is damaged or truncated: decoding fails after "
            f"{done / sound.samplerate:.2f} of {sound.frames / sound.samplerate:.2f} s "
            f"({error.error_string.strip()})"
        ) from error
    mp3 = sound.format == "MP3"
    wanted = containers.least_frames(path, sound.frames) if mp3 else sound.frames
    if done < wanted:
        raise ValueError(
            f"{path} is truncated or damaged: {wanted / sound.samplerate:.2f} s are "
            f"promised, {done / sound.samplerate:.2f} s decode"
            + " (or its length is not in it: convert it)"
            * mp3
        )
