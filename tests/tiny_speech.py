"""Tiny speech encoders: configs, random tensors, and both ways to run them."""

import warnings

import jax
import numpy as np

from distill_jax import weights
from distill_jax.models import hf
from distill_jax.models.transformer import stack_layers

SAMPLES = 640
FRAMES = 23
BERT = {
    "model_type": "wav2vec2-bert",
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "feature_projection_input_dim": 10,
    "left_max_position_embeddings": 5,
    "right_max_position_embeddings": 2,
    "conv_depthwise_kernel_size": 7,
    "max_source_positions": 60,
    "vocab_size": 11,
    "classifier_proj_size": 6,
}
BERT_ADAPTER = {
    "add_adapter": True,
    "use_intermediate_ffn_before_adapter": True,
    "num_adapter_layers": 2,
    "output_hidden_size": 18,
}
WAVE = {
    "model_type": "wav2vec2",
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "conv_dim": (6, 7, 8),
    "conv_kernel": (10, 3, 2),
    "conv_stride": (5, 2, 2),
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
    "vocab_size": 11,
    "classifier_proj_size": 6,
}
WAVLM = {**WAVE, "model_type": "wavlm", "num_buckets": 32, "max_bucket_distance": 20}
# The names of transformers' classes begin with it.
FAMILY = {
    "wav2vec2-bert": "Wav2Vec2Bert",
    "wav2vec2": "Wav2Vec2",
    "hubert": "Hubert",
    "wavlm": "WavLM",
}


def random_tensor(rng, name, shape):
    """Drawn wide, so that deviations show; scales and variances stay positive."""
    if name.endswith("num_batches_tracked"):
        return np.full(shape, 7, np.int64)
    if name.endswith("running_var"):
        return rng.uniform(0.5, 2.0, shape).astype(np.float32)
    mean = 1.0 if "norm.weight" in name else 0.0
    return rng.normal(mean, 0.2, shape).astype(np.float32)


def random_tensors(shapes, seed=0):
    rng = np.random.default_rng(seed)
    return {name: random_tensor(rng, name, shape) for name, shape in shapes.items()}


def inputs(config, seed=1):
    """Features or audio of two clips, and a mask under which one is shorter."""
    rng = np.random.default_rng(seed)
    if config["model_type"] == "wav2vec2-bert":
        width = config["feature_projection_input_dim"]
        x = rng.normal(size=(2, FRAMES, width)).astype(np.float32)
        return x, np.arange(FRAMES)[None] < np.array([[FRAMES], [14]])
    x = rng.normal(size=(2, SAMPLES)).astype(np.float32)
    return x, np.arange(SAMPLES)[None] < np.array([[SAMPLES], [301]])


def rules_of(config):
    return hf.MODELS[config["model_type"]].checkpoint.rules


def template_of(model, config):
    x, mask = inputs(config)
    return jax.eval_shape(model.init, jax.random.key(0), x, mask)


def random_variables(config, seed=0, **options):
    """A model and variables drawn as its PyTorch tensors would be."""
    model = hf.from_config(config, **options)
    template = template_of(hf.from_config(config), config)
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), template)
    tensors = weights.to_torch(zeros, rules_of(config))
    shapes = {name: array.shape for name, array in tensors.items()}
    return model, weights.to_flax(
        random_tensors(shapes, seed), rules_of(config), template
    )


def run_both_ways(model, variables, config):
    """What the model makes of its inputs: (found, x, None), (found, x, mask).

    Its layers are scanned, which compiles one of them; the golden files are read
    without.
    """
    x, mask = inputs(config)
    if hasattr(model, "encoder"):
        model = model.clone(encoder=model.encoder.clone(scan=True))
    else:
        model = model.clone(scan=True)
    variables = {**variables, "params": stack_layers(variables["params"])}
    run = jax.jit(lambda v: (model.apply(v, x), model.apply(v, x, mask)))
    bare, masked = run(variables)
    return [(bare, x, None), (masked, x, mask)]


def transformers_model(config, suffix="Model"):
    """The same model of transformers, with the tensors that it now holds."""
    import torch
    import transformers

    family = FAMILY[config["model_type"]]
    fields = {name: value for name, value in config.items() if name != "model_type"}
    hf_config = getattr(transformers, f"{family}Config")(**fields)
    model = getattr(transformers, family + suffix)(hf_config).eval()
    shapes = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    tensors = random_tensors(shapes)
    model.load_state_dict({name: torch.tensor(a) for name, a in tensors.items()})
    return model, tensors


def run_transformers(model, x, mask=None, **options):
    import torch

    def long_or_none(array):
        return None if array is None else torch.tensor(array).long()

    options = {name: torch.tensor(array) for name, array in options.items()}
    with torch.no_grad(), warnings.catch_warnings():
        # WavLM gives torch a mask and a bias of different types.
        warnings.filterwarnings("ignore", message="Support for mismatched")
        return model(
            torch.tensor(x),
            attention_mask=long_or_none(mask),
            output_hidden_states=True,
            **options,
        )


def largest_difference(found, expected):
    """Over all hidden states and the last one; `expected` is of transformers."""
    result, out = found
    states = [(result, expected.last_hidden_state)]
    states += list(zip(out["hidden_nbtd"], expected.hidden_states, strict=True))
    return max(np.abs(a - np.asarray(b)).max() for a, b in states)
