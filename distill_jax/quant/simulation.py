"""TinyConv as it will be in integers, with gradients.

Activations are carried as codes less their zero, whole numbers in float32, which holds
sums of products exactly below 2^24. So the forward pass is the arithmetic of
`reference`, rounded as XNNPACK does, and not an approximation of it.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from distill_jax.models.depthwise import depthwise_conv
from distill_jax.models.layers import BatchNorm, batch_moments
from distill_jax.models.strided import strided_conv
from distill_jax.models.tiny_conv import TinyConv
from distill_jax.quant import ranges, units
from distill_jax.quant.codes import HIGHEST, LOWEST, mean_scale, scale_and_zero
from distill_jax.quant.fold import (
    affine,
    along,
    check_bits,
    folded,
    rounded,
    rounded_up,
    weights,
)


class Simulation(NamedTuple):
    """Stands in for a `TinyConv` whose variables have a collection `ranges` besides.

    Attributes:
      module: the network.
      bits: of the weights, 2 to 8; activations have 8.
      decay: of the moving averages that ranges are while training.
      live: updates for which batch norm and ranges move; then both stand still.
    """

    module: TinyConv
    bits: int = 8
    decay: float = 0.99
    live: int = 0

    def apply(self, variables, feature_btf, train=False, mutable=()):
        """Classifies windows, as `TinyConv.apply` does.

        Args:
          variables: `params`, `batch_stats` and `ranges`, see `ranges.blank`.
          feature_btf: log-mel features, [b, frames, mels] of the network's size.
          train: normalise with batch statistics and update them and the ranges, until
            `live` updates were made.
          mutable: names of collections to return; none returns no state.

        Returns:
          (logits [b, classes], intermediates as of `TinyConv`) and, if `mutable`, the
          collections as they are after this batch.

        Raises:
          ValueError: a layer has no integer form, or see `fold.check_bits`.
        """
        check_bits(self.bits)
        live = train & (variables["ranges"]["count"] < self.live)
        run = _Pass(variables, live, self)
        result = run.classified(self.module, feature_btf)
        if not mutable:
            return result
        state = {"batch_stats": run.stats, "ranges": run.ranges}
        state["ranges"]["count"] += jnp.int32(train)
        return result, {name: state[name] for name in mutable}


class _Signal(NamedTuple):
    """Activations: codes less their zero, and what a step is worth."""

    code: object
    scale: object


class _Pass:
    """One forward pass; gathers the state that follows from it."""

    def __init__(self, variables, live, how):
        self.params, self.how, self.live = variables["params"], how, live
        self.stats = dict(variables["batch_stats"])
        self.ranges = dict(variables["ranges"])

    def classified(self, module, feature_btf):
        """Logits and intermediates."""
        out = {}
        given = [self._encoded("input", feature_btf[..., None])]
        for number, unit in enumerate(units.units(module.plan())):
            signal = self._unit((number, unit), given, module.form)
            given.append(signal)
            out[f"layer_{number}_byxi"] = signal.code * signal.scale
        embed = self._mean(given[-1])
        out["embed_bd"] = embed.code * embed.scale
        return self._dense(embed), out

    def _encoded(self, name, x):
        scale, zero = self._codes(name, x)
        return _Signal(_limited(rounded(x * (1 / scale)), zero), scale)

    def _codes(self, name, x):
        """Scale and zero of a site, whose range moves if it may."""
        known = self.ranges[name]
        moved = ranges.moved(known, x, self.how.decay)
        self.ranges[name] = {
            side: jnp.where(self.live, moved[side], known[side]) for side in known
        }
        return scale_and_zero(**self.ranges[name])

    def _unit(self, numbered, given, form):
        number, unit = numbered
        signal = given[number]
        kernel = self.params[f"conv_{number}"]["kernel"]
        weight, scale_o = weights(kernel, self.how.bits)
        total = _convolved(unit, signal.code, weight, form)
        worth_o = signal.scale * scale_o
        norm = self._norm(f"norm_{number}", total * along(worth_o, total))
        sign_o, scale_o, bias_o = folded(signal.scale, scale_o, norm)
        total = total * along(sign_o, total) + along(rounded(bias_o), total)
        if unit.adds is None:
            return self._requantised(f"layer_{number}", total, (signal, scale_o), True)
        branch = self._requantised(f"branch_{number}", total, (signal, scale_o), False)
        return self._added(f"layer_{number}", branch, given[unit.adds])

    def _norm(self, name, x_byxo):
        """Factor and addend of a batch norm, whose statistics move if they may."""
        known, rate = self.stats[name], BatchNorm.momentum
        mean_o, var_o, size = batch_moments(x_byxo)
        newest = {"mean": mean_o, "var": var_o * (size / (size - 1))}
        moved = {
            side: (1 - rate) * known[side] + rate * lax.stop_gradient(newest[side])
            for side in newest
        }
        moved["count"] = known["count"] + 1
        self.stats[name] = {
            side: jnp.where(self.live, moved[side], known[side]) for side in moved
        }
        return affine(
            self.params[name],
            jnp.where(self.live, mean_o, known["mean"]),
            jnp.where(self.live, var_o, known["var"]),
        )

    def _requantised(self, name, total, scales, relu):
        signal, scale_o = scales
        number = total * along(signal.scale * scale_o, total)
        scale, zero = self._codes(name, jnp.maximum(number, 0) if relu else number)
        factor_o = signal.scale * scale_o / scale
        code = rounded(total * along(factor_o, total))
        return _Signal(_limited(code, zero, relu), scale)

    def _added(self, name, one, other):
        total = one.code * one.scale + other.code * other.scale
        scale, zero = self._codes(name, jnp.maximum(total, 0))
        code = one.code * (one.scale / scale) + other.code * (other.scale / scale)
        return _Signal(_limited(rounded_up(code), zero, relu=True), scale)

    def _mean(self, signal):
        _, rows, columns, _ = signal.code.shape
        count = rows * columns
        total_bi = jnp.sum(signal.code, axis=(1, 2))
        scale, zero = self._codes("embed", total_bi * (signal.scale / count))
        scale = mean_scale(scale, signal.scale, count)
        code_bi = rounded(total_bi * (signal.scale / (scale * count)))
        return _Signal(_limited(code_bi, zero), scale)

    def _dense(self, embed):
        weight_io, scale = weights(self.params["dense"]["kernel"], self.how.bits, False)
        bias_o = rounded(self.params["dense"]["bias"] / (embed.scale * scale))
        total_bo = embed.code @ weight_io + bias_o[None]
        scales = embed, jnp.full(len(bias_o), scale)
        logits = self._requantised("logits", total_bo, scales, False)
        return logits.code * logits.scale


def _limited(code, zero, relu=False):
    lowest = jnp.maximum(LOWEST, zero) if relu else LOWEST
    return jnp.clip(code, lowest - zero, HIGHEST - zero)


def _convolved(unit, code_byxi, weight, form):
    if unit.kind == "pointwise":
        return code_byxi @ weight[0, 0]
    run = depthwise_conv if unit.kind == "depthwise" else strided_conv
    return run(code_byxi, weight, form, unit.stride)
