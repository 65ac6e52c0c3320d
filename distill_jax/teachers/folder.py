"""A HuggingFace folder of a speech encoder: its preprocessing and its weights."""

import json
import logging
from pathlib import Path

import jax
import jax.numpy as jnp

from distill_jax import weights
from distill_jax.audio import kaldi, normalise
from distill_jax.models import hf
from distill_jax.models.transformer import unstack_layers

log = logging.getLogger(__name__)

BERT = "wav2vec2-bert"
PREPROCESSOR = "preprocessor_config.json"
HEADS = ((r"(projector|classifier)\..*|layer_weights", "the head of a classifier"),)


def read(folder, config, options=None):
    """The weights of an encoder.

    Args:
      folder: with safetensors, of the encoder alone or with a head that is left out.
      config: its config.json.
      options: `weights.Options`.

    Returns:
      Variables and `weights.Report`, as `weights.load`, which says what is raised.
    """
    checkpoint = hf.MODELS[config["model_type"]].checkpoint
    checkpoint = checkpoint._replace(ignored=(*checkpoint.ignored, *HEADS))
    return weights.load(folder, checkpoint, template(config), options)


def template(config):
    """Shapes of the variables of the encoder that a config describes."""
    # Of stacked layers one is traced, which 24 by themselves take seconds for.
    module = hf.from_config(config, scan=True)
    silence = jnp.zeros(input_shape(config))
    stacked = jax.eval_shape(module.init, jax.random.key(0), silence)
    return jax.eval_shape(unstack_layers, stacked)


def input_shape(config):
    """Shape of something that the encoder of a config takes."""
    if config["model_type"] == BERT:
        return 1, 2, config.get("feature_projection_input_dim", 160)
    return 1, 16_000


def preprocessing(folder, config):
    """What the encoder takes, of its preprocessor_config.json."""
    path, bert = Path(folder) / PREPROCESSOR, config["model_type"] == BERT
    if path.exists():
        try:
            settings = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} is not JSON ({error}); copy it again") from error
        return (kaldi if bert else normalise).from_preprocessor(settings)
    usual = (
        kaldi.Filterbank()
        if bert
        else normalise.Waveform(
            masked=config.get("feat_extract_norm", "group") == "layer"
        )
    )
    log.warning("%s is missing; taking the usual %s", path, usual)
    return usual
