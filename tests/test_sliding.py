"""TinyConv slid along a recording, against every window by itself."""

from functools import partial

import jax
import numpy as np
import pytest

from distill_jax.models import sliding
from distill_jax.models.tiny_conv import TinyConv


def draw(rng, path, leaf):
    """Positive where it is a variance."""
    if path[-1].key == "var":
        return np.float32(rng.uniform(0.5, 2.0, leaf.shape))
    return np.float32(rng.normal(0.1, 0.5, leaf.shape))


def network(size, strides=(2, 2, 2, 1), **options):
    """A network and variables far from those it begins with."""
    module = TinyConv(3, (4, 6, 8, 8), strides, size=size, form="stock", **options)
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(module.init, jax.random.key(0), np.zeros((1, *size)))
    return module, jax.tree_util.tree_map_with_path(partial(draw, rng), shapes)


def each_window(module, variables, feature_tf, step):
    view_nft = np.lib.stride_tricks.sliding_window_view(feature_tf, module.size[0], 0)
    apply = jax.jit(lambda variables, x_btf: module.apply(variables, x_btf)[0])
    return apply(variables, view_nft[::step].swapaxes(1, 2))


CASES = [
    ((49, 40), (2, 2, 2, 1), 1),
    ((50, 10), (2, 2, 2, 1), 3),
    ((30, 7), (2, 2, 2, 1), 8),
    ((15, 8), (1, 2, 1, 2), 4),
]


@pytest.mark.parametrize(("size", "strides", "step"), CASES)
def test_slid_network_equals_every_window_by_itself(size, strides, step, monkeypatch):
    # Two whole calls and a part of one.
    monkeypatch.setattr(sliding, "WINDOWS", 8)
    module, variables = network(size, strides)
    frames = size[0] + 19 * step + step // 2
    feature_tf = np.random.default_rng(1).normal(size=(frames, size[1]))
    feature_tf = feature_tf.astype(np.float32)
    expected = each_window(module, variables, feature_tf, step)
    found = sliding.along(module, variables)(feature_tf, step)
    assert found.shape == (20, 3)
    np.testing.assert_allclose(found, expected, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("option", ["use_depthwise", "residual"])
def test_network_that_cannot_be_slid_is_refused(option):
    module, variables = network((16, 8), **{option: True})
    assert not sliding.supports(module)
    with pytest.raises(ValueError, match="score window by window"):
        sliding.along(module, variables)
