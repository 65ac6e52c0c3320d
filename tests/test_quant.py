import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_quant import IDS, KINDS, calibrated, network, variables_of, windows

from distill_jax import quant
from distill_jax.models.tiny_conv import Layer
from distill_jax.quant import fold, freezing, simulation, units
from distill_jax.quant.codes import of_range

EVERY_KIND = pytest.mark.parametrize(("depthwise", "residual"), KINDS, ids=IDS)


def decoded(model, feature_btf):
    code_bc, _ = quant.reference.run(model, quant.encode(feature_btf, model.input))
    return quant.decode(code_bc, model.logits)


def relative(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@functools.cache
def simulated(module):
    return jax.jit(quant.Simulation(module).apply)


# Together these have every kind of layer.
@pytest.mark.parametrize(("depthwise", "residual"), [(False, False), (True, True)])
def test_simulation_equals_the_integer_reference_bit_for_bit(depthwise, residual):
    module = network(depthwise, residual)
    variables, feature_btf = calibrated(module), windows(module)
    logits_bc, _ = simulated(module)(variables, feature_btf)
    model = quant.frozen(module, variables)
    np.testing.assert_array_equal(logits_bc, decoded(model, feature_btf))
    assert len(np.unique(logits_bc)) > 10


@EVERY_KIND
def test_integers_come_close_to_the_float_network(depthwise, residual):
    module = network(depthwise, residual)
    variables, feature_btf = calibrated(module), windows(module)
    assert min(float(jnp.min(n["scale"])) for n in norms(variables)) < 0
    logits_bc, _ = module.apply(without_ranges(variables), feature_btf)
    found_bc = decoded(quant.frozen(module, variables), feature_btf)
    assert relative(found_bc, logits_bc) < 0.05
    coarse_bc = decoded(quant.frozen(module, variables, bits=4), feature_btf)
    assert 0.05 < relative(coarse_bc, logits_bc) < 0.6


def norms(variables):
    return [p for name, p in variables["params"].items() if name.startswith("norm")]


def without_ranges(variables):
    return {name: variables[name] for name in ("params", "batch_stats")}


def test_folding_commutes_with_rounding_for_negative_gains():
    rng = np.random.default_rng(0)
    kernel_yxio = jnp.float32(rng.normal(size=(3, 3, 40, 50)))
    gain_o = jnp.float32(rng.normal(size=50))
    shift_o = jnp.zeros(50)
    code_yxio, scale_o = fold.weights(kernel_yxio, 8)
    sign_o, folded_o, _ = fold.folded(1.0, scale_o, (gain_o, shift_o))
    expected_yxio, expected_o = fold.weights(
        kernel_yxio * gain_o[None, None, None, :], 8
    )
    assert (sign_o < 0).any() and (sign_o > 0).any()
    found_yxio = code_yxio * sign_o[None, None, None, :]
    np.testing.assert_array_equal(found_yxio, expected_yxio)
    np.testing.assert_allclose(folded_o, expected_o, rtol=3e-7)


def pulled(params, apply, variables, feature_btf):
    """Gradients of a random mix of the logits."""
    pull_bc = np.random.default_rng(3).normal(size=(len(feature_btf), 3))
    logits_bc, _ = apply({**variables, "params": params}, feature_btf)
    return jnp.vdot(logits_bc, jnp.float32(pull_bc))


gradients = jax.jit(jax.grad(pulled), static_argnums=1)


def test_without_rounding_the_gradients_are_those_of_the_float_network(monkeypatch):
    for module, name in (
        (fold, "rounded"),
        (simulation, "rounded"),
        (simulation, "rounded_up"),
    ):
        monkeypatch.setattr(module, name, lambda x: x)
    module = network(True, True)
    variables, feature_btf = calibrated(module), windows(module)
    # Wide enough that nothing is cut off.
    variables["ranges"] = jax.tree.map(lambda x: 2 * x, variables["ranges"])
    apply = quant.Simulation(module).apply
    found = gradients(variables["params"], apply, variables, feature_btf)
    rest = without_ranges(variables)
    expected = gradients(variables["params"], module.apply, rest, feature_btf)
    for name, layer in expected.items():
        for side, leaf in layer.items():
            assert relative(found[name][side], leaf) < 1e-3, (name, side)


def test_rounding_passes_gradients_on_and_limits_stop_them():
    x = jnp.float32([-3.0, -0.4, 0.5, 1.5, 2.6])
    for round_to, expected in (
        (fold.rounded, [-3, 0, 0, 2, 3]),
        (fold.rounded_up, [-3, 0, 1, 2, 3]),
    ):
        value, grad = jax.vjp(round_to, x)
        np.testing.assert_array_equal(value, expected)
        np.testing.assert_array_equal(grad(x)[0], x)
    slope = jax.grad(lambda x: jnp.sum(simulation._limited(x, 0.0, True)))
    far = jnp.float32([-3.0, 5.0, 126.0, 128.0])
    np.testing.assert_array_equal(slope(far), [0, 1, 1, 0])


def test_statistics_and_ranges_move_while_live_and_then_stand_still():
    module = network(True, True)
    variables, feature_btf = calibrated(module), 2 * windows(module, seed=5)
    how = quant.Simulation(module, decay=0.5, live=2)
    names = ["batch_stats", "ranges"]
    update = jax.jit(lambda v, x: how.apply(v, x, train=True, mutable=names))
    seen = [variables]
    for _ in range(3):
        _, state = update(seen[-1], feature_btf)
        seen.append({**variables, **state})
    assert [int(v["ranges"]["count"]) for v in seen] == [0, 1, 2, 3]
    _, expected = module.apply(
        without_ranges(variables), feature_btf, train=True, mutable=["batch_stats"]
    )
    moved = seen[1]["batch_stats"]
    for name, norm in expected["batch_stats"].items():
        for side in ("mean", "var"):
            assert relative(moved[name][side], norm[side]) < 0.05, (name, side)
    low, high = float(feature_btf.min()), float(feature_btf.max())
    before, after = seen[0]["ranges"]["input"], seen[1]["ranges"]["input"]
    np.testing.assert_allclose(after["low"], (before["low"] + low) / 2, rtol=1e-6)
    np.testing.assert_allclose(after["high"], (before["high"] + high) / 2, rtol=1e-6)
    for name in names:
        third, second = seen[3][name], seen[2][name]
        for path, leaf in jax.tree_util.tree_leaves_with_path(third):
            if path[-1].key != "count":
                np.testing.assert_array_equal(leaf, tree_at(second, path))


def tree_at(tree, path):
    for key in path:
        tree = tree[key.key]
    return tree


def test_calibration_takes_the_widest_of_all_batches():
    module = network(False, True)
    variables = variables_of(module)
    batches = [windows(module, seed=seed) for seed in (1, 2)]
    found = quant.ranges.calibrated(module, variables, batches)
    outs = [module.apply(variables, batch)[1] for batch in batches]
    assert set(found) == {"count", *units.sites(units.units(module.plan()))}
    for number in range(len(module.plan())):
        most = max(float(out[f"layer_{number}_byxi"].max()) for out in outs)
        np.testing.assert_allclose(found[f"layer_{number}"]["high"], most, rtol=1e-5)
        assert found[f"layer_{number}"]["low"] == 0
    assert found["branch_2"]["low"] < 0 < found["branch_2"]["high"]
    assert found["input"]["low"] == min(batch.min() for batch in batches)


def test_calibration_refuses_no_clips_and_numbers_that_are_not_finite():
    module = network(False, False)
    variables = variables_of(module)
    with pytest.raises(ValueError, match="no batch to calibrate"):
        quant.ranges.calibrated(module, variables, [])
    broken = windows(module) * np.float32(np.nan)
    with pytest.raises(ValueError, match="not finite"):
        quant.ranges.calibrated(module, variables, [broken])


def test_channels_that_have_died_keep_their_constant():
    module = network(True, True)
    variables = calibrated(module)
    for number, gain in ((0, 0.0), (2, 1e-20), (4, -1e-12)):
        norm = variables["params"][f"norm_{number}"]
        norm["scale"] = norm["scale"].at[1].set(gain)
        norm["bias"] = norm["bias"].at[1].set(1.5)
    feature_btf = windows(module)
    again = quant.ranges.calibrated(module, without_ranges(variables), [feature_btf])
    variables["ranges"] = again
    model = quant.frozen(module, variables)
    logits_bc, _ = module.apply(without_ranges(variables), feature_btf)
    assert relative(decoded(model, feature_btf), logits_bc) < 0.05
    assert np.abs(model.convs[0].bias_o.astype(np.int64)).max() <= 2**30
    simulated_bc, _ = simulated(module)(variables, feature_btf)
    assert relative(simulated_bc, logits_bc) < 0.05


class OtherNetwork(NamedTuple):
    layers: tuple

    def plan(self):
        return self.layers


def test_layers_without_an_integer_form_are_all_named():
    layers = Layer("conv", 4, 2), Layer("gru", 4, 1), Layer("pointwise", 4, 2)
    with pytest.raises(ValueError, match=r"layer 1 is 'gru'; layer 2 is pointwise"):
        quant.ranges.blank(OtherNetwork(layers))
    with pytest.raises(ValueError, match="layer 0 has stride 3"):
        units.units([Layer("conv", 4, 3)])


def test_number_of_bits_is_that_of_the_weights_and_is_checked():
    module = network(False, False)
    variables = calibrated(module)
    model = quant.frozen(module, variables, bits=4)
    for weight in (*(c.weight_yxio for c in model.convs), model.dense.weight_io):
        assert abs(weight).max() == 7
    with pytest.raises(ValueError, match="bits is 9"):
        quant.frozen(module, variables, bits=9)
    with pytest.raises(ValueError, match="bits is 1"):
        quant.Simulation(module, bits=1).apply(variables, windows(module))


def test_scales_out_of_proportion_are_refused_by_name():
    module = network(False, True)
    variables = calibrated(module)
    variables["ranges"]["layer_1"]["high"] = jnp.float32(1e9)
    variables["ranges"]["branch_2"]["high"] = jnp.float32(1e6)
    with pytest.raises(ValueError, match=r"the addition of layer 2"):
        quant.frozen(module, variables)
    assert freezing.check(quant.frozen(module, calibrated(module))) is None


@pytest.mark.parametrize(
    "low_high", [(0.0, 6.0), (-1.0, 3.0), (2.0, 5.0), (-4.0, -1.0)]
)
def test_codes_hold_their_range_and_zero_exactly(low_high):
    codes = of_range(*low_high)
    x = np.linspace(min(0, low_high[0]), max(0, low_high[1]), 1001, dtype=np.float32)
    back = quant.decode(quant.encode(x, codes), codes)
    # The zero is a whole code, so an end may lie half a step outside.
    assert np.abs(back - x).max() <= codes.scale * 1.001
    assert quant.decode(np.int8(codes.zero), codes) == 0
    far = quant.encode(np.float32([-1e9, 1e9]), codes)
    np.testing.assert_array_equal(far, [-128, 127])


def test_numbers_that_are_not_finite_have_no_code():
    with pytest.raises(ValueError, match="1 of 3 numbers are not finite"):
        quant.encode(np.float32([0, np.inf, 1]), of_range(-1.0, 1.0))
