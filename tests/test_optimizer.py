import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from distill_jax import optimizer

SHAPES = {
    "conv/kernel": (3, 3, 8, 16),
    "conv/bias": (4, 16),
    "norm/scale": (16,),
    "head/kernel": (16, 4),
}


def config(**changes):
    values = {
        "learning_rate": 1e-2,
        "warmup_steps": 4,
        "steps": 12,
        "weight_decay": 0.1,
        "clip_norm": 1.0,
        "rate_scale": (),
    }
    return ConfigDict(values | changes)


def draw(seed, scale=1.0):
    rng = np.random.default_rng(seed)
    return {
        name: (rng.normal(size=shape) * scale).astype(np.float32)
        for name, shape in SHAPES.items()
    }


def test_schedule_rises_linearly_and_falls_along_a_cosine():
    rate = optimizer.schedule(config())
    found = [float(rate(count)) for count in (0, 1, 3, 4, 6, 8, 10, 12, 20)]
    root = np.sqrt(0.5)
    expected = [0.2, 0.4, 0.8, 1, (1 + root) / 2, 0.5, (1 - root) / 2, 0, 0]
    np.testing.assert_allclose(found, 1e-2 * np.array(expected), rtol=1e-6, atol=1e-9)


def test_schedule_without_warm_up_begins_at_the_peak():
    assert float(optimizer.schedule(config(warmup_steps=0))(0)) == pytest.approx(1e-2)


@pytest.mark.parity
@pytest.mark.parametrize("scale", [1e-3, 1.0])  # below and above the clipping
def test_update_equals_torch_adamw(scale):
    torch = pytest.importorskip("torch")
    settings = config(rate_scale=[["head/.*", 0.1], [".*", 1.0]])
    opt, rate = optimizer.adamw(settings), optimizer.schedule(settings)
    params = draw(0)
    theirs = {n: torch.nn.Parameter(torch.tensor(v)) for n, v in params.items()}
    plain = [p for n, p in theirs.items() if n.endswith(("bias", "scale"))]
    decayed = [p for n, p in theirs.items() if n == "conv/kernel"]
    reference = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": settings.weight_decay},
            {"params": plain, "weight_decay": 0.0},
            {"params": [theirs["head/kernel"]], "weight_decay": settings.weight_decay},
        ]
    )
    opt_state, update = opt.init(params), jax.jit(opt.update)
    for step in range(settings.steps):
        grads = draw(step + 1, scale)
        params, opt_state, report = update(params, opt_state, grads, 0.0)
        for name, param in theirs.items():
            param.grad = torch.tensor(grads[name])
        norm = torch.nn.utils.clip_grad_norm_(theirs.values(), settings.clip_norm)
        for group, scale in zip(reference.param_groups, (1, 1, 0.1), strict=True):
            group["lr"] = scale * float(rate(step))
        reference.step()
        np.testing.assert_allclose(report["grad_norm"], norm.item(), rtol=1e-6)
        for name, param in theirs.items():
            np.testing.assert_allclose(
                params[name], param.detach().numpy(), rtol=1e-6, atol=1e-6
            )


def test_rate_scale_that_matches_nothing_is_named():
    opt = optimizer.adamw(config(rate_scale=(("head/kernel", 0.1), ("heads/.*", 0.1))))
    with pytest.raises(ValueError, match=r"rate_scale.*\['heads/\.\*'\]"):
        opt.init(draw(0))


@pytest.mark.parametrize("where", ["loss", "gradient"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nothing_moves_where_a_number_is_not_finite(where, value):
    opt = optimizer.adamw(config())
    params, grads = draw(0), draw(1)
    params, opt_state, _ = opt.update(params, opt.init(params), grads, 0.0)
    bad = {**grads, "norm/scale": grads["norm/scale"] + np.float32(value)}
    loss, grads = (value, grads) if where == "loss" else (0.0, bad)
    moved, new_state, report = jax.jit(opt.update)(params, opt_state, grads, loss)
    assert not report["finite"]
    jax.tree.map(np.testing.assert_array_equal, (moved, new_state), (params, opt_state))


def test_gradient_of_zero_is_finite():
    opt = optimizer.adamw(config(weight_decay=0.0))
    params = draw(0)
    zeros = jax.tree.map(np.zeros_like, params)
    moved, _, report = opt.update(params, opt.init(params), zeros, 0.0)
    assert report["finite"]
    jax.tree.map(np.testing.assert_array_equal, moved, params)


def test_update_works_in_place():
    """Extra passes over memory are what makes an update slow; none may come back."""
    opt = optimizer.adamw(config())
    params = {"a/kernel": jnp.zeros((512, 512)), "b/kernel": jnp.zeros((512, 512))}

    def update(params, opt_state, ema, grads):
        new, opt_state, _ = opt.update(params, opt_state, grads, 0.0)
        return new, opt_state, optimizer.average(ema, new, 0, 0.9)

    compiled = (
        jax.jit(update, donate_argnums=(0, 1, 2))
        .lower(params, opt.init(params), params, params)
        .compile()
    )
    assert compiled.memory_analysis().temp_size_in_bytes < 100_000
    assert compiled.memory_analysis().alias_size_in_bytes >= 8 * 512 * 512 * 4


def test_average_follows_its_formula():
    rng = np.random.default_rng(0)
    series = rng.normal(size=(40, 3)).astype(np.float32)
    ema, expected = {"a": jnp.asarray(series[0])}, series[0].astype(np.float64)
    for step, value in enumerate(series[1:]):
        ema = optimizer.average(ema, {"a": jnp.asarray(value)}, step, 0.75)
        keep = min(0.75, (1 + step) / (10 + step))
        expected = keep * expected + (1 - keep) * value
        np.testing.assert_allclose(ema["a"], expected, rtol=1e-5, atol=1e-6)


def test_patterns_choose_whole_paths():
    tree = {"encoder": {"conv": {"kernel": 0, "bias": 1}}, "head": {"kernel": 2}}
    chosen = optimizer.trainable(tree, (r"head/.*", r".*/bias"))
    assert chosen == {"encoder/conv/bias": 1, "head/kernel": 2}
    assert optimizer.replaced(tree, {"head/kernel": 5}) == {
        "encoder": {"conv": {"kernel": 0, "bias": 1}},
        "head": {"kernel": 5},
    }


@pytest.mark.parametrize("patterns", [("kernel",), ("head/.*", "tail/.*"), ()])
def test_pattern_that_names_nothing_is_refused(patterns):
    with pytest.raises(ValueError, match=r"no parameter is called.*whole paths"):
        optimizer.trainable({"head": {"kernel": 2}}, patterns)
