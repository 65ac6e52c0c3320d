import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_speech import (
    SAMPLES,
    WAVE,
    WAVLM,
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
from distill_jax.models.gated_attention import Buckets
from distill_jax.models.transformer import stack_layers
from distill_jax.models.wav2vec2 import Wav2Vec2
from distill_jax.models.waveform import WaveformSizes

HUBERT = {**WAVE, "model_type": "hubert"}
LAYER = {"feat_extract_norm": "layer"}
STABLE = {"do_stable_layer_norm": True}
ADAPTER = {"add_adapter": True, "output_hidden_size": 18, "num_adapter_layers": 2}
BIAS = {"conv_bias": True}
CASES = {
    "wav2vec2-group": WAVE,
    "wav2vec2-group-bias": {**WAVE, **BIAS},
    "wav2vec2-group-stable": {**WAVE, **STABLE},
    "wav2vec2-layer": {**WAVE, **LAYER},
    "wav2vec2-layer-stable": {**WAVE, **LAYER, **STABLE},
    "wav2vec2-layer-stable-bias": {**WAVE, **LAYER, **STABLE, **BIAS},
    "wav2vec2-adapter": {**WAVE, **ADAPTER},
    "wav2vec2-language": {**WAVE, **LAYER, **STABLE, "adapter_attn_dim": 5},
    "wav2vec2-odd-positions": {**WAVE, "num_conv_pos_embeddings": 7},
    "hubert": HUBERT,
    "hubert-stable": {**HUBERT, **LAYER, **STABLE},
    "hubert-no-norm": {**HUBERT, "feat_proj_layer_norm": False},
    "hubert-batch-norm": {**HUBERT, "conv_pos_batch_norm": True},
    "wavlm-group": WAVLM,
    "wavlm-layer-stable": {**WAVLM, **LAYER, **STABLE},
    "wavlm-adapter": {**WAVLM, **ADAPTER},
}


@pytest.fixture(scope="module")
def transformers():
    pytest.importorskip("torch")
    return pytest.importorskip("transformers")


@pytest.mark.parity
@pytest.mark.parametrize("config", CASES.values(), ids=CASES)
def test_every_hidden_state_equals_transformers(transformers, config):
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
        assert array.dtype == tensors[name].dtype
        assert array.shape == tensors[name].shape
        assert array.tobytes() == tensors[name].tobytes()


@pytest.mark.parity
def test_hidden_frames_are_those_of_transformers(transformers):
    oracle, tensors = transformers_model(WAVE)
    model = hf.from_config(WAVE)
    template = template_of(model, WAVE)
    variables = weights.to_flax(tensors, rules_of(WAVE), template)
    x, mask = inputs(WAVE)
    frames = model.waveform.frames(SAMPLES)
    hidden = np.random.default_rng(4).random((2, frames)) < 0.3
    found = jax.jit(model.apply)(variables, x, mask, hidden_bt=hidden)
    expected = run_transformers(oracle, x, mask, mask_time_indices=hidden)
    assert largest_difference(found, expected) < 1e-5


@pytest.mark.parity
def test_buckets_are_those_of_transformers(transformers):
    torch = pytest.importorskip("torch")
    from transformers.models.wavlm.modeling_wavlm import WavLMAttention

    attention = WavLMAttention(24, 3, num_buckets=320, max_distance=800)
    distance = np.arange(-30000, 30001)
    expected = attention._relative_positions_bucket(torch.tensor(distance))
    np.testing.assert_array_equal(Buckets().of(distance), expected)


@pytest.mark.parametrize(
    ("options", "leaves", "parameters"),
    [({}, 211, 94_371_712), ({"buckets": Buckets()}, 248, 94_381_936)],
    ids=["wav2vec2-base", "wavlm-base"],
)
def test_full_size_has_the_tensors_of_the_public_checkpoint(
    options, leaves, parameters
):
    model = Wav2Vec2(**options)
    wave_bs = jnp.zeros((1, 4000))
    found = jax.tree.leaves(jax.eval_shape(model.init, jax.random.key(0), wave_bs))
    assert len(found) == leaves
    assert sum(leaf.size for leaf in found) == parameters


def test_frames_are_counted_as_the_convolutions_make_them():
    sizes = WaveformSizes()
    assert [sizes.frames(n) for n in (399, 400, 16000, 160000)] == [0, 1, 49, 499]
    assert sizes.frames(5) <= 0
    assert sizes.fewest == 400


def test_a_waveform_too_short_for_a_frame_is_refused():
    model = hf.from_config(WAVE)
    fewest = model.waveform.fewest
    shape = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, fewest)))
    assert shape
    with pytest.raises(ValueError, match=f"a frame needs {fewest}"):
        model.init(jax.random.key(0), jnp.zeros((1, fewest - 1)))


