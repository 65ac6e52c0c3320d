"""How far one waveform is from another; each measure gives one value per pair.

All are differentiable and finite in silence, and 0 for equal waveforms. The first
argument is the reference: the measures are not symmetric.
"""

import functools

import jax
import jax.numpy as jnp

from distill_jax.audio import features, fourier

RESOLUTIONS = (512, 1024, 2048)
# Magnitude, of an unscaled STFT, under which log magnitudes are not compared.
MAGNITUDE_FLOOR = 1e-4
# A relative error is one of at least this mean power per bin (white noise at about
# -59 dB of full scale): a silent reference would divide by zero, and an almost silent
# one would drown the rest of a batch.
QUIET_POWER = 1e-3
MEL_FLOOR = 1e-5
BANDS = features.Mel()


def _safe_sqrt(number):
    """Square root; 0, with a gradient of 0, at 0."""
    positive = number > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, number, 1.0)), 0.0)


def _check_shapes(reference_bs, estimate_bs):
    if reference_bs.shape != estimate_bs.shape:
        raise ValueError(
            f"expected waveforms of one shape, found {reference_bs.shape} and "
            f"{estimate_bs.shape}; cut both to the shorter length"
        )


def _powers(reference_bs, estimate_bs, n_fft):
    _check_shapes(reference_bs, estimate_bs)
    pair = (reference_bs, estimate_bs)
    return [fourier.power(fourier.stft(x_bs, n_fft, n_fft // 4)) for x_bs in pair]


def _convergence(reference_btk, estimate_btk):
    """Spectral convergence of two power spectra."""
    floor = MAGNITUDE_FLOOR**2
    difference_btk = jnp.sqrt(jnp.maximum(reference_btk, floor)) - jnp.sqrt(
        jnp.maximum(estimate_btk, floor)
    )
    error_b = jnp.mean(difference_btk**2, axis=(1, 2))
    total_b = jnp.mean(reference_btk, axis=(1, 2))
    return _safe_sqrt(error_b) / jnp.sqrt(jnp.maximum(total_b, QUIET_POWER))


def _log_magnitude_l1(reference_btk, estimate_btk):
    floor = MAGNITUDE_FLOOR**2
    log_btk = jnp.log(jnp.maximum(reference_btk, floor))
    difference_btk = log_btk - jnp.log(jnp.maximum(estimate_btk, floor))
    return 0.5 * jnp.mean(jnp.abs(difference_btk), axis=(1, 2))


@functools.partial(jax.jit, static_argnames=("n_fft",))
def spectral_convergence(reference_bs, estimate_bs, n_fft=2048):
    """Relative error of the magnitudes, || |X| - |Y| || / || X ||, Frobenius norms.

    Args:
      reference_bs: X, [batch, samples].
      estimate_bs: Y, [batch, samples].
      n_fft: samples per frame; the hop is a quarter of it.

    Returns:
      [batch]. 0 if equal, 1 for a silent estimate. The denominator is at least that
      of noise with `QUIET_POWER` per bin.

    Raises:
      ValueError: the shapes differ.

    Source: Sturmel & Daudet 2011; Arik et al. 2018, eq. 3.
    """
    return _convergence(*_powers(reference_bs, estimate_bs, n_fft))


@jax.jit
def mrstft(reference_bs, estimate_bs):
    """Multi-resolution STFT distance.

    The mean over n_fft 512, 1024 and 2048, with hops of a quarter and Hann windows, of
    spectral convergence + mean |ln max(|X|, 1e-4) - ln max(|Y|, 1e-4)|.

    Args:
      reference_bs: X, [batch, samples].
      estimate_bs: Y, [batch, samples].

    Returns:
      [batch], not negative.

    Raises:
      ValueError: the shapes differ.

    Source: Yamamoto et al. 2020 (Parallel WaveGAN), eq. 3 to 6; the resolutions and the
    floor are this project's.
    """
    total_b = jnp.zeros(reference_bs.shape[0])
    for n_fft in RESOLUTIONS:
        pair = _powers(reference_bs, estimate_bs, n_fft)
        total_b = total_b + _convergence(*pair) + _log_magnitude_l1(*pair)
    return total_b / len(RESOLUTIONS)


@functools.partial(jax.jit, static_argnames=("n_fft",))
def log_spectral_distance_db(reference_bs, estimate_bs, n_fft=2048):
    """Log-spectral distance in dB: mean over t of sqrt(mean over k of (dX - dY)^2).

    dX is 10 log10 |X|^2, cut off 80 dB below the largest value of the reference, and dY
    at the same level.

    Args:
      reference_bs: X, [batch, samples].
      estimate_bs: Y, [batch, samples].
      n_fft: samples per frame; the hop is a quarter of it.

    Returns:
      [batch], in dB.

    Raises:
      ValueError: the shapes differ.

    Source: Gray & Markel 1976; Rabiner & Juang 1993, sec. 4.5.
    """
    reference_btk, estimate_btk = _powers(reference_bs, estimate_bs, n_fft)
    peak_b = jnp.max(reference_btk, axis=(1, 2), keepdims=True)
    floor_b = jnp.maximum(1e-8 * peak_b, MAGNITUDE_FLOOR**2)
    ratio_btk = jnp.maximum(reference_btk, floor_b) / jnp.maximum(estimate_btk, floor_b)
    error_btk = (10 * jnp.log10(ratio_btk)) ** 2
    return jnp.mean(_safe_sqrt(jnp.mean(error_btk, axis=2)), axis=1)


@functools.partial(jax.jit, static_argnames=("mel",))
def log_mel_l1(reference_bs, estimate_bs, mel=BANDS):
    """Mean |ln max(P, 1e-5) - ln max(Q, 1e-5)| over mel bands and frames.

    Args:
      reference_bs: its power in HTK mel bands is P; [batch, samples].
      estimate_bs: its power is Q; [batch, samples].
      mel: settings of the bands, a `features.Mel`.

    Returns:
      [batch], in nepers of power (1 is 4.34 dB).

    Raises:
      ValueError: the shapes differ.
    """
    _check_shapes(reference_bs, estimate_bs)
    log_pair = [
        jnp.log(jnp.maximum(features.mel_power(x_bs, mel), MEL_FLOOR))
        for x_bs in (reference_bs, estimate_bs)
    ]
    return jnp.mean(jnp.abs(log_pair[0] - log_pair[1]), axis=(1, 2))
