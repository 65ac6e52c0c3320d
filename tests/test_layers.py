from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from distill_jax.models import depthwise, layers, strided

SIZES = [(8, 6), (7, 5), (1, 1), (2, 3), (4, 3)]


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def first(array_byxi):
    return array_byxi.transpose(0, 3, 1, 2)


def last(array_bixy):
    return array_bixy.transpose(0, 2, 3, 1)


def torch_conv(torch, x_byxi, kernel_yxio, pull_byxo, stride):
    """Output, input gradient and kernel gradient of torch's Conv2d."""
    x = torch.tensor(first(x_byxi), requires_grad=True)
    kernel = torch.tensor(kernel_yxio.transpose(3, 2, 0, 1), requires_grad=True)
    groups = x_byxi.shape[-1] // kernel_yxio.shape[2]
    y = torch.nn.functional.conv2d(x, kernel, None, stride, 1, groups=groups)
    (y * torch.tensor(first(pull_byxo))).sum().backward()
    return (
        last(y.detach().numpy()),
        last(x.grad.numpy()),
        kernel.grad.numpy().transpose(2, 3, 1, 0),
    )


def torch_transposed(torch, x_byxi, kernel_yxio, pull_byxo):
    """Output, input gradient and kernel gradient of torch's ConvTranspose2d."""
    x = torch.tensor(first(x_byxi), requires_grad=True)
    kernel = torch.tensor(kernel_yxio.transpose(2, 3, 0, 1), requires_grad=True)
    y = torch.nn.functional.conv_transpose2d(
        x, kernel, stride=2, padding=1, output_padding=1
    )
    (y * torch.tensor(first(pull_byxo))).sum().backward()
    return (
        last(y.detach().numpy()),
        last(x.grad.numpy()),
        kernel.grad.numpy().transpose(2, 3, 0, 1),
    )


def ours(conv, x_byxi, kernel_yxio, pull_byxo):
    y_byxo, pull = jax.vjp(conv, x_byxi, kernel_yxio)
    return (y_byxo, *pull(pull_byxo))


def assert_all_close(found, expected):
    for array, wanted in zip(found, expected, strict=True):
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(array, wanted, rtol=0, atol=1e-5 * scale)


