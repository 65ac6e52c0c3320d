"""Small networks with weights drawn large, so that a slip of one code is seen."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from distill_jax import quant
from distill_jax.models.tiny_conv import TinyConv
from distill_jax.quant import integer, units
from distill_jax.quant.codes import mean_scale

KINDS = [(False, False), (True, False), (False, True), (True, True)]
IDS = ["full", "depthwise", "full-residual", "depthwise-residual"]
SMALL = {
    "channels": (5, 8, 8),
    "strides": (2, 2, 1),
    "size": (21, 10),
    "form": "stock",  # compiled sooner
}


def network(depthwise, residual, **changes):
    values = {"classes": 3, **SMALL, **changes}
    return TinyConv(use_depthwise=depthwise, residual=residual, **values)


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


def drawn(module, seed=0, most=127):
    """An integer network of random numbers, which takes no time to make."""
    rng, depth, convs = np.random.default_rng(seed), 1, []
    first = before = quant.Codes(np.float32(rng.uniform(0.01, 0.05)), 17)
    plan = module.plan()
    for unit, layer in zip(units.units(plan), plan, strict=True):
        inputs = 1 if unit.kind == "depthwise" else depth
        side = 1 if unit.kind == "pointwise" else 3
        depth = layer.features
        shape = side, side, inputs, depth
        spread = 70 * np.sqrt(side * side * inputs)
        scales = [np.float32(x) for x in rng.uniform(0.01, 0.05, 2)]
        branch = quant.Codes(scales[1], int(rng.integers(-60, 60)))
        convs.append(
            integer.Conv(
                *unit,
                rng.integers(-most, most + 1, shape).astype(np.int8),
                rng.integers(-3000, 3000, depth).astype(np.int32),
                np.float32(rng.uniform(0.5, 2.0, depth) / spread),
                None if unit.adds is None else branch,
                quant.Codes(scales[0], -128),
            )
        )
        before = convs[-1].out
    dense = integer.Dense(
        rng.integers(-most, most + 1, (depth, module.classes)).astype(np.int8),
        rng.integers(-1000, 1000, module.classes).astype(np.int32),
        np.float32(0.003),
    )
    logits = quant.Codes(np.float32(0.02), int(rng.integers(-30, 30)))
    size = tuple(module.size)
    model = integer.Model(size, first, tuple(convs), logits, dense, logits)
    rows, columns, _ = integer.sizes(model)[-1]
    scale = mean_scale(before.scale / 6, before.scale, rows * columns)
    return model._replace(embed=quant.Codes(np.float32(scale), -128))


def codes(model, count=16, seed=2):
    """Windows of codes, all values alike."""
    rng = np.random.default_rng(seed)
    return rng.integers(-128, 128, (count, *model.size)).astype(np.int8)
