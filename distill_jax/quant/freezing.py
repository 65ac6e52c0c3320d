"""From trained variables to the integer network."""

import jax.numpy as jnp
import numpy as np

from distill_jax.quant import integer, units
from distill_jax.quant.codes import Codes, mean_scale, of_range
from distill_jax.quant.fold import affine, check_bits, folded, weights

# Biases leave half of the 32 bits' range to the products.
LARGEST_BIAS = 2**30
# XNNPACK's kernels take these ratios of scales and leave others to kernels that round
# in another way.
CONV_RATIOS = (2**-32, 2**8)
ADD_RATIOS = (2**-10, 2**8)


def frozen(module, variables, bits=8):
    """Folds batch norm and rounds everything, as `Simulation` does.

    Args:
      module: `TinyConv`.
      variables: `params`, `batch_stats` and `ranges`.
      bits: of the weights.

    Returns:
      `integer.Model`.

    Raises:
      ValueError: a layer has no integer form; scales are out of proportion; or see
        `fold.check_bits`.
    """
    check_bits(bits)
    plan = units.units(module.plan())
    code_of = {
        name: of_range(**variables["ranges"][name]) for name in units.sites(plan)
    }
    convs, before = [], code_of["input"]
    for number, unit in enumerate(plan):
        convs.append(_conv((number, unit), variables, (before, code_of), bits))
        before = convs[-1].out
    embed, size = code_of["embed"], tuple(module.size)
    model = integer.Model(size, code_of["input"], tuple(convs), embed, None, embed)
    rows, columns, _ = integer.sizes(model)[-1]
    scale = mean_scale(embed.scale, before.scale, rows * columns)
    model = model._replace(
        embed=Codes(np.float32(scale), embed.zero), logits=code_of["logits"]
    )
    dense = _dense(variables["params"]["dense"], model.embed, bits)
    model = model._replace(dense=dense)
    check(model)
    return model


def _conv(numbered, variables, codes, bits):
    number, unit = numbered
    before, code_of = codes
    kernel = jnp.asarray(variables["params"][f"conv_{number}"]["kernel"])
    weight, scale_o = weights(kernel, bits)
    stats = variables["batch_stats"][f"norm_{number}"]
    norm = affine(
        variables["params"][f"norm_{number}"],
        jnp.asarray(stats["mean"]),
        jnp.asarray(stats["var"]),
    )
    sign_o, scale_o, bias_o = folded(before.scale, scale_o, norm)
    # A gain near zero leaves a channel that is all but constant: a coarser scale keeps
    # its bias within 32 bits.
    coarser_o = jnp.maximum(1.0, jnp.abs(bias_o) / LARGEST_BIAS)
    weight = jnp.round(weight * (sign_o / coarser_o)[None, None, None, :])
    branch = None if unit.adds is None else code_of[f"branch_{number}"]
    return integer.Conv(
        unit.kind,
        unit.stride,
        unit.adds,
        np.asarray(weight, np.int8),
        np.asarray(jnp.round(bias_o / coarser_o), np.int32),
        np.asarray(scale_o * coarser_o, np.float32),
        branch,
        code_of[f"layer_{number}"],
    )


def _dense(params, embed, bits):
    weight_io, scale = weights(jnp.asarray(params["kernel"]), bits, each=False)
    bias_o = jnp.round(jnp.asarray(params["bias"]) / (embed.scale * scale))
    bias_o = jnp.clip(bias_o, -LARGEST_BIAS, LARGEST_BIAS)
    return integer.Dense(
        np.asarray(weight_io, np.int8), np.asarray(bias_o, np.int32), np.float32(scale)
    )


def check(model):
    """Raises ValueError naming everything that some runtime cannot do as specified."""
    problems = []
    for number, conv in enumerate(model.convs):
        before = model.before(number)
        products = np.abs(conv.weight_yxio.astype(np.int64)).sum(axis=(0, 1, 2)) * 255
        total_o = products + np.abs(conv.bias_o.astype(np.int64))
        if total_o.max() >= 2**31:
            problems.append(f"sums of layer {number} do not fit in 32 bits")
        ratio_o = before.scale * conv.scale_o / conv.first.scale
        problems += _outside(f"layer {number}", ratio_o, CONV_RATIOS)
        if conv.adds is not None:
            scales = np.array([conv.branch.scale, model.before(conv.adds).scale])
            name = f"the addition of layer {number}"
            problems += _outside(name, scales / conv.out.scale, ADD_RATIOS)
    ratio = model.embed.scale * model.dense.scale / model.logits.scale
    problems += _outside("the last layer", ratio, CONV_RATIOS)
    if problems:
        raise ValueError(
            "; ".join(problems) + ": the ranges do not suit the weights; calibrate "
            "with more clips, or look for channels that have died or blown up"
        )


def _outside(name, ratio, limits):
    low, high = limits
    if np.all((ratio >= low) & (ratio < high)):
        return []
    return [
        f"scales of {name} differ by a factor of {np.min(ratio):.3g} to "
        f"{np.max(ratio):.3g}, expected {low:.3g} to {high:.3g}"
    ]
