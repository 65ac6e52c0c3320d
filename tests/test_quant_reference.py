from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from tiny_quant import codes, integers, network

from distill_jax import quant
from distill_jax.quant import integer, rounding
from distill_jax.quant.codes import mean_scale


def test_sums_equal_convolutions_of_xla():
    model = integers(network(True, True))
    code_btf = codes(model, 3)
    _, out = quant.reference.run(model, code_btf)
    for number, conv in enumerate(model.convs):
        source = out[f"layer_{number - 1}"] if number else out["input"]
        free_byxi = jnp.float32(source) - model.before(number).zero
        side = len(conv.weight_yxio) // 2
        groups = free_byxi.shape[-1] if conv.kind == "depthwise" else 1
        total_byxo = lax.conv_general_dilated(
            free_byxi,
            jnp.float32(conv.weight_yxio),
            (conv.stride,) * 2,
            ((side, side),) * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        )
        # Exact: whole numbers below 2^24.
        total_byxo = np.int64(total_byxo) + conv.bias_o
        factor_o = model.before(number).scale * conv.scale_o / conv.first.scale
        code_byxo = np.rint(np.float32(total_byxo) * factor_o) + conv.first.zero
        name = f"branch_{number}" if conv.adds is not None else f"layer_{number}"
        found = out[name]
        assert found.shape[1:] == integer.sizes(model)[number + 1]
        np.testing.assert_array_equal(found, np.clip(code_byxo, -128, 127))


def test_an_addition_is_right_to_half_a_code_in_either_rounding():
    model = integers(network(False, True))
    (number,) = (n for n, conv in enumerate(model.convs) if conv.adds is not None)
    conv = model.convs[number]
    for name in rounding.RULES:
        _, out = quant.reference.run(model, codes(model), name)
        one = quant.decode(out[f"branch_{number}"], conv.branch)
        other = quant.decode(out[f"layer_{conv.adds - 1}"], model.before(conv.adds))
        exact = np.maximum(one + other, 0) / conv.out.scale + conv.out.zero
        wrong = np.abs(out[f"layer_{number}"] - np.clip(exact, -128, 127))
        assert wrong.max() < 0.5 + 1e-3 and wrong.max() > 0.4


def test_ties_go_to_even_in_one_rounding_and_upwards_in_the_other():
    total = np.array([1, 3, 5, -1, -3, -5])
    scales = np.float32(1), np.float32(0.5), np.float32(1)
    once, twice = (rounding.rule(name).scaled for name in ("xnnpack", "tflm"))
    np.testing.assert_array_equal(once(total, *scales), [0, 2, 2, 0, -2, -2])
    # The first rounding takes -0.5 up to 0, the second rounds what is left away.
    np.testing.assert_array_equal(twice(total, *scales), [1, 2, 3, 0, -1, -2])


def test_fixed_point_factors_are_right_to_the_last_of_31_bits():
    factor_n = np.random.default_rng(0).uniform(1e-7, 3.0, 200)
    whole_n, exponent_n = rounding.fixed_point(factor_n)
    for factor, whole, exponent in zip(factor_n, whole_n, exponent_n, strict=True):
        assert 1 << 30 <= whole < 1 << 31
        exact = Fraction(float(factor)) * Fraction(2) ** (31 - int(exponent))
        assert abs(exact - int(whole)) <= Fraction(1, 2)
    # Just below one: the fraction rounds up to the next power of two.
    assert [int(x) for x in rounding.fixed_point(1 - 2**-40)] == [1 << 30, 1]


def test_scaling_twice_is_at_most_a_code_away_from_exact():
    rng = np.random.default_rng(1)
    total_n = rng.integers(-(10**6), 10**6, 2000)
    scales = np.float32(0.02), np.float32(0.003), np.float32(0.05)
    exact_n = total_n * float(scales[0]) * float(scales[1]) / float(scales[2])
    for name in rounding.RULES:
        found_n = rounding.rule(name).scaled(total_n, *scales)
        assert np.abs(found_n - exact_n).max() < 0.501


@pytest.mark.parametrize("count", [6, 35, 100, 500])
def test_no_mean_is_near_a_tie(count):
    rng = np.random.default_rng(count)
    for _ in range(20):
        scale_in = np.float32(rng.uniform(0.005, 0.1))
        asked = scale_in * np.float32(rng.uniform(0.05, 1.0))
        scale = np.float32(jax.jit(mean_scale)(asked, scale_in, count))
        assert scale / asked * (1 + 1e-6) >= 1 and scale / asked < 1.02
        total = np.arange(-255 * count, 255 * count + 1)
        mean = total * (float(scale_in) / (float(scale) * count))
        inside = np.abs(mean) < 256
        # As exact arithmetic, and as three runtimes' ways with float32 do it.
        expected = np.rint(mean)[inside]
        n, one = np.float32(count), np.float32(1)
        for factor in (
            scale_in / (scale * n),
            (scale_in / scale) * (one / n),
            scale_in * (one / n) / scale,
        ):
            moved = np.rint(np.float32(total) * factor - np.float32(128)) + 128
            np.testing.assert_array_equal(moved[inside], expected)
        found = rounding.rule("xnnpack").mean(total, count, scale_in, scale)
        np.testing.assert_array_equal(found[inside], expected)


def test_windows_of_another_size_or_type_and_other_roundings_are_refused():
    model = integers(network(False, False))
    code_btf = codes(model)
    with pytest.raises(ValueError, match=r"int8 codes \('b', 21, 10\).*int8 \(16, 10"):
        quant.reference.run(model, code_btf.swapaxes(1, 2))
    with pytest.raises(ValueError, match="found float32"):
        quant.reference.run(model, code_btf.astype(np.float32))
    with pytest.raises(ValueError, match="'tpu', expected xnnpack or tflm"):
        quant.reference.run(model, code_btf, "tpu")
