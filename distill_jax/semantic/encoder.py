"""A speech encoder of a HuggingFace folder: audio in, a hidden layer out."""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from distill_jax import sharding, weights
from distill_jax.audio import kaldi, normalise
from distill_jax.models import hf
from distill_jax.teachers import preprocessing, template
from distill_jax.teachers.folder import BERT

LAYER = 17  # of w2v-BERT 2.0, which MaskGCT and IndexTTS take


class Encoder(NamedTuple):
    """An opened encoder.

    Attributes:
      module: of `models`.
      variables: its weights, on every device.
      form: `kaldi.Filterbank` or `normalise.Waveform`, what it takes.
      layer: which hidden state it gives: 0 is what the first layer takes, 17 what
        the 17th gives.
      alone: whether real frames depend on the padding, so that only clips of equal
        length can share a batch.
      mesh: the devices.
      report: of the loading, `weights.Report`.
    """

    module: nn.Module
    variables: Any
    form: Any
    layer: int
    alone: bool
    mesh: Any
    report: weights.Report

    @property
    def rate_hz(self):
        """Samples per second that it takes."""
        return self.form.rate_hz

    @property
    def width(self):
        """Features of a frame."""
        return self.module.width


def load(folder, layer=LAYER, dtype="float32"):
    """Opens an encoder as `transformers` saves it.

    Args:
      folder: with config.json, safetensors and preprocessor_config.json. Without
        the last the encoder's usual preprocessing is taken, and a warning says so.
      layer: hidden state to give.
      dtype: of weights and activations, "float32" or "bfloat16".

    Returns:
      `Encoder`.

    Raises:
      FileNotFoundError: there is no such folder or file.
      ValueError: config, preprocessor or tensors are not of a model known here, or
        it has not so many layers; everything that does not fit is named.
    """
    config = weights.read_config(Path(folder))
    module = hf.from_config(config)
    if not 0 <= layer <= module.count:
        raise ValueError(
            f"layer is {layer}, but {folder} has {module.count} layers; expected 0 "
            f"(what the first takes) to {module.count}"
        )
    # Every process encodes other sounds.
    kind, mesh = config["model_type"], sharding.mesh(devices=jax.local_devices())
    options = weights.Options(dtype=dtype, shardings=sharding.replicated(mesh))
    variables, report = weights.load(
        folder, hf.MODELS[kind].checkpoint, template(config), options
    )
    form = preprocessing(folder, config)
    grouped = kind != BERT and module.waveform.norm == "group"
    alone = grouped or not getattr(form, "masked", True)
    return Encoder(module, variables, form, layer, alone, mesh, report)


def encode(encoder, clips):
    """The hidden layer of clips, without normalisation.

    Args:
      encoder: `Encoder`.
      clips: float arrays [samples] at its rate, full scale 1, not too different in
        length: all are padded to the longest. Equal in length if `encoder.alone`.

    Returns:
      One float32 [frames, width] for each clip, its real frames only.

    Raises:
      ValueError: clips are too short, or of different lengths where they must not.
    """
    if encoder.alone and len({len(clip_s) for clip_s in clips}) > 1:
        raise ValueError(
            "the features of this encoder depend on padding: batch clips of one length"
        )
    if isinstance(encoder.form, kaldi.Filterbank):
        input_b, mask_b = kaldi.exact(clips, encoder.form)
        value = encoder.form.padding_value
    else:
        input_b, mask_b = normalise.exact(clips, encoder.form)
        value = encoder.form.padding_value
    if not encoder.alone:
        extra = bucket(input_b.shape[1]) - input_b.shape[1]
        pads = ((0, 0), (0, extra), *((0, 0),) * (input_b.ndim - 2))
        input_b = np.pad(input_b, pads, constant_values=value)
        mask_b = np.pad(mask_b, ((0, 0), (0, extra)))
    rows = -len(clips) % encoder.mesh.size
    batch = {"input": _repeat(input_b, rows), "mask": _repeat(mask_b, rows)}
    batch = sharding.place(encoder.mesh, batch)
    run = partial(_hidden, encoder.module, encoder.layer, encoder.alone)
    hidden_btd, real_bt = jax.device_get(run(encoder.variables, batch))
    return [
        hidden_td[: int(real_t.sum())].astype(np.float32)
        for hidden_td, real_t, _ in zip(hidden_btd, real_bt, clips, strict=False)
    ]


@partial(jax.jit, static_argnums=(0, 1, 2))
def _hidden(module, layer, alone, variables, batch):
    dtype = jax.tree.leaves(variables)[0].dtype
    mask_b = None if alone else batch["mask"]
    input_b = batch["input"]
    if input_b.ndim == 3:  # Features; audio is never cast.
        input_b = input_b.astype(dtype)
    _, out = module.apply(variables, input_b, mask_b)
    hidden_btd, mask_bt = out["hidden_nbtd"][layer], out["mask_bt"]
    if mask_bt is None or mask_bt.shape != hidden_btd.shape[:2]:
        mask_bt = _frame_mask(module, batch["mask"], hidden_btd, alone)
    return hidden_btd, mask_bt


def _frame_mask(module, mask_b, hidden_btd, alone):
    """Real frames before an adapter shortens them."""
    if alone:
        return jnp.ones(hidden_btd.shape[:2], bool)
    if mask_b.shape == hidden_btd.shape[:2]:
        return mask_b
    count_b = module.waveform.frames(mask_b.sum(axis=1))
    return jnp.arange(hidden_btd.shape[1])[None] < count_b[:, None]


def bucket(length):
    """The next of the lengths that batches are padded to, eight to an octave."""
    step = max(16, 2 ** max(0, int(length).bit_length() - 4))
    return -(-length // step) * step


def _repeat(array_b, rows):
    return np.concatenate([array_b, *[array_b[-1:]] * rows]) if rows else array_b