def test_buckets_in_blocks_are_refused():
    with pytest.raises(ValueError, match="form='auto' or 'dense'"):
        template_of(hf.from_config(WAVLM, form="blocks"), WAVLM)


def real_frames(config):
    """Frames of the shorter clip, in a batch with padding and alone."""
    model, variables = random_variables(config)
    x, mask = inputs(config)
    result, out = jax.jit(model.apply)(variables, x, mask)
    alone, _ = jax.jit(model.apply)(variables, x[1:, : mask[1].sum()])
    return result[1][out["mask_bt"][1]], alone[0]


def test_padding_does_not_change_real_frames_under_layer_norm():
    padded, alone = real_frames({**WAVE, **LAYER})
    np.testing.assert_allclose(padded, alone, atol=1e-5)


def test_padding_changes_real_frames_under_group_norm():
    padded, alone = real_frames(WAVE)
    assert padded.shape == alone.shape
    assert np.abs(padded - alone).max() > 0.1


def test_an_example_without_a_frame_is_all_padding():
    model, variables = random_variables(WAVE)
    x, _ = inputs(WAVE)
    mask = np.arange(SAMPLES)[None] < np.array([[SAMPLES], [9]])
    result, out = jax.jit(model.apply)(variables, x, mask)
    assert not out["mask_bt"][1].any()
    assert np.isfinite(result).all()


def test_a_stable_model_names_the_states_around_its_last_norm():
    model, variables = random_variables({**WAVE, **LAYER, **STABLE})
    x, mask = inputs(WAVE)
    result, out = jax.jit(model.apply)(variables, x, mask)
    np.testing.assert_array_equal(out["pre_norm_btd"], out["hidden_nbtd"][-1])
    np.testing.assert_array_equal(out["post_norm_btd"], result)
    assert not np.allclose(out["pre_norm_btd"], out["post_norm_btd"], atol=0.1)


def test_scan_gives_the_same_from_stacked_parameters():
    model, variables = random_variables(WAVLM)
    scanned = hf.from_config(WAVLM, scan=True, remat=True)
    stacked = {"params": stack_layers(variables["params"])}
    x, mask = inputs(WAVLM)
    (found, _), (expected, _) = jax.jit(
        lambda: (scanned.apply(stacked, x, mask), model.apply(variables, x, mask))
    )()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_training_varies_with_the_key_and_moves_batch_statistics():
    config = {**HUBERT, "conv_pos_batch_norm": True}
    model, variables = random_variables(config)
    x, mask = inputs(config)

    @jax.jit
    def train(seed):
        rngs = {"dropout": jax.random.key(seed)}
        options = {"train": True, "rngs": rngs, "mutable": ["batch_stats"]}
        return model.apply(variables, x, mask, **options)

    (first, _), state = train(0)
    (again, _), _ = train(0)
    (other, _), _ = train(1)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other, atol=1e-2)
    old = variables["batch_stats"]["position"]["batch_norm"]
    new = state["batch_stats"]["position"]["batch_norm"]
    assert new["count"] == old["count"] + 1
    assert np.abs(new["mean"] - old["mean"]).max() > 1e-3