@pytest.mark.parity
@pytest.mark.parametrize("form", ["matmul", "stock", "auto"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("widths", [(2, 5), (6, 3)])
def test_strided_conv_and_its_gradients_equal_torch(torch, form, size, widths):
    x_byxi, kernel_yxio = normal(0, 3, *size, widths[0]), normal(1, 3, 3, *widths)
    pull_byxo = normal(2, 3, -(-size[0] // 2), -(-size[1] // 2), widths[1])
    conv = jax.jit(partial(ours, partial(strided.strided_conv, form=form)))
    found = conv(x_byxi, kernel_yxio, pull_byxo)
    assert_all_close(found, torch_conv(torch, x_byxi, kernel_yxio, pull_byxo, 2))


@pytest.mark.parity
@pytest.mark.parametrize("form", ["matmul", "stock"])
@pytest.mark.parametrize("size", [(7, 5), (1, 1), (4, 3)])
def test_conv_at_stride_1_and_its_gradients_equal_torch(torch, form, size):
    x_byxi, kernel_yxio = normal(0, 3, *size, 6), normal(1, 3, 3, 6, 5)
    pull_byxo = normal(2, 3, *size, 5)
    conv = jax.jit(partial(ours, partial(strided.strided_conv, form=form, stride=1)))
    found = conv(x_byxi, kernel_yxio, pull_byxo)
    assert_all_close(found, torch_conv(torch, x_byxi, kernel_yxio, pull_byxo, 1))


@pytest.mark.parity
@pytest.mark.parametrize("form", ["matmul", "stock"])
@pytest.mark.parametrize("size", [(7, 5), (1, 1), (4, 3)])
@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_conv_and_its_gradients_equal_torch(torch, form, size, stride):
    x_byxi, kernel_yx1i = normal(0, 3, *size, 5), normal(1, 3, 3, 1, 5)
    pull_byxi = normal(2, 3, -(-size[0] // stride), -(-size[1] // stride), 5)
    conv = partial(depthwise.depthwise_conv, form=form, stride=stride)
    found = jax.jit(partial(ours, conv))(x_byxi, kernel_yx1i, pull_byxi)
    assert_all_close(found, torch_conv(torch, x_byxi, kernel_yx1i, pull_byxi, stride))


@pytest.mark.parity
@pytest.mark.parametrize("form", ["matmul", "stock", "auto"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("widths", [(2, 5), (6, 2)])
def test_transposed_conv_and_its_gradients_equal_torch(torch, form, size, widths):
    x_byxi, kernel_yxio = normal(0, 3, *size, widths[0]), normal(1, 3, 3, *widths)
    pull_byxo = normal(2, 3, 2 * size[0], 2 * size[1], widths[1])
    conv = jax.jit(partial(ours, partial(strided.transposed_conv, form=form)))
    found = conv(x_byxi, kernel_yxio, pull_byxo)
    assert_all_close(found, torch_transposed(torch, x_byxi, kernel_yxio, pull_byxo))


@pytest.mark.parametrize("conv", [strided.strided_conv, strided.transposed_conv])
def test_unknown_form_is_refused_with_the_choices(conv):
    with pytest.raises(ValueError, match="'fast', expected one of auto, matmul, stock"):
        conv(normal(0, 1, 4, 4, 2), normal(1, 3, 3, 2, 2), form="fast")


@pytest.mark.parametrize("conv", [strided.strided_conv, depthwise.depthwise_conv])
def test_strides_other_than_1_and_2_are_refused(conv):
    with pytest.raises(ValueError, match="stride is 3, expected 1 or 2"):
        conv(normal(0, 1, 4, 4, 2), normal(1, 3, 3, 2, 2), stride=3)


def test_transposed_conv_is_the_adjoint_of_strided_conv():
    x_byxi, y_byxo = normal(0, 2, 8, 6, 4), normal(1, 2, 4, 3, 5)
    kernel_yxio = normal(2, 3, 3, 4, 5)
    forward = jnp.vdot(strided.strided_conv(x_byxi, kernel_yxio), y_byxo)
    swapped_yxoi = kernel_yxio.swapaxes(2, 3)
    backward = jnp.vdot(x_byxi, strided.transposed_conv(y_byxo, swapped_yxoi))
    np.testing.assert_allclose(forward, backward, rtol=1e-5)


@pytest.mark.parametrize("module", [layers.StridedConv, layers.TransposedConv])
@pytest.mark.parametrize("form", ["matmul", "stock"])
def test_modules_add_their_bias(module, form):
    x_byxi = normal(0, 2, 6, 4, 3)
    conv = module(5, form)
    variables = conv.init(jax.random.key(0), x_byxi)
    assert variables["params"]["kernel"].shape == (3, 3, 3, 5)
    plain = conv.apply(variables, x_byxi)
    variables["params"]["bias"] = variables["params"]["bias"] + normal(1, 5)
    moved = conv.apply(variables, x_byxi)
    np.testing.assert_allclose(
        moved - plain, np.broadcast_to(normal(1, 5), moved.shape), atol=1e-6
    )


@pytest.mark.parametrize("offset", [0.0, 300.0])
@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parity
def test_batch_norm_equals_torch(torch, train, offset):
    x_byxi = normal(0, 4, 6, 5, 7) * 2 + np.float32(offset)
    oracle = torch.nn.BatchNorm2d(7).double().train(train)
    for seed, tensor in enumerate([oracle.weight, oracle.bias, oracle.running_mean]):
        tensor.data.add_(torch.tensor(normal(seed + 1, 7)))
    oracle.running_var.uniform_(0.5, 2, generator=torch.Generator().manual_seed(0))
    variables = {
        "params": {
            "scale": oracle.weight.detach().numpy().astype(np.float32),
            "bias": oracle.bias.detach().numpy().astype(np.float32),
        },
        "batch_stats": {
            "mean": oracle.running_mean.numpy().astype(np.float32),
            "var": oracle.running_var.numpy().astype(np.float32),
            "count": np.int32(0),
        },
    }
    pull_byxi = normal(9, *x_byxi.shape)

    def apply(params, x_byxi):
        return layers.BatchNorm().apply(
            {**variables, "params": params}, x_byxi, train, mutable=["batch_stats"]
        )

    y_byxi, pull, state = jax.vjp(apply, variables["params"], x_byxi, has_aux=True)
    grads, x_grad = pull(pull_byxi)
    x = torch.tensor(first(x_byxi), dtype=torch.float64, requires_grad=True)
    y = oracle(x)
    (y * torch.tensor(first(pull_byxi))).sum().backward()
    stats = state["batch_stats"]
    found = y_byxi, x_grad, grads["scale"], grads["bias"], stats["mean"], stats["var"]
    expected = [
        last(y.detach().numpy()),
        last(x.grad.numpy()),
        oracle.weight.grad.numpy(),
        oracle.bias.grad.numpy(),
        oracle.running_mean.numpy(),
        oracle.running_var.numpy(),
    ]
    # At an offset of 150 deviations float32 itself has lost two digits.
    tolerance = 1e-5 if offset == 0 else 1e-4
    for array, wanted in zip(found, expected, strict=True):
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(array, wanted, rtol=0, atol=tolerance * scale)
    assert stats["count"] == int(oracle.num_batches_tracked)


def test_batch_norm_refuses_one_value_per_channel():
    norm = layers.BatchNorm()
    x_byxi = jnp.ones((1, 1, 1, 3))
    variables = norm.init(jax.random.key(0), x_byxi)
    with pytest.raises(ValueError, match="one value per channel"):
        norm.apply(variables, x_byxi, True, mutable=["batch_stats"])
