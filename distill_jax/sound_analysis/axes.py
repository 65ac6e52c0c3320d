"""Principal axes of the latents of training sounds, and moves along them."""

from typing import NamedTuple

import numpy as np

MOST_AXES, LEAST_SHARE = 12, 0.02
SAFE_PERCENTILES = (2, 98)
# As many are needed to sweep from.
FEWEST = 8
# Variance, over all latents, that is but rounding.
SAME = 1e-10


class LatentsError(ValueError):
    """Latents along which nothing can be found."""


class Axes(NamedTuple):
    """Straight lines through the mean latent.

    Attributes:
      mean_z: where all positions are 0, [latents].
      vector_az: directions of length 1, [axes, latents].
      std_a: standard deviation of the training sounds along each, [axes].
      safe_a2: lowest and highest position, in standard deviations, [axes, 2].
      share_a: of the variance of the training sounds, [axes].
    """

    mean_z: np.ndarray
    vector_az: np.ndarray
    std_a: np.ndarray
    safe_a2: np.ndarray
    share_a: np.ndarray


def fit(mean_nz):
    """Finds the axes with at least 2 % of the variance, 1 to 12, strongest first.

    Args:
      mean_nz: posterior means of the training sounds, [windows, latents]. No draws
        from the prior: they would outnumber a small corpus and turn the axes.

    Returns:
      `Axes`; the safe range is the 2nd to the 98th percentile.

    Raises:
      LatentsError: there are fewer windows than eight, some are not finite, or all
        are the same.
    """
    if len(mean_nz) < FEWEST or not np.isfinite(mean_nz).all():
        raise LatentsError(
            f"expected the finite latents of at least {FEWEST} windows, found "
            f"{np.shape(mean_nz)}; train on more or longer sounds"
        )
    mean_nz = np.float64(mean_nz)
    mean_z = mean_nz.mean(axis=0)
    centred_nz = mean_nz - mean_z[None, :]
    variance_z, vector_zz = np.linalg.eigh(centred_nz.T @ centred_nz / len(mean_nz))
    if variance_z.sum() < SAME:
        raise LatentsError(
            "the latents of all windows are the same: the posterior has collapsed; "
            "train with a lower config.loss_weight.kl"
        )
    share_z = variance_z / variance_z.sum()
    most = max(1, min(MOST_AXES, int(np.sum(share_z >= LEAST_SHARE))))
    kept_a = np.argsort(-share_z)[:most]
    vector_az, std_a = vector_zz[:, kept_a].T, np.sqrt(variance_z[kept_a])
    position_na = centred_nz @ vector_az.T / std_a[None, :]
    safe_a2 = np.percentile(position_na, SAFE_PERCENTILES, axis=0).T
    return Axes(mean_z, vector_az, std_a, safe_a2, share_z[kept_a])


def positions(axes, latent_nz):
    """Where latents lie on the axes, in standard deviations, [rows, axes]."""
    return (latent_nz - axes.mean_z[None, :]) @ axes.vector_az.T / axes.std_a[None, :]


def sweep(axes, base_bz, count):
    """Moves base points along each axis, all else left as it is.

    Args:
      axes: `Axes`.
      base_bz: [bases, latents].
      count: how many positions, from the lowest safe one to the highest.

    Returns:
      [axes, bases, positions, latents].
    """
    wanted_ap = np.linspace(*axes.safe_a2.T, count, axis=1)
    found_ab = positions(axes, base_bz).T
    step_abp = (wanted_ap[:, None, :] - found_ab[:, :, None]) * axes.std_a[
        :, None, None
    ]
    offset_abpz = step_abp[..., None] * axes.vector_az[:, None, None, :]
    return base_bz[None, :, None, :] + offset_abpz


def turned(axes, families, seed):
    """Null directions: every axis turned at random, `families` times.

    They have the lengths and the ranges of the axes, but not their way through the
    latents that the decoder listens to. Permuting the coordinates of an axis would
    do less: one that is a single latent is often permuted into another one that the
    decoder listens to just as well.

    Args:
      axes: `Axes`.
      families: how many turns of each axis.
      seed: of the turns.

    Returns:
      `Axes`, [families · axes], family by family.
    """
    vector_nz, *rest = (np.concatenate([field] * families) for field in axes[1:])
    vector_nz = np.random.default_rng(seed).standard_normal(vector_nz.shape)
    vector_nz /= np.linalg.norm(vector_nz, axis=1, keepdims=True)
    return Axes(axes.mean_z, vector_nz, *rest)
