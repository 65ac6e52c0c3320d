import jax
import jax.numpy as jnp
import numpy as np
import pytest

from distill_jax import weights
from distill_jax.models.conv_vae import LOG_VAR_LIMIT, WEIGHT_RULES, ConvVAE

SMALL = {"channels": (6, 10, 14), "latent": 5, "dropout": 0.0}
BATCH = 3


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def spectrogram(seed, size, batch=BATCH):
    rng = np.random.default_rng(seed)
    magnitude = np.abs(rng.normal(size=(batch, *size)))
    frequency = np.tanh(rng.normal(size=(batch, *size)))
    return np.stack([magnitude, frequency], axis=-1).astype(np.float32)


def variables_of(model, seed=0):
    feature_bftc = jnp.zeros((2, *model.size, 2))
    return jax.jit(model.init)(jax.random.key(seed), feature_bftc)


def channels_first(feature_bftc):
    return feature_bftc.transpose(0, 3, 1, 2)


def relative(found, expected):
    """Distance between two arrays over the length of the second."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def random_torch_model(torch, **sizes):
    """Weights of std 0.15 to 0.3, running statistics unlike those at birth.

    In float64: an activation beside ReLU's kink then falls on the side where it
    belongs, and not where rounding puts it, so gradients can be compared.
    """
    from oracles.torch_conv_vae import ConvVAE as TorchVAE

    generator = torch.Generator().manual_seed(1)
    torch.manual_seed(1)
    torch.manual_seed(1)
    model = TorchVAE(**sizes)
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            tensor.fill_(7)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 2.0, generator=generator)
        elif tensor.ndim == 1:
            tensor.add_(torch.empty_like(tensor).normal_(0, 0.15, generator=generator))
        else:
            std = max(0.15, min(0.3, tensor[0].numel() ** -0.5))
            tensor.normal_(0, std, generator=generator)
    return model.double()


def numpy_of(tensors):
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def autoencode(model, feature_bftc, noise_bz, train):
    mean_bz, log_var_bz = model.encode(feature_bftc, train)
    latent_bz = mean_bz + jnp.exp(0.5 * log_var_bz) * noise_bz
    return model.decode(latent_bz, train), mean_bz, log_var_bz


def ours(model, variables, inputs, train):
    """Outputs, gradients of parameters and input, and the new statistics."""
    feature_bftc, noise_bz, pulls = inputs

    def loss_fn(params, feature_bftc):
        outputs, state = model.apply(
            {**variables, "params": params},
            feature_bftc,
            noise_bz,
            train,
            method=autoencode,
            mutable=["batch_stats"],
        )
        loss = sum(jnp.vdot(p, o) for p, o in zip(pulls, outputs, strict=True))
        return loss, (outputs, state["batch_stats"])

    grad = jax.jit(jax.grad(loss_fn, argnums=(0, 1), has_aux=True))
    grads, (outputs, batch_stats) = grad(variables["params"], feature_bftc)
    return (*outputs, grads[1]), {"params": grads[0], "batch_stats": batch_stats}


def theirs(torch, model, inputs):
    """The same of the oracle, as numpy arrays in our layout and its names."""
    feature_bftc, noise_bz, pulls = inputs
    feature = torch.tensor(channels_first(feature_bftc), dtype=torch.float64)
    feature.requires_grad_()
    outputs = model(feature, torch.tensor(noise_bz, dtype=torch.float64))
    pulls = [channels_first(pulls[0]), *pulls[1:]]
    sum(
        (torch.tensor(p) * o).sum() for p, o in zip(pulls, outputs, strict=True)
    ).backward()
    arrays = [array.detach().numpy() for array in (*outputs, feature.grad)]
    arrays[0], arrays[3] = (arrays[i].transpose(0, 2, 3, 1) for i in (0, 3))
    grads = {name: tensor.grad for name, tensor in model.named_parameters()}
    return arrays, numpy_of({**model.state_dict(), **grads})


def assert_tensors_close(found, wanted, train):
    assert found.keys() == wanted.keys()
    largest = max(np.abs(array).max() for array in wanted.values())
    for name, array in found.items():
        # Nothing moves with a bias before batch norm: its gradient is rounding.
        if train and np.abs(wanted[name]).max() < 1e-9 * largest:
            assert np.abs(array).max() < 1e-5 * largest, name
        else:
            assert relative(array, wanted[name]) < 1e-5, name


@pytest.mark.parity
@pytest.mark.parametrize("train", [False, True], ids=["running", "batch"])
@pytest.mark.parametrize("form", ["matmul", "stock"])
@pytest.mark.parametrize("size", [(24, 16), (20, 37)], ids=["whole", "padded"])
def test_outputs_gradients_and_statistics_equal_torch(torch, train, form, size):
    oracle = random_torch_model(torch, size=size, **SMALL).train(train)
    model = ConvVAE(size=size, form=form, **SMALL)
    tensors = numpy_of(oracle.state_dict())
    variables = weights.to_flax(tensors, WEIGHT_RULES, variables_of(model))
    noise_bz = np.random.default_rng(3).normal(size=(BATCH, 5)).astype(np.float32)
    pulls = [spectrogram(4, size), noise_bz[::-1].copy(), noise_bz**2]
    inputs = spectrogram(2, size), noise_bz, pulls

    arrays, tree = ours(model, variables, inputs, train)
    wanted_arrays, wanted = theirs(torch, oracle, inputs)

    for found, expected in zip(arrays, wanted_arrays, strict=True):
        assert relative(found, expected) < 1e-5
    assert_tensors_close(weights.to_torch(tree, WEIGHT_RULES), wanted, train)


@pytest.mark.parity
def test_full_size_outputs_equal_torch(torch):
    oracle = random_torch_model(torch).eval()
    model = ConvVAE()
    template = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 128, 94, 2)))
    tensors = numpy_of(oracle.state_dict())
    variables = weights.to_flax(tensors, WEIGHT_RULES, template)
    feature_bftc = spectrogram(5, (128, 94), batch=1)
    found, out = jax.jit(model.apply)(variables, feature_bftc)
    with torch.no_grad():
        feature = torch.tensor(channels_first(feature_bftc), dtype=torch.float64)
        expected = oracle(feature, torch.zeros(1, 128, dtype=torch.float64))
    assert relative(found, expected[0].numpy().transpose(0, 2, 3, 1)) < 1e-5
    assert relative(out["mean_bz"], expected[1]) < 1e-5
    assert relative(out["log_var_bz"], expected[2]) < 1e-5


def test_parameters_at_128_by_94_count_17_276_034():
    variables = jax.eval_shape(
        ConvVAE().init, jax.random.key(0), jnp.zeros((1, 128, 94, 2))
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == 17_276_034


def test_weights_come_back_byte_equal_through_a_file(tmp_path):
    model = ConvVAE(size=(20, 37), **SMALL)
    variables = jax.device_get(variables_of(model, seed=3))
    path = tmp_path / "model.safetensors"
    weights.write(path, weights.to_torch(variables, WEIGHT_RULES))
    back = weights.to_flax(weights.read(path), WEIGHT_RULES, variables)
    assert jax.tree.structure(back) == jax.tree.structure(variables)
    leaves = zip(jax.tree.leaves(back), jax.tree.leaves(variables), strict=True)
    for found, expected in leaves:
        assert found.dtype == expected.dtype and found.shape == expected.shape
        assert found.tobytes() == expected.tobytes()


@pytest.fixture(scope="module")
def small():
    model = ConvVAE(size=(20, 37), **{**SMALL, "dropout": 0.5})
    return model, variables_of(model)


def train_apply(small, seed, **inputs):
    model, variables = small
    latent, dropout = jax.random.split(jax.random.key(seed))
    return model.apply(
        variables,
        spectrogram(6, model.size),
        train=True,
        rngs={"latent": latent, "dropout": dropout},
        mutable=["batch_stats"],
        **inputs,
    )


def test_eval_uses_the_mean_and_equals_encode_then_decode(small):
    model, variables = small
    feature_bftc = spectrogram(6, model.size)
    recon_bftc, out = model.apply(variables, feature_bftc)
    mean_bz, log_var_bz = model.apply(variables, feature_bftc, method="encode")
    assert recon_bftc.shape == feature_bftc.shape
    np.testing.assert_array_equal(out["latent_bz"], mean_bz)
    np.testing.assert_array_equal(out["log_var_bz"], log_var_bz)
    decoded_bftc = model.apply(variables, mean_bz, method="decode")
    np.testing.assert_allclose(decoded_bftc, recon_bftc, rtol=1e-6)
    assert recon_bftc[..., 0].min() > 0
    assert np.abs(recon_bftc[..., 1]).max() < 1


def test_training_samples_the_latent_with_its_posterior(small):
    (_, out), _ = train_apply(small, 0)
    (_, other), _ = train_apply(small, 1)
    noise_bz = (out["latent_bz"] - out["mean_bz"]) / np.exp(0.5 * out["log_var_bz"])
    assert 0.3 < np.std(noise_bz) < 2.0
    assert not np.allclose(out["latent_bz"], other["latent_bz"])
    (_, again), _ = train_apply(small, 0)
    np.testing.assert_array_equal(out["latent_bz"], again["latent_bz"])


def test_dropout_zeroes_whole_channels_and_rescales_the_rest():
    from distill_jax.models.conv_vae import ChannelDropout

    ones = jnp.ones((16, 5, 4, 64))
    dropped = ChannelDropout(0.25).apply(
        {}, ones, True, rngs={"dropout": jax.random.key(0)}
    )
    values = np.unique(dropped)
    np.testing.assert_allclose(values, [0, 1 / 0.75], rtol=1e-6)
    assert np.all(dropped == dropped[:, :1, :1])
    assert 0.2 < np.mean(dropped == 0) < 0.3
    np.testing.assert_array_equal(ChannelDropout(0.25).apply({}, ones, False), ones)


def test_training_moves_statistics_and_counts_batches(small):
    _, variables = small
    _, state = train_apply(small, 0)
    old, new = variables["batch_stats"], state["batch_stats"]
    assert new["encoder"]["norm_0"]["count"] == 1
    moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), old, new)
    assert all(jax.tree.leaves(moved))


def test_log_variance_stays_within_its_limit(small):
    model, variables = small
    variables = jax.tree.map(lambda leaf: leaf, variables)
    variables["params"]["encoder"]["log_var"]["kernel"] *= 1e4
    _, log_var_bz = model.apply(variables, spectrogram(6, model.size), method="encode")
    assert np.abs(log_var_bz).max() == LOG_VAR_LIMIT


@pytest.mark.parametrize("shape", [(1, 20, 36, 2), (1, 37, 20, 2), (1, 20, 37, 1)])
def test_other_sizes_are_refused_with_both_shapes(small, shape):
    model, variables = small
    with pytest.raises(ValueError, match=r"expected \('b', 20, 37, 2\)") as error:
        model.apply(variables, jnp.zeros(shape))
    assert str(shape) in str(error.value)
