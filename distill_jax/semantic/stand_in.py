"""A small encoder of random weights, to try things without a published one."""

import json
from pathlib import Path

import jax
import numpy as np

from distill_jax import weights
from distill_jax.models import hf
from distill_jax.teachers import template

SPREAD = 0.2
CONFIG = {
    "model_type": "wav2vec2-bert",
    "hidden_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "feature_projection_input_dim": 160,
    "conv_depthwise_kernel_size": 7,
    "left_max_position_embeddings": 8,
    "right_max_position_embeddings": 4,
}
PREPROCESSOR = {"sampling_rate": 16_000, "padding_value": 1, "stride": 2}


def write(folder, seed=0):
    """Writes a Wav2Vec2-BERT that learnt nothing: its features mean nothing.

    Args:
      folder: where, as `save_pretrained` would; made if missing.
      seed: another one draws other weights.

    Returns:
      Path of the folder.
    """
    folder, rng = Path(folder), np.random.default_rng(seed)
    variables = jax.tree.map(
        lambda leaf: rng.normal(0, SPREAD, leaf.shape).astype(np.float32),
        template(CONFIG),
    )
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = hf.MODELS[CONFIG["model_type"]].checkpoint
    weights.export(folder, variables, checkpoint, CONFIG)
    text = json.dumps(PREPROCESSOR, indent=2)
    (folder / "preprocessor_config.json").write_text(text, "utf-8")
    return folder
