"""Variations of recordings, drawn for every example from a seed of its own.

What becomes of an example depends on its samples, its seed, the bank and the settings
alone, not on the other examples of a batch; to the bit among batches of one size.

Letters of the axes: b batch, s samples, t frames, f bands, n any list, r samples of a
response, k FFT bins.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from distill_jax.audio import draws, motion, transforms


class Settings(NamedTuple):
    """How recordings are varied; 0 leaves out what it belongs to.

    Attributes:
      rate_hz: sampling rate of the audio.
      gain_db: louder or softer by up to so much, always.
      shift_seconds: earlier or later by up to so much, always, with zeros behind it.
      speed_probability: of another speed, which also moves the pitch.
      speed_change: faster or slower by up to this share.
      room_probability: of the reverberation of a room of the bank.
      noise_probability: of background noise of the bank.
      snr_low_db: noise is at least so far below the clip.
      snr_high_db: and at most so far.
    """

    rate_hz: int = 16_000
    gain_db: float = 6.0
    shift_seconds: float = 0.1
    speed_probability: float = 0.25
    speed_change: float = 0.1
    room_probability: float = 0.25
    noise_probability: float = 0.8
    snr_low_db: float = -5.0
    snr_high_db: float = 20.0


class Masks(NamedTuple):
    """What `spec_augment` hides.

    Attributes:
      times: stretches of frames.
      frames: longest of them.
      bands: stretches of bands.
      width: widest of them.
    """

    times: int = 2
    frames: int = 20
    bands: int = 2
    width: int = 8


class Bank(NamedTuple):
    """Sounds that recordings are mixed with.

    Attributes:
      noise_s: float32, background noise, at least a window long; or empty.
      room_nk: complex64, spectra of responses of rooms; or empty.
    """

    noise_s: jax.Array
    room_nk: jax.Array


def bank(noise_s, room_nr, samples):
    """Makes noise and rooms ready for windows of so many samples.

    Args:
      noise_s: float [s], noise of any length; repeated if shorter than a window. Empty
        for none.
      room_nr: float [n, r], impulse responses that begin with the direct sound, as
        `rooms.simulate` gives them; [0, 0] for none.
      samples: of a window.

    Returns:
      `Bank`.
    """
    noise_s, room_nr = np.float32(noise_s), np.float32(room_nr)
    if noise_s.size and len(noise_s) < samples:
        noise_s = np.resize(noise_s, samples)
    size = _fft_size(samples + room_nr.shape[1])
    return Bank(noise_s, np.complex64(np.fft.rfft(room_nr, size)))


@functools.partial(jax.jit, static_argnames="settings")
def augment(audio_bs, seed_b, bank, settings):
    """Varies recordings: time and speed, then the room, then noise, then the level.

    Args:
      audio_bs: float32, [batch, samples].
      seed_b: uint32, what each example is drawn from.
      bank: `Bank`; pass it as an argument wherever this is compiled into more.
      settings: `Settings`.

    Returns:
      float32 [batch, samples], which may exceed full scale.

    Raises:
      ValueError: noise or rooms are asked for and the bank has none, the noise is
        shorter than a window, or the rooms are for other windows.
    """
    _check(audio_bs, bank, settings)
    drawn = Draws(*draws.uniform(seed_b, "audio", len(Draws._fields)))
    audio_bs = _moved(audio_bs, drawn, settings)
    if settings.room_probability > 0:
        audio_bs = _in_room(audio_bs, drawn, bank.room_nk, settings)
    if settings.noise_probability > 0:
        audio_bs = _noisy(audio_bs, drawn, bank.noise_s, settings)
    gain_db_b = _within(drawn.gain_b, -settings.gain_db, settings.gain_db)
    return audio_bs * 10 ** (gain_db_b / 20)[:, None]


class Draws(NamedTuple):
    """Uniform numbers of every example, each [b] in [0, 1)."""

    gain_b: jax.Array
    shift_b: jax.Array
    speed_b: jax.Array
    speed_on_b: jax.Array
    room_b: jax.Array
    room_on_b: jax.Array
    noise_b: jax.Array
    noise_on_b: jax.Array
    snr_b: jax.Array


def mix_at_snr(audio_bs, noise_bs, snr_db_b):
    """Adds noise so far below the clip, by their mean power over the whole clip.

    Silence before and after a word counts as part of the clip. A silent clip, or
    silent noise, is left as it is: no level of noise has a ratio to nothing.

    Args:
      audio_bs: float, [batch, samples].
      noise_bs: the same shape.
      snr_db_b: signal-to-noise ratio in decibels, [batch].

    Returns:
      float32 [batch, samples].
    """
    return audio_bs + noise_bs * _noise_gain(audio_bs, noise_bs, snr_db_b)[:, None]


@functools.partial(jax.jit, static_argnames="settings")
def spec_augment(feature_btf, seed_b, settings):
    """Hides stretches of frames and of bands behind the mean of the example.

    Args:
      feature_btf: [batch, frames, bands].
      seed_b: uint32, what each example is drawn from.
      settings: `Masks`.

    Returns:
      [batch, frames, bands] of the same type.

    Source: Park et al. 2019, section 2, without time warping.
    """
    frames, bands = feature_btf.shape[1:]
    count = 2 * (settings.times + settings.bands)
    uniform_nb = draws.uniform(seed_b, "features", count)
    time_nb, band_nb = jnp.split(uniform_nb, [2 * settings.times])
    hidden_bt = _stretches(time_nb, frames, settings.frames)
    hidden_bf = _stretches(band_nb, bands, settings.width)
    hidden_btf = hidden_bt[:, :, None] | hidden_bf[:, None, :]
    mean_btf = jnp.mean(feature_btf, axis=(1, 2), keepdims=True)
    return jnp.where(hidden_btf, mean_btf, feature_btf)


def _check(audio_bs, bank, settings):
    samples, faults = audio_bs.shape[1], []
    if settings.noise_probability > 0 and bank.noise_s.shape[0] < samples:
        faults.append(
            f"noise_probability={settings.noise_probability:g} needs {samples} samples "
            f"of noise, the bank has {bank.noise_s.shape[0]}; give a folder of "
            "background noise, or set it to 0"
        )
    if settings.room_probability > 0 and not bank.room_nk.shape[0]:
        faults.append(
            f"room_probability={settings.room_probability:g} needs rooms, the bank has "
            "none; simulate some, or set it to 0"
        )
    if settings.room_probability > 0 and 2 * (bank.room_nk.shape[1] - 1) < samples:
        faults.append(
            f"the rooms of the bank are for shorter windows than {samples} samples; "
            "make the bank for these"
        )
    if faults:
        raise ValueError("; ".join(faults))


def _within(uniform_b, low, high):
    return low + (high - low) * uniform_b


def _noise_gain(audio_bs, noise_bs, snr_db_b):
    audio_b = jnp.mean(jnp.square(audio_bs), axis=1)
    noise_b = jnp.mean(jnp.square(noise_bs), axis=1)
    wanted_b = audio_b * 10 ** (-snr_db_b / 10)
    return jnp.where(
        noise_b > 0, jnp.sqrt(wanted_b / jnp.where(noise_b > 0, noise_b, 1)), 0
    )


def _noisy(audio_bs, drawn, noise_s, settings):
    samples = audio_bs.shape[1]
    places = noise_s.shape[0] - samples + 1
    first_b = jnp.minimum((drawn.noise_b * places).astype(jnp.int32), places - 1)
    cut = functools.partial(jax.lax.dynamic_slice, noise_s, slice_sizes=(samples,))
    noise_bs = jax.vmap(lambda first: cut((first,)))(first_b)
    snr_db_b = _within(drawn.snr_b, settings.snr_low_db, settings.snr_high_db)
    on_b = drawn.noise_on_b < settings.noise_probability
    gain_b = jnp.where(on_b, _noise_gain(audio_bs, noise_bs, snr_db_b), 0)
    return audio_bs + noise_bs * gain_b[:, None]


def _in_room(audio_bs, drawn, room_nk, settings):
    samples, size = audio_bs.shape[1], 2 * (room_nk.shape[1] - 1)
    number_b = (drawn.room_b * room_nk.shape[0]).astype(jnp.int32)

    def reverberate(audio_bs, number_b):
        spectrum_bk = transforms.rfft(audio_bs, size) * room_nk[number_b]
        return transforms.irfft(spectrum_bk, size)[:, :samples]

    on_b = drawn.room_on_b < settings.room_probability
    return draws.where_drawn(on_b, reverberate, audio_bs, number_b)


def _moved(audio_bs, drawn, settings):
    """Shifts by whole samples; then resamples around the middle where it is drawn."""
    most = round(settings.shift_seconds * settings.rate_hz)
    shift_b = jnp.floor(drawn.shift_b * (2 * most + 1)).astype(jnp.int32) - most
    audio_bs = motion.shift(audio_bs, shift_b, most)
    if settings.speed_probability <= 0 or settings.speed_change <= 0:
        return audio_bs
    change = settings.speed_change
    change_b = _within(drawn.speed_b, -change, change)
    # To 1/4096: then the places in a second of audio are exact in float32.
    change_b = jnp.round(change_b * 4096) / 4096
    on_b = drawn.speed_on_b < settings.speed_probability
    return draws.where_drawn(on_b, motion.change_speed, audio_bs, change_b)


def _stretches(uniform_nb, size, longest):
    """True inside stretches of 0 to `longest` places, [b, size]."""
    length_nb, first_nb = jnp.split(uniform_nb, 2)
    length_nb = jnp.floor(length_nb * (min(longest, size) + 1))
    first_nb = jnp.floor(first_nb * (size - length_nb + 1))
    place_s = jnp.arange(size)[None, None]
    inside_nbs = (place_s >= first_nb[..., None]) & (
        place_s < (first_nb + length_nb)[..., None]
    )
    return jnp.any(inside_nbs, axis=0)


def _fft_size(least):
    """The smallest even number from there on without a prime factor above 5."""
    size = least + least % 2
    while 30**20 % size:
        size += 2
    return size
