"""A trained sound VAE as an instrument: reconstruct, generate, interpolate.

Sounds longer than one window are a row of latents, half a window apart. Their
spectrograms are cross-faded and inverted once, so that phase runs on through
every joint.
"""

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from distill_jax import checkpoints
from distill_jax.audio import overlap, phase
from distill_jax.tasks import vae

BATCH = 16
LATENTS = "report/latents.npz"
# Long enough that no click is heard, too short to be heard as a fade.
FADE_SECONDS = 0.005


class Sound(NamedTuple):
    """A trained model and what is needed to use it.

    Attributes:
      config: the run's.
      spec: settings of the spectrogram.
      samples: length of a window.
      frames: the same in frames.
      encode: audio_bs -> mean_bz, log_var_bz; any batch.
      decode: latent_bz -> feature_bftc; any batch.
      step: how many updates the model was trained for.
    """

    config: Any
    spec: phase.Spectrogram
    samples: int
    frames: int
    encode: Callable
    decode: Callable
    step: int = 0


class Prior(NamedTuple):
    """A normal distribution to draw latents from.

    Attributes:
      mean_z: [latents].
      factor_zz: what standard normal rows are multiplied by, [latents, latents].
    """

    mean_z: np.ndarray
    factor_zz: np.ndarray


def load(workdir, which="best"):
    """Opens a finished or running job.

    Args:
      workdir: the folder of the run.
      which: "best", "latest" or a step.

    Returns:
      A `Sound` that uses the moving average of the parameters.

    Raises:
      FileNotFoundError: there is no run in the folder.
      checkpoints.CheckpointError: it has no good checkpoint.
    """
    config = checkpoints.read_config(workdir)
    trained = checkpoints.read(workdir, which)
    variables = {"params": trained["ema"], **trained["state"]}
    return of_variables(config, variables)._replace(step=trained["step"])


def of_variables(config, variables):
    """A `Sound` from a config and the variables of its module."""
    module, spec = vae.model(config), vae.spectrogram(config)
    variables = jax.device_put(variables)

    @jax.jit
    def encode(variables, audio_bs):
        feature_bftc = phase.encode(audio_bs, spec)
        return module.apply(variables, feature_bftc, method="encode")

    @jax.jit
    def decode(variables, latent_bz):
        return module.apply(variables, latent_bz, method="decode")

    return Sound(
        config,
        spec,
        vae.window_samples(config),
        module.size[1],
        lambda audio_bs: in_batches(encode, variables, audio_bs),
        lambda latent_bz: in_batches(decode, variables, latent_bz),
    )


def in_batches(function, variables, array_bn):
    """Applies a jitted function to batches of one size, so it compiles once."""
    outputs = []
    for start in range(0, len(array_bn), BATCH):
        part_bn = np.asarray(array_bn[start : start + BATCH], np.float32)
        missing = BATCH - len(part_bn)
        part_bn = np.pad(part_bn, [(0, missing)] + [(0, 0)] * (part_bn.ndim - 1))
        output = jax.device_get(function(variables, part_bn))
        outputs.append(
            jax.tree.map(operator.itemgetter(slice(-missing or None)), output)
        )
    return jax.tree.map(lambda *parts: np.concatenate(parts), *outputs)


def hop_frames(sound):
    """Frames from one window's start to the next: half a window."""
    return sound.frames // 2


def latents_needed(sound, samples):
    """How many windows cover that many samples."""
    frames = phase.frames(samples, sound.spec)
    return max(1, 1 + -(-(frames - sound.frames) // hop_frames(sound)))


def spectrogram(sound, latent_nz):
    """The spectrogram of a row of latents, half a window apart, [mels, frames, 2]."""
    return overlap.cross_fade(sound.decode(latent_nz), hop_frames(sound))


def render(sound, latent_nz, samples, iterations=32):
    """Turns a row of latents into sound.

    Args:
      sound: the model.
      latent_nz: one latent per half window, [windows, latents].
      samples: length of the result.
      iterations: of fast Griffin-Lim; 8 is a preview, 32 is good.

    Returns:
      audio_s, [samples].
    """
    feature_ftc = spectrogram(sound, latent_nz)
    # Whole windows are inverted and then cut: there are few lengths to compile for,
    # and the sound does not bend towards silence where it is cut.
    most = feature_ftc.shape[1] * sound.spec.hop - 1
    audio_bs = phase.decode(
        jnp.asarray(feature_ftc[None]), sound.spec, iterations, most
    )
    return np.asarray(audio_bs[0])[:samples]


def latents(sound, audio_s):
    """Posterior means of a sound of any length, [windows, latents]."""
    hop = hop_frames(sound) * sound.spec.hop
    return sound.encode(overlap.windows(audio_s, sound.samples, hop))[0]


def reconstruct(sound, audio_s, iterations=32):
    """What the model makes of a sound of any length, [samples]."""
    return render(sound, latents(sound, audio_s), len(audio_s), iterations)


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


def standard_prior(sound):
    """What training pulls the latents to: N(0, 1)."""
    size = sound.config.model.latent
    return Prior(np.zeros(size, np.float32), np.eye(size, dtype=np.float32))


def fitted_prior(workdir):
    """The normal distribution that fits the latents of the training sounds.

    Its covariance is that of the posterior means plus the mean posterior
    variance: the second moments of the aggregated posterior.

    Raises:
      FileNotFoundError: if the run has no report yet.
    """
    path = Path(workdir) / LATENTS
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there: the report of the run writes it; give the training "
            "command again, or use the prior 'standard'"
        )
    with np.load(path) as saved:
        mean_nz, log_var_nz = np.float64(saved["mean_nz"]), saved["log_var_nz"]
    centred_nz = mean_nz - mean_nz.mean(axis=0, keepdims=True)
    covariance_zz = centred_nz.T @ centred_nz / len(mean_nz)
    covariance_zz += np.diag(np.exp(np.float64(log_var_nz)).mean(axis=0))
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


def generate(sound, latent_nz, samples, iterations=32):
    """A new sound from latents such as `wander` gives.

    Args:
      sound: the model.
      latent_nz: `latents_needed` of them, [windows, latents].
      samples: length of the result.
      iterations: of fast Griffin-Lim.

    Returns:
      audio_s, [samples], with 5 ms of fade at both ends.
    """
    audio_s = render(sound, latent_nz, samples, iterations)
    return overlap.fade(audio_s, round(FADE_SECONDS * sound.spec.rate_hz))


def interpolate(sound, start_s, end_s, mix_n):
    """Moves from one sound to another.

    Args:
      sound: the model.
      start_s: a sound; its first windows are used where it is the longer one.
      end_s: another.
      mix_n: how far to be, from 0 (start) to 1 (end): one value for the whole
        sound, [1], or one for each end of it, [2], which is a morph.

    Returns:
      audio_s, as long as the shorter sound.
    """
    start_nz, end_nz = latents(sound, start_s), latents(sound, end_s)
    count = min(len(start_nz), len(end_nz))
    path_n = np.linspace(mix_n[0], mix_n[-1], count)
    latent_nz = slerp(start_nz[:count], end_nz[:count], path_n)
    return render(sound, latent_nz, min(len(start_s), len(end_s)))
