import jax
import jax.numpy as jnp
import numpy as np
import pytest

from distill_jax import weights
from distill_jax.models.tiny_conv import WEIGHT_RULES, Layer, TinyConv, weight_rules

SMALL = {"channels": (5, 6, 8, 8), "strides": (2, 2, 1, 1), "size": (21, 10)}
KINDS = [(False, False), (True, False), (False, True), (True, True)]
IDS = ["full", "depthwise", "full-residual", "depthwise-residual"]


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def windows(seed, model, batch=4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(batch, *model.size)).astype(np.float32)


def shapes_of(model):
    feature_btf = jnp.zeros((1, *model.size))
    return jax.eval_shape(model.init, jax.random.key(0), feature_btf)


def variables_of(model, seed=0):
    """Variables drawn by numpy: to compile the model's own draws takes seconds."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: rng.uniform(0.1, 1.0, leaf.shape).astype(leaf.dtype),
        shapes_of(model),
    )


def parameters(model):
    return sum(leaf.size for leaf in jax.tree.leaves(shapes_of(model)["params"]))


def test_parameters_of_two_classes_are_those_of_the_pytorch_original():
    full, depthwise = (parameters(TinyConv(use_depthwise=d)) for d in (False, True))
    assert (full, depthwise) == (60_530, 8_514)
    assert depthwise <= 0.3 * full


def numpy_of(tensors):
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def random_torch_model(torch, model):
    """The oracle in float64, with statistics unlike those at birth."""
    from oracles.torch_tiny_conv import ResidualTinyConv
    from oracles.torch_tiny_conv import TinyConv as TorchTinyConv

    torch.manual_seed(1)
    kind = ResidualTinyConv if model.residual else TorchTinyConv
    oracle = kind(
        channels=model.channels,
        strides=model.strides,
        use_depthwise=model.use_depthwise,
        classes=model.classes,
    )
    for name, tensor in oracle.state_dict().items():
        if name.endswith("num_batches_tracked"):
            tensor.fill_(7)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 2.0)
        elif tensor.ndim == 1:
            tensor.add_(torch.randn(tensor.shape) * 0.2)
    return oracle.double()


def ours(model, variables, inputs, train):
    """Logits, gradient of the windows, and a tree of gradients and statistics."""
    feature_btf, pull_bc = inputs

    def loss_fn(params, feature_btf):
        (logits_bc, _), state = model.apply(
            {**variables, "params": params}, feature_btf, train, mutable=["batch_stats"]
        )
        return jnp.vdot(logits_bc, pull_bc), (logits_bc, state["batch_stats"])

    grad = jax.jit(jax.grad(loss_fn, argnums=(0, 1), has_aux=True))
    (params, x_grad), (logits_bc, stats) = grad(variables["params"], feature_btf)
    return logits_bc, x_grad, {"params": params, "batch_stats": stats}


def theirs(torch, oracle, inputs):
    """The same of the oracle, under its own names."""
    feature_btf, pull_bc = inputs
    picture_b1ft = feature_btf.swapaxes(1, 2)[:, None]
    x = torch.tensor(picture_b1ft, dtype=torch.float64, requires_grad=True)
    logits = oracle(x)
    (logits * torch.tensor(pull_bc)).sum().backward()
    grads = {name: tensor.grad for name, tensor in oracle.named_parameters()}
    x_grad = x.grad.numpy()[:, 0].swapaxes(1, 2)
    return (
        logits.detach().numpy(),
        x_grad,
        numpy_of({**oracle.state_dict(), **grads}),
    )


def relative(found, expected):
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape
    return np.linalg.norm(found - expected) / max(np.linalg.norm(expected), 1e-12)


@pytest.mark.parity
@pytest.mark.parametrize("train", [False, True], ids=["running", "batch"])
@pytest.mark.parametrize(("depthwise", "residual"), KINDS, ids=IDS)
def test_logits_gradients_and_statistics_equal_torch(torch, train, depthwise, residual):
    model = TinyConv(3, use_depthwise=depthwise, residual=residual, **SMALL)
    oracle = random_torch_model(torch, model).train(train)
    tensors = numpy_of(oracle.state_dict())
    variables = weights.to_flax(tensors, WEIGHT_RULES, shapes_of(model))
    inputs = windows(2, model), np.random.default_rng(3).normal(size=(4, 3))

    logits_bc, x_grad, tree = ours(model, variables, inputs, train)
    wanted_bc, wanted_x_grad, wanted = theirs(torch, oracle, inputs)

    np.testing.assert_allclose(logits_bc, wanted_bc, rtol=0, atol=1e-5)
    assert relative(x_grad, wanted_x_grad) < 1e-5
    found = weights.to_torch(tree, WEIGHT_RULES)
    assert found.keys() == wanted.keys()
    for name, array in found.items():
        assert relative(array, wanted[name]) < 1e-5, name


@pytest.mark.parity
@pytest.mark.parametrize("depthwise", [False, True])
def test_full_size_logits_equal_torch(torch, depthwise):
    model = TinyConv(use_depthwise=depthwise)
    oracle = random_torch_model(torch, model).eval()
    tensors = numpy_of(oracle.state_dict())
    variables = weights.to_flax(tensors, WEIGHT_RULES, shapes_of(model))
    feature_btf = windows(2, model)
    found_bc, out = jax.jit(model.apply)(variables, feature_btf)
    picture = torch.tensor(feature_btf.swapaxes(1, 2)[:, None], dtype=torch.float64)
    with torch.no_grad():
        np.testing.assert_allclose(found_bc, oracle(picture), rtol=0, atol=1e-5)
        embed = oracle.classifier[:2](oracle.features(picture))
    np.testing.assert_allclose(out["embed_bd"], embed, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("depthwise", "residual"), KINDS, ids=IDS)
def test_weights_come_back_byte_equal_through_a_file(tmp_path, depthwise, residual):
    model = TinyConv(4, use_depthwise=depthwise, residual=residual, **SMALL)
    variables = variables_of(model, seed=3)
    path = tmp_path / "model.safetensors"
    weights.write(path, weights.to_torch(variables, WEIGHT_RULES))
    back = weights.to_flax(weights.read(path), WEIGHT_RULES, variables)
    assert jax.tree.structure(back) == jax.tree.structure(variables)
    leaves = zip(jax.tree.leaves(back), jax.tree.leaves(variables), strict=True)
    for found, expected in leaves:
        assert found.dtype == expected.dtype and found.shape == expected.shape
        assert found.tobytes() == expected.tobytes()


def test_rules_with_dropout_count_its_modules():
    tensors = weights.to_torch(variables_of(TinyConv(**SMALL)), weight_rules(True))
    assert "features.4.weight" in tensors and "features.13.bias" in tensors


def test_plan_names_what_is_built():
    model = TinyConv(channels=(4, 6, 6), strides=(2, 2, 1), residual=True)
    assert model.plan() == [
        Layer("conv", 4, 2),
        Layer("conv", 6, 2),
        Layer("conv", 6, 1, True),
    ]
    assert model.clone(use_depthwise=True).plan()[1:] == [
        Layer("depthwise", 4, 2),
        Layer("pointwise", 6, 1),
        Layer("depthwise", 6, 1),
        Layer("pointwise", 6, 1, True),
    ]


def test_embedding_is_the_mean_of_the_last_layer():
    model = TinyConv(use_depthwise=True, **SMALL)
    _, out = model.apply(variables_of(model), windows(1, model))
    assert out["layer_0_byxi"].shape == (4, 11, 5, 5)
    np.testing.assert_allclose(
        out["embed_bd"], out["layer_6_byxi"].mean(axis=(1, 2)), rtol=1e-6
    )


def test_windows_of_another_size_are_refused_with_both():
    model = TinyConv(**SMALL)
    with pytest.raises(ValueError, match=r"\(2, 10, 21\), expected \('b', 21, 10\)"):
        model.init(jax.random.key(0), jnp.zeros((2, 10, 21)))


def test_strides_that_do_not_match_the_widths_are_refused():
    with pytest.raises(ValueError, match="same length"):
        TinyConv(channels=(4, 8), strides=(2,)).plan()
