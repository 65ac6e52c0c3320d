"""How large activations get: observers as state in the tree of variables."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from distill_jax.quant import units


def blank(module):
    """Ranges in which nothing was seen yet, {site: {"low", "high"}} and `count`.

    Args:
      module: `TinyConv`; or anything with its `plan`.

    Raises:
      ValueError: a layer has no integer form.
    """
    names = units.sites(units.units(module.plan()))
    nothing = {name: {"low": jnp.zeros(()), "high": jnp.zeros(())} for name in names}
    return {"count": jnp.zeros((), jnp.int32), **nothing}


def moved(known, x, decay):
    """A range after a batch, as a moving average.

    Args:
      known: {"low", "high"}.
      x: activations.
      decay: of the average.
    """
    low, high = lax.stop_gradient((jnp.min(x), jnp.max(x)))
    return {
        "low": decay * known["low"] + (1 - decay) * low,
        "high": decay * known["high"] + (1 - decay) * high,
    }


def calibrated(module, variables, batches):
    """The widest ranges of some batches in the float network.

    Args:
      module: `TinyConv`.
      variables: `params` and `batch_stats`.
      batches: iterable of features, [b, frames, mels].

    Returns:
      As `blank`.

    Raises:
      ValueError: there is no batch, or they hold numbers that are not finite.
    """
    found, count = blank(module), 0
    for feature_btf in batches:
        found, count = _widened(module, found, variables, feature_btf), count + 1
    if not count:
        raise ValueError("there is no batch to calibrate with; give some clips")
    if not all(jnp.isfinite(leaf) for leaf in jax.tree.leaves(found)):
        raise ValueError(
            "activations are not finite on the clips to calibrate with; look at the "
            "weights of the network and at its features"
        )
    return found


@functools.partial(jax.jit, static_argnames="module")
def _widened(module, found, variables, feature_btf):
    seen = _activations(module, variables, feature_btf)
    return found | {
        name: {
            "low": jnp.minimum(found[name]["low"], jnp.min(x)),
            "high": jnp.maximum(found[name]["high"], jnp.max(x)),
        }
        for name, x in seen.items()
    }


def _activations(module, variables, feature_btf):
    """Numbers at every site of the float network."""
    plan = units.units(module.plan())
    adds = [number for number, unit in enumerate(plan) if unit.adds is not None]
    norms = {f"norm_{number}" for number in adds}
    (logits_bc, out), seen = module.apply(
        variables,
        feature_btf,
        capture_intermediates=lambda layer, _: layer.name in norms,
        mutable=["intermediates"],
    )
    layers = {f"layer_{n}": out[f"layer_{n}_byxi"] for n in range(len(plan))}
    branches = {
        f"branch_{number}": seen["intermediates"][f"norm_{number}"]["__call__"][0]
        for number in adds
    }
    ends = {"input": feature_btf, "embed": out["embed_bd"], "logits": logits_bc}
    return layers | branches | ends
