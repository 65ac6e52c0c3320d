"""AdamW with warm-up, cosine decay and clipping, in as few passes as it takes.

Parameters are dictionaries {path: array} here, see `named`. The arithmetic is optax's
and PyTorch's; what is our own is the order. Each array that is read and then
overwritten has one reader, so XLA updates all of them in place, and the guard against
non-finite steps is part of the same loops. On a CPU, where the update is a memory copy
with some arithmetic, that is what it costs: see `benchmarks/update.py`.
"""

import math
import re
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

MEAN_DECAY = 0.9
SQUARE_DECAY = 0.999
EPSILON = 1e-8
UNDECAYED = ("bias", "scale")


class Optimizer(NamedTuple):
    """How the parameters move.

    Attributes:
      init: (params) -> opt_state.
      update: (params, opt_state, grads, loss) -> params, opt_state, report. The
        report has `grad_norm` before clipping, `learning_rate` and the boolean
        `finite`; unless loss and norm are, params and opt_state come back unchanged.
    """

    init: Callable
    update: Callable


class AdamState(NamedTuple):
    """Moments of the gradients.

    Attributes:
      count: int32 scalar, the updates made.
      mean: moving average of the gradient of each parameter.
      square: of its square.
    """

    count: jax.Array
    mean: dict
    square: dict


def named(tree):
    """A tree's leaves by path, `{"encoder/conv_0/kernel": array}`."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def replaced(tree, leaves):
    """The tree with the leaves named in a dictionary put in the place of its own."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaves.get(
            jax.tree_util.keystr(path, simple=True, separator="/"), leaf
        ),
        tree,
    )


def trainable(tree, patterns):
    """The leaves that are trained, by path.

    Args:
      tree: the parameters.
      patterns: regular expressions; a path that matches one as a whole is trained.

    Raises:
      ValueError: a pattern matches nothing.
    """
    leaves = named(tree)
    idle = [
        pattern
        for pattern in patterns
        if not any(re.fullmatch(pattern, path) for path in leaves)
    ]
    if idle or not patterns:
        raise ValueError(
            f"no parameter is called {idle or 'by an empty list'}; patterns match "
            f"whole paths, as of {', '.join(sorted(leaves)[:20])}"
        )
    return {
        path: leaf
        for path, leaf in leaves.items()
        if any(re.fullmatch(pattern, path) for pattern in patterns)
    }


def schedule(config):
    """Learning rate of each update: linear warm-up, then half a cosine to zero.

    Args:
      config: has `learning_rate` (the peak), `warmup_steps` and `steps`.

    Returns:
      (count) -> rate. The first update moves already: the warm-up starts one
      notch above zero.

    Source: Loshchilov & Hutter 2017, eq. 5, without restarts.
    """
    peak, warmup, steps = config.learning_rate, config.warmup_steps, config.steps

    def rate(count):
        rising = (count + 1.0) / (warmup + 1.0)
        done = (count - warmup) / max(steps - warmup, 1)
        falling = 0.5 + 0.5 * jnp.cos(jnp.pi * jnp.clip(done, 0.0, 1.0))
        return peak * jnp.where(count < warmup, rising, falling)

    return rate


def adamw(config):
    """Builds the optimizer.

    Args:
      config: has `learning_rate`, `warmup_steps`, `steps`, `weight_decay` (not applied
        to parameters whose name ends in `bias` or `scale`), `clip_norm` (the
        largest global norm of a gradient) and `rate_scale`, see `rate_scale`.

    Returns:
      Optimizer, on dictionaries {path: array}.

    Source: Loshchilov & Hutter 2019, algorithm 2, with decay scaled by the learning
      rate as PyTorch has it; Pascanu et al. 2013 for the clipping.
    """
    rate, clip, decay = schedule(config), config.clip_norm, config.weight_decay

    def init(params):
        check_scales(params, config.rate_scale)
        zeros = jax.tree.map(jnp.zeros_like, params)
        return AdamState(jnp.zeros((), jnp.int32), zeros, jax.tree.map(jnp.copy, zeros))

    def update(params, opt_state, grads, loss):
        norm = optax.tree.norm(grads)
        finite = jnp.isfinite(norm) & jnp.isfinite(loss)
        learning_rate = rate(opt_state.count)
        state = _moments(opt_state, grads, finite, jnp.minimum(1, clip / norm))
        mean_scale = 1 / _weight(MEAN_DECAY, state.count)
        square_scale = 1 / _weight(SQUARE_DECAY, state.count)

        # Reads the new moments only: with a second reader of the old ones XLA copies
        # them first, and this costs more than all the rest.
        def move(path, param):
            root = jnp.sqrt(state.square[path] * square_scale)
            step = state.mean[path] * mean_scale / (root + EPSILON)
            if not path.endswith(UNDECAYED):
                step += decay * param
            moved = param - learning_rate * rate_scale(path, config.rate_scale) * step
            return jnp.where(finite, moved, param)

        params = {path: move(path, param) for path, param in params.items()}
        report = {"grad_norm": norm, "learning_rate": learning_rate, "finite": finite}
        return params, state, report

    return Optimizer(init, update)


def rate_scale(path, scales):
    """What the learning rate of a parameter is multiplied by.

    Args:
      path: of the parameter, "encoder/mean/kernel".
      scales: pairs of a regular expression and a factor; the first that matches the
        whole path counts.

    Returns:
      The factor, 1.0 where nothing matches.
    """
    return next((x for rule, x in scales if re.fullmatch(rule, path)), 1.0)


def check_scales(params, scales):
    """Raises ValueError naming every rule of `rate_scale` that matches nothing."""
    idle = [
        rule for rule, _ in scales if not any(re.fullmatch(rule, p) for p in params)
    ]
    if idle:
        raise ValueError(
            f"config.rate_scale has rules that match no parameter: {idle}; they match "
            f"whole paths, as of {', '.join(sorted(params)[:20])}"
        )


def _moments(opt_state, grads, finite, scale):
    def mean(old, grad):
        new = MEAN_DECAY * old + (1 - MEAN_DECAY) * scale * grad
        return jnp.where(finite, new, old)

    def square(old, grad):
        new = SQUARE_DECAY * old + (1 - SQUARE_DECAY) * jnp.square(scale * grad)
        return jnp.where(finite, new, old)

    return AdamState(
        opt_state.count + finite,
        jax.tree.map(mean, opt_state.mean, grads),
        jax.tree.map(square, opt_state.square, grads),
    )


def _weight(decay, count):
    """1 - decay**count; the plain formula is off by 1e-5 in float32 at count 1."""
    return -jnp.expm1(count * math.log(decay))


def average(ema, params, step, decay):
    """Moving average of the parameters after one more update.

    Args:
      ema: average so far.
      params: new parameters.
      step: updates before this one.
      decay: how much of the average stays, once it is warm. Young averages forget
        faster, (1 + step) / (10 + step), or they would stay at the initial values.

    Returns:
      The new average.

    Source: Polyak & Juditsky 1992; the warm-up is TensorFlow's
      `ExponentialMovingAverage(num_updates=...)`.
    """
    keep = jnp.minimum(decay, (1.0 + step) / (10.0 + step))
    return jax.tree.map(lambda old, new: old + (1.0 - keep) * (new - old), ema, params)
