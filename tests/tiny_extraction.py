"""Folders of tiny speech encoders, and sounds to give them."""

import json

import jax
import numpy as np
import tiny_speech

from distill_jax import semantic, weights
from distill_jax.models import hf

BERT = {**tiny_speech.BERT, "feature_projection_input_dim": 160}
PREPROCESSOR = {"sampling_rate": 16_000, "padding_value": 1, "stride": 2}


def voice(seed, samples):
    rng = np.random.default_rng(seed)
    loud_s = 0.02 + np.square(np.sin(np.arange(samples) / 2300 + seed))
    return np.float32(0.1 * rng.normal(size=samples) * loud_s)


def save_model(folder, config, preprocessor):
    """Random weights, large enough that a wrong one shows."""
    rng = np.random.default_rng(1)
    shapes = semantic.template(config)
    variables = jax.tree.map(
        lambda leaf: np.float32(rng.normal(0, 0.2, leaf.shape)), shapes
    )
    checkpoint = hf.MODELS[config["model_type"]].checkpoint
    weights.export(folder, variables, checkpoint, config)
    if preprocessor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder
