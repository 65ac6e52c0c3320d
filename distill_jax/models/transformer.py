"""What the layers of every speech encoder share: norms, feed-forward, the stack."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

exact_gelu = partial(nn.gelu, approximate=False)
ACTIVATIONS = {
    "gelu": exact_gelu,
    "gelu_python": exact_gelu,
    "gelu_new": nn.gelu,
    "gelu_pytorch_tanh": nn.gelu,
    "relu": nn.relu,
    "silu": nn.silu,
    "swish": nn.silu,
}
LAYER = "layers"


class Dropouts(NamedTuple):
    """Probabilities of a zero, in train mode; rng stream "dropout".

    Attributes:
      hidden: after each sublayer.
      activation: between the two dense layers of a feed-forward.
      attention: of attention weights; in a conformer also after attention.
      projection: after the projection of the features.
      conv: after the convolution module of a conformer.
      layer: of skipping a whole layer (LayerDrop, Fan et al. 2019).
    """

    hidden: float = 0.0
    activation: float = 0.0
    attention: float = 0.0
    projection: float = 0.0
    conv: float = 0.0
    layer: float = 0.0


def layer_norm(name, epsilon=1e-5):
    """A LayerNorm equal to torch's: variance in two passes, its own epsilon."""
    return nn.LayerNorm(epsilon=epsilon, use_fast_variance=False, name=name)


def dropout(rate, x, train):
    """Zeroes a share of the elements where `train`; call inside a compact method."""
    if not train or rate == 0.0:
        return x
    return nn.Dropout(rate)(x, deterministic=False)


def zero_padding(x_btd, mask_bt):
    """Sets frames that are not real to zero, even where they are not a number."""
    if mask_bt is None:
        return x_btd
    return jnp.where(mask_bt[:, :, None], x_btd, jnp.zeros_like(x_btd))


def length_mask(length_b, frames):
    """True for the first `length_b` of `frames` frames, [b, frames]."""
    return jnp.arange(frames)[None, :] < length_b[:, None]


class FeedForward(nn.Module):
    """Two dense layers with an activation between.

    Attributes:
      inner: width between the two.
      activation: a key of ACTIVATIONS.
      dropouts: `hidden` and `activation` are used.
    """

    inner: int
    activation: str
    dropouts: Dropouts = Dropouts()

    @nn.compact
    def __call__(self, x_btd, train=False):
        """Maps [b, t, d] to [b, t, d]."""
        inner_bto = nn.Dense(self.inner, name="inner")(x_btd)
        inner_bto = ACTIVATIONS[self.activation](inner_bto)
        inner_bto = dropout(self.dropouts.activation, inner_bto, train)
        y_btd = nn.Dense(x_btd.shape[-1], name="outer")(inner_bto)
        return dropout(self.dropouts.hidden, y_btd, train)


class LayerStack(nn.Module):
    """Equal layers one after another.

    Attributes:
      make: gives a layer, `make(name=...)`, called with (x_btd, context, train).
      count: how many.
      drop: probability of skipping a layer in train mode, rng stream "dropout".
      scan: compile one layer and loop over it. The parameters are then stacked under
        "layers"; `stack_layers` and `unstack_layers` go from one form to the other.
      remat: recompute a layer in the backward pass instead of keeping what it made.
      keep_first: never skip the first layer.
    """

    make: Callable
    count: int
    drop: float = 0.0
    scan: bool = False
    remat: bool = False
    keep_first: bool = False

    @nn.compact
    def __call__(self, x_btd, context, train=False):
        """Runs the layers.

        Args:
          x_btd: [b, t, d].
          context: what every layer is given besides: masks, positions.
          train: skip layers at random, and let them drop.

        Returns:
          [b, t, d], and a tuple of `count` + 1 states [b, t, d]: what each layer is
          given, and what the last one gives.
        """

        def step(layer, x_btd, index):
            y_btd = layer(x_btd, context, train)
            if not train or self.drop == 0.0:
                return y_btd, x_btd
            skip = jax.random.bernoulli(layer.make_rng("dropout"), self.drop)
            skip &= (index > 0) | (not self.keep_first)
            return jnp.where(skip, x_btd, y_btd), x_btd

        step = nn.remat(step, prevent_cse=not self.scan) if self.remat else step
        if self.scan:
            return self._scan(step, x_btd)
        state_nbtd = []
        for index in range(self.count):
            layer = self.make(name=f"{LAYER}_{index}")
            x_btd, before_btd = step(layer, x_btd, index)
            state_nbtd.append(before_btd)
        return x_btd, (*state_nbtd, x_btd)

    def _scan(self, step, x_btd):
        scan = nn.scan(
            step,
            variable_axes={"params": 0},
            split_rngs={"params": True, "dropout": True},
            length=self.count,
        )
        layer = self.make(name=LAYER)
        x_btd, state_nbtd = scan(layer, x_btd, jnp.arange(self.count))
        return x_btd, (*(state_nbtd[i] for i in range(self.count)), x_btd)


def stack_layers(params):
    """Parameters of a stack of layers in the form that `scan=True` takes.

    Args:
      params: a tree with "layers_0", "layers_1" ... somewhere in it.

    Returns:
      The same tree, where these are one "layers" of arrays [n, ...].
    """
    if not isinstance(params, dict):
        return params
    numbered = {name for name in params if _number(name) is not None}
    tree = {
        name: stack_layers(child)
        for name, child in params.items()
        if name not in numbered
    }
    if numbered:
        layers = [params[name] for name in sorted(numbered, key=_number)]
        tree[LAYER] = jax.tree.map(lambda *leaves: jnp.stack(leaves), *layers)
    return tree


def unstack_layers(params):
    """Turns the result of `stack_layers` back.

    Args:
      params: a tree with "layers", arrays [n, ...], somewhere in it.

    Returns:
      The same tree with "layers_0", "layers_1" ... instead.
    """
    if not isinstance(params, dict):
        return params
    tree = {
        name: unstack_layers(child) for name, child in params.items() if name != LAYER
    }
    if LAYER in params:
        for index in range(len(jax.tree.leaves(params[LAYER])[0])):
            tree[f"{LAYER}_{index}"] = jax.tree.map(
                lambda leaf, index=index: leaf[index], params[LAYER]
            )
    return tree


def _number(name):
    """The number of a layer by its name, None for another name."""
    stem, _, number = name.rpartition("_")
    return int(number) if stem == LAYER and number.isdigit() else None
