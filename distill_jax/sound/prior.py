"""Where latents are drawn, and paths between them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

LATENTS = "report/latents.npz"


class Prior(NamedTuple):
    """A normal distribution to draw latents from.

    Attributes:
      mean_z: [latents].
      factor_zz: what standard normal rows are multiplied by, [latents, latents].
    """

    mean_z: np.ndarray
    factor_zz: np.ndarray


def standard_prior(sound):
    """What training pulls the latents to: N(0, 1)."""
    size = sound.config.model.latent
    return Prior(np.zeros(size, np.float32), np.eye(size, dtype=np.float32))


def read_latents(workdir, step=None):
    """The posterior of the training windows, as the report of a run keeps it.

    Args:
      workdir: folder of the run.
      step: of the model that they are wanted for; None takes those of any.

    Returns:
      A dictionary of `mean_nz` and `log_var_nz`, [windows, latents]; `names` of the
      files, [windows]; and `step`.

    Raises:
      FileNotFoundError: the run has no report yet.
      ValueError: the report is that of another checkpoint.
    """
    path = Path(workdir) / LATENTS
    remedy = "give the training command again, which ends with the report"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; {remedy}")
    with np.load(path) as file:
        saved = dict(file)
    if step is not None and saved["step"] != step:
        raise ValueError(
            f"{path} belongs to step {saved['step']}, the best checkpoint is now that "
            f"of step {step}; {remedy}"
        )
    return saved


def fitted_prior(workdir, step=None):
    """The normal distribution that fits the latents of the training sounds.

    Its covariance is that of the posterior means plus the mean posterior
    variance: the second moments of the aggregated posterior.

    Args:
      workdir: folder of the run.
      step: see `read_latents`.

    Returns:
      A `Prior`.

    Raises:
      FileNotFoundError: the run has no report yet.
      ValueError: the report is that of another checkpoint.
    """
    saved = read_latents(workdir, step)
    mean_nz, log_var_nz = np.float64(saved["mean_nz"]), np.float64(saved["log_var_nz"])
    centred_nz = mean_nz - mean_nz.mean(axis=0, keepdims=True)
    covariance_zz = centred_nz.T @ centred_nz / len(mean_nz)
    covariance_zz += np.diag(np.exp(log_var_nz).mean(axis=0))
    factor_zz = np.linalg.cholesky(covariance_zz).T
    return Prior(np.float32(mean_nz.mean(axis=0)), np.float32(factor_zz))


def draw(prior, count, seed, temperature=1.0):
    """Draws latents, [count, latents]; at temperature 0 all are the mean."""
    return _shaped(prior, _noise(prior, count, seed), temperature)


def wander(prior, count, seed, temperature=1.0):
    """A path through latents that are drawn a window apart, half a window a step.

    It bends in the space of the normal numbers, so that latents between two draws
    are as typical of the prior as the draws are. A longer path begins as a shorter
    one with the same seed.

    Args:
      prior: a `Prior`.
      count: length of the path, see `latents_needed`.
      seed: of the draws.
      temperature: scales how far they are from the mean.

    Returns:
      [count, latents].
    """
    noise_nz = _noise(prior, count // 2 + 1, seed)
    position_n = np.arange(count) / 2
    index_n = position_n.astype(int)
    next_n = np.minimum(index_n + 1, len(noise_nz) - 1)
    path_nz = slerp(noise_nz[index_n], noise_nz[next_n], position_n - index_n)
    return _shaped(prior, path_nz, temperature)


def _noise(prior, count, seed):
    size = (count, len(prior.factor_zz))
    return np.random.default_rng(seed).standard_normal(size, np.float32)


def _shaped(prior, noise_nz, temperature):
    return prior.mean_z[None, :] + temperature * noise_nz @ prior.factor_zz


def slerp(start_nz, end_nz, mix_n):
    """Spherical interpolation; the length goes linearly from one to the other.

    Args:
      start_nz: [rows, latents].
      end_nz: [rows, latents].
      mix_n: 0 gives the start, 1 the end, [rows].

    Returns:
      [rows, latents].

    Source: Shoemake 1985; White 2016, "Sampling generative networks".
    """
    start_norm_n1 = np.linalg.norm(start_nz, axis=1, keepdims=True) + 1e-12
    end_norm_n1 = np.linalg.norm(end_nz, axis=1, keepdims=True) + 1e-12
    from_nz, to_nz = start_nz / start_norm_n1, end_nz / end_norm_n1
    cosine_n1 = np.clip(np.sum(from_nz * to_nz, axis=1, keepdims=True), -1, 1)
    angle_n1, mix_n1 = np.arccos(cosine_n1), mix_n[:, None]
    sine_n1 = np.sin(angle_n1)
    # Parallel directions have no arc, opposite ones no single arc: go straight.
    straight = np.broadcast_to(sine_n1 < 1e-4, from_nz.shape)
    safe_n1 = np.where(sine_n1 < 1e-4, 1.0, sine_n1)
    arc_nz = (
        np.sin((1 - mix_n1) * angle_n1) * from_nz + np.sin(mix_n1 * angle_n1) * to_nz
    ) / safe_n1
    direction_nz = np.where(straight, (1 - mix_n1) * from_nz + mix_n1 * to_nz, arc_nz)
    return direction_nz * ((1 - mix_n1) * start_norm_n1 + mix_n1 * end_norm_n1)
