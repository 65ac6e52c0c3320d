"""A trained sound VAE as an instrument: reconstruct, generate, interpolate.

Sounds longer than one window are a row of latents, half a window apart. Their
spectrograms are cross-faded and inverted once, so that phase runs on through
every joint.
"""

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from distill_jax import checkpoints
from distill_jax.audio import overlap, phase
from distill_jax.sound.prior import slerp
from distill_jax.tasks import vae

BATCH = 16
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
    return overlap.count(samples, sound.samples, hop_frames(sound) * sound.spec.hop)


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
