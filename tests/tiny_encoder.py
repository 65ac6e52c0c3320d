"""A model that never runs: flax variables with every kind of row, and its table."""

import jax
import numpy as np

from distill_jax import weights

RULES = (
    ("mask", "mask", weights.vector),
    ("encoder.layers.{i}.ffn", "layers_{i}/ffn", weights.linear),
    ("encoder.layers.{i}.norm", "layers_{i}/norm", weights.layer_norm),
    ("encoder.layers.{i}.conv1", "layers_{i}/pointwise", weights.pointwise_conv1d),
    ("encoder.layers.{i}.conv2", "layers_{i}/depthwise", weights.depthwise_conv1d),
    ("encoder.layers.{i}.gate", "layers_{i}/gate", weights.bare("h -> 1h11")),
    ("encoder.layers.{i}.bias_u", "layers_{i}/bias_u", weights.bare("hk -> hk")),
    ("encoder.distance", "distance", weights.embedding),
    ("encoder.pos_conv", "pos_conv", weights.weight_norm_conv1d),
    ("encoder.batch_norm", "batch_norm", weights.batch_norm),
    ("tdnn.{i}.kernel", "tdnn_{i}", weights.conv1d_as_linear),
    ("lm_head", "lm_head", weights.linear),
)
CHECKPOINT = weights.Checkpoint(
    rules=RULES,
    prefixes=("tiny.", ""),
    optional=("mask",),
    aliases=(
        (r"weight_g$", "parametrizations.weight.original0"),
        (r"weight_v$", "parametrizations.weight.original1"),
        (r"time_emb_vector$", "mask"),
    ),
    ignored=((r"quantizer\..*", "only for pretraining"),),
    heads=(r"lm_head\..*",),
)
WIDTH, TAPS, HEADS = 4, 3, 2


def layer():
    width = WIDTH
    return {
        "ffn": {"kernel": (width, 6), "bias": (6,)},
        "norm": {"scale": (width,), "bias": (width,)},
        "pointwise": {"kernel": (width, 5)},
        "depthwise": {"kernel": (TAPS, 1, width)},
        "gate": (HEADS,),
        "bias_u": (HEADS, 7),
    }


def shapes(layers=2, head=False):
    params = {
        "mask": (WIDTH,),
        **{f"layers_{number}": layer() for number in range(layers)},
        "distance": {"embedding": (9, 5)},
        "pos_conv": {
            "length": (TAPS,),
            "direction": (TAPS, 2, WIDTH),
            "bias": (WIDTH,),
        },
        "batch_norm": {"scale": (WIDTH,), "bias": (WIDTH,)},
        "tdnn_0": {"kernel": (5, WIDTH, 6), "bias": (6,)},
    }
    if head:
        params["lm_head"] = {"kernel": (WIDTH, 11), "bias": (11,)}
    statistics = {"mean": (WIDTH,), "var": (WIDTH,), "count": ()}
    return {"params": params, "batch_stats": {"batch_norm": statistics}}


def variables(seed=0, dtype=np.float32, **sizes):
    """Random variables; the count is an integer."""
    rng = np.random.default_rng(seed)

    def fill(path, shape):
        if path[-1].key == "count":
            return np.int32(rng.integers(100))
        return np.asarray(rng.normal(size=shape)).astype(dtype)

    return jax.tree_util.tree_map_with_path(
        fill, shapes(**sizes), is_leaf=lambda leaf: isinstance(leaf, tuple)
    )


def assert_same(found, expected):
    """Two trees have the same leaves, shapes, dtypes and bytes."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(
        jax.tree.leaves(found), jax.tree.leaves(expected), strict=True
    ):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()
