"""Writes what transformers makes of tiny random encoders, to be read without it.

Run from the folder `tests`: python -m golden.make_hf
"""

import json
import platform
from pathlib import Path

import numpy as np
import torch
import transformers
from tiny_speech import (
    BERT,
    BERT_ADAPTER,
    WAVE,
    WAVLM,
    inputs,
    run_transformers,
    transformers_model,
)

from distill_jax import weights

TINY = {"hidden_size": 6, "intermediate_size": 8}
GROUPS = {"num_conv_pos_embedding_groups": 2}
STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
HUBERT = {**WAVE, "model_type": "hubert", "conv_pos_batch_norm": True}
CASES = {
    "bert_relative_key": BERT,
    "bert_relative": {**BERT, "position_embeddings_type": "relative"},
    "bert_rotary": {**BERT, "position_embeddings_type": "rotary"},
    "bert_no_positions_adapter": {
        **BERT,
        **BERT_ADAPTER,
        "position_embeddings_type": None,
        "output_hidden_size": 9,
        "num_hidden_layers": 1,
        "num_adapter_layers": 1,
    },
    "wav2vec2_group": WAVE,
    "wav2vec2_layer_stable": {**WAVE, **STABLE},
    "hubert_batch_norm": HUBERT,
    "wavlm_layer_stable": {**WAVLM, **STABLE},
}


def states_of(output):
    states = {
        f"masked.hidden_{i}": state for i, state in enumerate(output.hidden_states)
    }
    return {**states, "masked.last": output.last_hidden_state}


def write(name, config):
    config = {**config, **TINY}
    if "conv_dim" in config:
        config |= GROUPS
    oracle, tensors = transformers_model(config)
    x, mask = inputs(config)
    arrays = {f"weight.{key}": array for key, array in tensors.items()}
    bare = run_transformers(oracle, x).last_hidden_state
    states = {"bare.last": bare, **states_of(run_transformers(oracle, x, mask))}
    arrays |= {key: np.asarray(state) for key, state in states.items()}
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    metadata = {"config": json.dumps(config), "versions": json.dumps(versions)}
    path = Path(__file__).parent / f"{name}.safetensors"
    weights.write(path, {**arrays, "x": x, "mask": mask}, metadata)


if __name__ == "__main__":
    for name, config in CASES.items():
        write(name, config)
