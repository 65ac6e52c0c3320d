"""What a teacher makes of windows of audio, on the device."""

import jax
import jax.numpy as jnp

from distill_jax.audio import kaldi
from distill_jax.audio.normalise import VARIANCE_FLOOR


def inputs(audio_bs, form):
    """What an encoder takes of whole windows, which need no mask.

    Args:
      audio_bs: [b, s], full scale 1, at `form.rate_hz`.
      form: `kaldi.Filterbank` or `normalise.Waveform`.

    Returns:
      float32; [b, t, f] of `kaldi.fast` without a step that is not whole, or [b, s]
      of zero mean and unit variance, a clip at a time.
    """
    audio_bs = audio_bs.astype(jnp.float32)
    if isinstance(form, kaldi.Filterbank):
        samples = audio_bs.shape[1]
        length_b = jnp.full(len(audio_bs), samples)
        feature_btf, _ = kaldi.fast(audio_bs, length_b, form)
        return feature_btf[:, : kaldi.steps(samples, form.stride)]
    if not form.normalise:
        return audio_bs
    centred_bs = audio_bs - audio_bs.mean(axis=1, keepdims=True)
    variance_b1 = jnp.square(centred_bs).mean(axis=1, keepdims=True)
    return centred_bs * jax.lax.rsqrt(variance_b1 + VARIANCE_FLOOR)


def outputs(module, form, variables, audio_bs, **mode):
    """What a teacher says about windows of audio.

    Args:
      module: `models.heads.ClassifierHead`.
      form: what its encoder takes.
      variables: its weights. Features get their type; audio stays in float32.
      audio_bs: [b, s], full scale 1.
      **mode: `train`, train mode of the encoder, and `rngs`, {"dropout": key} for it.

    Returns:
      Logits, float32 [b, c], before any temperature, and a dictionary with
      `hidden_nbtd`, `pooled_bd` and what else `ClassifierHead` names.
    """
    input_b = inputs(audio_bs, form)
    if isinstance(form, kaldi.Filterbank):
        input_b = input_b.astype(jax.tree.leaves(variables)[0].dtype)
    logits_bc, out = module.apply(variables, input_b, **mode)
    return logits_bc.astype(jnp.float32), out
