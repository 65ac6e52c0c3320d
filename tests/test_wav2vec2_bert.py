import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_speech import (
    BERT,
    BERT_ADAPTER,
    inputs,
    largest_difference,
    random_variables,
    rules_of,
    run_both_ways,
    run_transformers,
    template_of,
    transformers_model,
)

from distill_jax import weights
from distill_jax.models import hf
from distill_jax.models.conformer import DepthwiseConv
from distill_jax.models.transformer import stack_layers, unstack_layers
from distill_jax.models.wav2vec2_bert import Wav2Vec2Bert

KINDS = ["relative_key", "relative", "rotary", None]


@pytest.fixture(scope="module")
def transformers():
    pytest.importorskip("torch")
    return pytest.importorskip("transformers")


@pytest.mark.parity
@pytest.mark.parametrize("adapter", [{}, BERT_ADAPTER], ids=["plain", "adapter"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_hidden_state_equals_transformers(transformers, kind, adapter):
    config = {**BERT, "position_embeddings_type": kind, **adapter}
    oracle, tensors = transformers_model(config)
    model = hf.from_config(config)
    template = template_of(model, config)
    variables = weights.to_flax(tensors, rules_of(config), template)
    for found, x, mask in run_both_ways(model, variables, config):
        expected = run_transformers(oracle, x, mask)
        assert largest_difference(found, expected) < 1e-5
    back = weights.to_torch(variables, rules_of(config))
    assert back.keys() == tensors.keys()
    for name, array in back.items():
        assert array.shape == tensors[name].shape
        assert array.tobytes() == tensors[name].tobytes()


@pytest.mark.parity
def test_hidden_frames_are_those_of_transformers(transformers):
    oracle, tensors = transformers_model(BERT)
    model = hf.from_config(BERT)
    template = template_of(model, BERT)
    variables = weights.to_flax(tensors, rules_of(BERT), template)
    x, mask = inputs(BERT)
    hidden = np.random.default_rng(4).random(mask.shape) < 0.3
    found = jax.jit(model.apply)(variables, x, mask, hidden_bt=hidden)
    expected = run_transformers(oracle, x, mask, mask_time_indices=hidden)
    assert largest_difference(found, expected) < 1e-5


def test_full_size_has_the_tensors_of_the_public_checkpoint():
    features = jnp.zeros((1, 4, 160))
    shapes = jax.eval_shape(Wav2Vec2Bert().init, jax.random.key(0), features)
    leaves = jax.tree.leaves(shapes)
    assert len(leaves) == 773
    assert sum(leaf.size for leaf in leaves) == 580_493_120


@pytest.fixture(scope="module")
def small():
    config = {**BERT, "layerdrop": 0.0}
    return (*random_variables(config), *inputs(config))


@pytest.fixture(scope="module")
def states(small):
    """The result and every hidden state of real frames of the shorter clip."""
    model, variables, x, mask = small
    result, out = jax.jit(model.apply)(variables, x, mask)
    return np.stack([*out["hidden_nbtd"], result])


def test_padding_does_not_change_real_frames(small, states):
    model, variables, x, mask = small
    x = np.where(mask[:, :, None], x, np.nan)
    result, out = jax.jit(model.apply)(variables, x, mask)
    found = np.stack([*out["hidden_nbtd"], result])
    np.testing.assert_allclose(found[:, mask], states[:, mask], atol=1e-5)
    alone, _ = jax.jit(model.apply)(variables, x[1:, : mask[1].sum()])
    np.testing.assert_allclose(states[-1, 1][mask[1]], alone[0], atol=1e-5)


def test_the_convolution_is_causal_and_as_wide_as_its_kernel(small):
    params = small[1]["params"]["encoder"]["layers_0"]["conv"]["depthwise"]
    x_btd = np.random.default_rng(0).normal(size=(1, 20, 24)).astype(np.float32)
    changed = x_btd.copy()
    changed[:, 12] += 1.0
    conv = DepthwiseConv(kernel_size=7)
    moved = conv.apply({"params": params}, changed) - conv.apply(
        {"params": params}, x_btd
    )
    frames = np.flatnonzero(np.abs(moved).max(axis=(0, 2)) > 1e-3)
    np.testing.assert_array_equal(frames, np.arange(12, 19))


def test_the_convolution_equals_that_of_xla():
    width = 24
    rng = np.random.default_rng(0)
    x_btd = rng.normal(size=(2, 20, width)).astype(np.float32)
    kernel_w1d = rng.normal(size=(7, 1, width)).astype(np.float32)
    found = DepthwiseConv(7).apply({"params": {"kernel": kernel_w1d}}, x_btd)
    expected = jax.lax.conv_general_dilated(
        x_btd,
        kernel_w1d,
        (1,),
        [(6, 0)],
        dimension_numbers=("NWC", "WIO", "NWC"),
        feature_group_count=width,
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_scan_gives_the_same_from_stacked_parameters(small, states):
    _, variables, x, mask = small
    model = hf.from_config({**BERT, "layerdrop": 0.0}, scan=True)
    stacked = {"params": stack_layers(variables["params"])}
    shapes = jax.eval_shape(model.init, jax.random.key(0), x, mask)
    assert jax.tree.map(jnp.shape, stacked) == jax.tree.map(jnp.shape, shapes)
    result, out = jax.jit(model.apply)(stacked, x, mask)
    found = np.stack([*out["hidden_nbtd"], result])
    np.testing.assert_allclose(found, states, atol=1e-5)


def test_stacking_and_unstacking_give_the_same_bytes(small):
    params = small[1]["params"]
    back = unstack_layers(stack_layers(params))
    assert jax.tree.structure(back) == jax.tree.structure(params)
    for a, b in zip(jax.tree.leaves(back), jax.tree.leaves(params), strict=True):
        assert np.asarray(a).tobytes() == b.tobytes()


def gradients(small, **options):
    _, variables, x, mask = small
    model = hf.from_config({**BERT, "layerdrop": 0.0}, **options)
    params = stack_layers(variables["params"])

    def loss(params):
        return jnp.sum(model.apply({"params": params}, x, mask)[0] ** 2)

    return jax.jit(jax.grad(loss))(params)


def test_recomputing_layers_gives_the_same_gradients(small):
    expected = gradients(small, scan=True)
    found = gradients(small, scan=True, remat=True)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


def test_training_varies_with_the_key_and_only_with_it():
    drops = {"hidden_dropout": 0.2, "layerdrop": 0.3, "attention_dropout": 0.1}
    model, variables = random_variables({**BERT, **drops})
    x, mask = inputs(BERT)

    @jax.jit
    def train(seed):
        rngs = {"dropout": jax.random.key(seed)}
        return model.apply(variables, x, mask, train=True, rngs=rngs)[0]

    first = train(0)
    np.testing.assert_array_equal(first, train(0))
    assert not np.allclose(first, train(1), atol=1e-2)
    assert not np.allclose(first, jax.jit(model.apply)(variables, x, mask)[0])


@pytest.mark.parametrize("scan", [False, True])
def test_layer_drop_skips_whole_layers(scan):
    config = {**BERT, "layerdrop": 0.5, "mask_time_prob": 0.0}
    config["conformer_conv_dropout"] = 0.0
    model, variables = random_variables(config, scan=scan)
    params = stack_layers(variables["params"]) if scan else variables["params"]
    x, mask = inputs(config)

    @jax.jit
    def skipped(seed):
        rngs = {"dropout": jax.random.key(seed)}
        _, out = model.apply({"params": params}, x, mask, train=True, rngs=rngs)
        first, second, third = out["hidden_nbtd"]
        return jnp.stack([jnp.all(first == second), jnp.all(second == third)])

    seen = {tuple(np.asarray(skipped(seed)).tolist()) for seed in range(30)}
    assert len(seen) == 4
