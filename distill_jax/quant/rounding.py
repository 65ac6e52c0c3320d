"""How runtimes get from 32-bit sums to 8-bit codes: by two rules, given as functions.

XNNPACK and ONNX Runtime multiply in float32 and round half to even; XNNPACK adds in
fixed point of 21 bits and rounds half up. TFLite Micro uses fixed point of 31 bits and
rounds twice. On the same file one in a thousand codes differs by one.

Sources: XNNPACK `qs8-requantization`, `xnn_init_qs8_add_minmax_*_params`; TensorFlow
Lite `common.h` `MultiplyByQuantizedMultiplier`, `reference/add.h`, `reduce.h`; Jacob et
al. 2018, "Quantization and Training of Neural Networks".
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

ADD_BITS = 20  # of TFLite's addition: both addends are first shifted left by so many


class Rounding(NamedTuple):
    """A rule; codes are without their zero, sums and results int64.

    Attributes:
      scaled: (sum, scale in, scale of weights, scale out) -> sum in steps of `out`.
      mean: (sum, count, scale in, scale out) -> likewise sum / count.
      added: ((code, scale), (code, scale), scale out) -> their sum.
    """

    scaled: Callable
    mean: Callable
    added: Callable


def _scaled_once(total, scale_in, scale_weight, scale_out):
    factor = np.float32(scale_in) * np.float32(scale_weight) / np.float32(scale_out)
    return np.rint(total.astype(np.float32) * factor).astype(np.int64)


def _mean_once(total, count, scale_in, scale_out):
    factor = np.float32(scale_in) / (np.float32(scale_out) * np.float32(count))
    return np.rint(total.astype(np.float32) * factor).astype(np.int64)


def add_factors(scale_a, scale_b, scale_out):
    """XNNPACK's factors of both addends and the shift that follows their sum."""
    ratio_a, ratio_b = (
        np.float32(scale) / np.float32(scale_out) for scale in (scale_a, scale_b)
    )
    # frexp gives a fraction from a half on, so its exponent is one too high.
    shift = ADD_BITS - (int(np.frexp(max(ratio_a, ratio_b))[1]) - 1)
    factors = (int(np.rint(np.ldexp(ratio, shift))) for ratio in (ratio_a, ratio_b))
    return *factors, shift


def _added_once(a, b, scale_out):
    (code_a, scale_a), (code_b, scale_b) = a, b
    factor_a, factor_b, shift = add_factors(scale_a, scale_b, scale_out)
    return (code_a * factor_a + code_b * factor_b + (1 << (shift - 1))) >> shift


def fixed_point(factor):
    """A factor as a 31-bit integer and an exponent of two, int64 arrays.

    Args:
      factor: positive float64 array.
    """
    fraction, exponent = np.frexp(np.asarray(factor, np.float64))
    # Half away from zero, as C's round; np.rint would go to even.
    whole = np.floor(fraction * (1 << 31) + 0.5).astype(np.int64)
    over = whole == 1 << 31
    return np.where(over, whole >> 1, whole), exponent.astype(np.int64) + over


def _twice(total, fixed):
    """Multiplies by a fixed-point factor, rounding the product and then the shift."""
    whole, exponent = fixed
    left, right = np.maximum(exponent, 0), np.maximum(-exponent, 0)
    product = (total << left) * whole
    nudge = np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    # C divides towards zero.
    high = np.sign(product + nudge) * (np.abs(product + nudge) >> 31)
    mask = (np.int64(1) << right) - 1
    half = (mask >> 1) + (high < 0)
    return (high >> right) + ((high & mask) > half)


def _scaled_twice(total, scale_in, scale_weight, scale_out):
    factor = np.float64(scale_in) * np.float64(scale_weight) / np.float64(scale_out)
    return _twice(total, fixed_point(factor))


def _mean_twice(total, count, scale_in, scale_out):
    whole, exponent = fixed_point(np.float64(scale_in) / np.float64(scale_out))
    shift = min(count.bit_length() - 1, 32, 31 + int(exponent))
    return _twice(total, ((whole << shift) // count, exponent - shift))


def _added_twice(a, b, scale_out):
    (code_a, scale_a), (code_b, scale_b) = a, b
    larger = 2 * max(np.float64(scale_a), np.float64(scale_b))
    total = sum(
        _twice(code << ADD_BITS, fixed_point(np.float64(scale) / larger))
        for code, scale in ((code_a, scale_a), (code_b, scale_b))
    )
    factor = larger / ((1 << ADD_BITS) * np.float64(scale_out))
    return _twice(total, fixed_point(factor))


RULES = {
    "xnnpack": Rounding(_scaled_once, _mean_once, _added_once),
    "tflm": Rounding(_scaled_twice, _mean_twice, _added_twice),
}


def rule(name):
    """The `Rounding` of that name.

    Raises:
      ValueError: there is none.
    """
    if name not in RULES:
        raise ValueError(f"rounding is {name!r}, expected {' or '.join(RULES)}")
    return RULES[name]
