"""PyTorch-named tensors and flax variables: one table, used in both directions.

A table has one row per kind of module: its name in the PyTorch tree, its path in
the flax tree, and the tensors it holds.

    WEIGHT_RULES = (
        ("encoder.convs.{4*i}", "encoder/conv_{i}", weights.conv2d),
        ("encoder.fc", "encoder/dense", weights.linear),
    )
    CHECKPOINT = weights.Checkpoint(rules=WEIGHT_RULES, prefixes=("model.",))

Conversion is complete or it fails, and then it names every tensor in the way.
Shapes are taken from flax variables, so a row says how axes move, never how long
they are.
"""

from distill_jax.weights.arrays import read, to_flax, to_torch
from distill_jax.weights.config import read as read_config
from distill_jax.weights.exporting import export, write
from distill_jax.weights.loading import Options, Report, load
from distill_jax.weights.rows import (
    Leaf,
    bare,
    batch_norm,
    conv1d,
    conv1d_as_linear,
    conv2d,
    conv_transpose2d,
    depthwise_conv1d,
    embedding,
    group_norm,
    inside,
    layer_norm,
    linear,
    linear_after_flatten,
    linear_before_unflatten,
    parameter,
    pointwise_conv1d,
    vector,
    weight_norm_conv1d,
)
from distill_jax.weights.table import Checkpoint

__all__ = [
    "Checkpoint",
    "Leaf",
    "Options",
    "Report",
    "bare",
    "batch_norm",
    "conv1d",
    "conv1d_as_linear",
    "conv2d",
    "conv_transpose2d",
    "depthwise_conv1d",
    "embedding",
    "export",
    "group_norm",
    "inside",
    "layer_norm",
    "linear",
    "linear_after_flatten",
    "linear_before_unflatten",
    "load",
    "parameter",
    "pointwise_conv1d",
    "read",
    "read_config",
    "to_flax",
    "to_torch",
    "vector",
    "weight_norm_conv1d",
    "write",
]
