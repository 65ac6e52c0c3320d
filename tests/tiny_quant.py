"""Small networks with weights drawn large, so that a slip of one code is seen."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from distill_jax import quant
from distill_jax.models.tiny_conv import TinyConv

KINDS = [(False, False), (True, False), (False, True), (True, True)]
IDS = ["full", "depthwise", "full-residual", "depthwise-residual"]
SMALL = {
    "channels": (5, 8, 8),
    "strides": (2, 2, 1),
    "size": (21, 10),
    "form": "stock",  # compiled sooner
}


def network(depthwise, residual, **changes):
    return TinyConv(
        3, use_depthwise=depthwise, residual=residual, **{**SMALL, **changes}
    )


def variables_of(module, seed=0):
    """Weights and statistics unlike those at birth; half of the gains are negative."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(
        module.init, jax.random.key(0), jnp.zeros((1, *module.size))
    )

    def drawn(path, leaf):
        x = rng.normal(size=leaf.shape)
        x = rng.uniform(0.5, 4.0, leaf.shape) if path[-1].key == "var" else x
        return jnp.asarray(x.astype(leaf.dtype))

    return jax.tree_util.tree_map_with_path(drawn, shapes)


def windows(module, count=16, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, *module.size)).astype(np.float32)


def calibrated(module, seed=0):
    """Variables with the ranges that they have on `windows`; one's own to change."""
    return jax.tree.map(lambda leaf: leaf, _calibrated(module, seed))


@functools.cache
def _calibrated(module, seed):
    variables = variables_of(module, seed)
    ranges = quant.ranges.calibrated(module, variables, [windows(module)])
    return {**variables, "ranges": ranges}


def integers(module, seed=0, bits=8):
    """A whole integer network."""
    return quant.frozen(module, calibrated(module, seed), bits)


def codes(model, count=16, seed=2):
    """Windows of codes, all values alike."""
    rng = np.random.default_rng(seed)
    return rng.integers(-128, 128, (count, *model.size)).astype(np.int8)
