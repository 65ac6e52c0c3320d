"""Checkpoints that `transformers` writes come back to it with nothing changed."""

import json

import jax
import numpy as np
import pytest

from distill_jax import weights

pytestmark = pytest.mark.parity

LAYER = "encoder.layers.{i}"
NORMS = (
    "ffn1_layer_norm",
    "ffn2_layer_norm",
    "self_attn_layer_norm",
    "final_layer_norm",
    "conv_module.layer_norm",
    "conv_module.depthwise_layer_norm",
)
DENSE = (
    "ffn1.intermediate_dense",
    "ffn1.output_dense",
    "ffn2.intermediate_dense",
    "ffn2.output_dense",
    *(f"self_attn.linear_{name}" for name in ("q", "k", "v", "out")),
)
RULES = (
    ("masked_spec_embed", "masked_spec_embed", weights.vector),
    ("feature_projection.layer_norm", "norm", weights.layer_norm),
    ("feature_projection.projection", "projection", weights.linear),
    *((f"{LAYER}.{n}", f"layer_{{i}}/{n}", weights.layer_norm) for n in NORMS),
    *((f"{LAYER}.{n}", f"layer_{{i}}/{n}", weights.linear) for n in DENSE),
    (
        f"{LAYER}.self_attn.distance_embedding",
        "layer_{i}/distance",
        weights.embedding,
    ),
    (f"{LAYER}.conv_module.pointwise_conv1", "layer_{i}/in", weights.pointwise_conv1d),
    (f"{LAYER}.conv_module.pointwise_conv2", "layer_{i}/out", weights.pointwise_conv1d),
    (f"{LAYER}.conv_module.depthwise_conv", "layer_{i}/taps", weights.depthwise_conv1d),
    ("lm_head", "lm_head", weights.linear),
)
CHECKPOINT = weights.Checkpoint(
    rules=RULES,
    prefixes=("wav2vec2_bert.", ""),
    optional=("masked_spec_embed",),
    ignored=((r"lm_head\..*", "the head is not part of the encoder"),),
    heads=(r"lm_head\..*",),
)
WIDTH, INNER, LAYERS, HEADS, VOCABULARY = 16, 24, 2, 2, 11


def shapes(head):
    def norm():
        return {"scale": (WIDTH,), "bias": (WIDTH,)}

    def dense(i, o):
        return {"kernel": (i, o), "bias": (o,)}

    layer = {name: norm() for name in NORMS}
    layer |= {name: dense(WIDTH, WIDTH) for name in DENSE}
    for name in ("ffn1", "ffn2"):
        layer[f"{name}.intermediate_dense"] = dense(WIDTH, INNER)
        layer[f"{name}.output_dense"] = dense(INNER, WIDTH)
    layer |= {
        "distance": {"embedding": (73, WIDTH // HEADS)},
        "in": {"kernel": (WIDTH, 2 * WIDTH)},
        "out": {"kernel": (WIDTH, WIDTH)},
        "taps": {"kernel": (31, 1, WIDTH)},
    }
    params = {f"layer_{number}": layer for number in range(LAYERS)}
    params |= {"masked_spec_embed": (WIDTH,), "projection": dense(8, WIDTH)}
    params["norm"] = {"scale": (8,), "bias": (8,)}
    if head:
        params["lm_head"] = dense(WIDTH, VOCABULARY)
    return {"params": params}


def template(head):
    return jax.tree.map(
        lambda shape: jax.ShapeDtypeStruct(shape, np.float32),
        shapes(head),
        is_leaf=lambda leaf: isinstance(leaf, tuple),
    )


@pytest.fixture(scope="module")
def hf():
    pytest.importorskip("torch")
    return pytest.importorskip("transformers")


@pytest.fixture(scope="module", params=["one file", "shards"])
def saved(hf, request, tmp_path_factory):
    """A CTC model as `save_pretrained` writes it."""
    config = hf.Wav2Vec2BertConfig(
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=INNER,
        feature_projection_input_dim=8,
        vocab_size=VOCABULARY,
    )
    folder = tmp_path_factory.mktemp("hf")
    size = "5GB" if request.param == "one file" else "10KB"
    hf.Wav2Vec2BertForCTC(config).save_pretrained(folder, max_shard_size=size)
    assert len(list(folder.glob("*.safetensors"))) > 1 or size == "5GB"
    return folder


def same_tensors(one, other):
    one, other = weights.read(one), weights.read(other)
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert (array.dtype, array.shape) == (other[name].dtype, other[name].shape)
        assert array.tobytes() == other[name].tobytes(), name


@pytest.mark.parametrize("most", [10**9, 20_000])
def test_a_saved_model_round_trips_and_transformers_takes_it_back(
    hf, saved, tmp_path, most
):
    variables, report = weights.load(saved, CHECKPOINT, template(head=True))
    assert report.cast == report.missing == report.ignored == report.aliases == {}
    config = weights.read_config(saved)
    weights.export(tmp_path, variables, CHECKPOINT, config, most)
    same_tensors(saved, tmp_path)
    assert config == json.loads((tmp_path / "config.json").read_text())
    _, told = hf.Wav2Vec2BertForCTC.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(told.values()), told


def test_the_encoder_of_a_model_with_a_head_is_a_model_of_its_own(hf, saved, tmp_path):
    variables, report = weights.load(saved, CHECKPOINT, template(head=False))
    assert report.ignored.keys() == {"lm_head.weight", "lm_head.bias"}
    weights.export(tmp_path, variables, CHECKPOINT, weights.read_config(saved))
    _, told = hf.Wav2Vec2BertModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(told.values()), told
    # And the other way: only the head of a CTC model has to be initialised.
    born = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), template(True))
    options = weights.Options("init", lambda: born)
    with pytest.warns(UserWarning, match="lm_head") as warned:
        variables, report = weights.load(
            tmp_path, CHECKPOINT, template(head=True), options
        )
    assert len(warned) == 2
    assert report.missing.keys() == {"lm_head.weight", "lm_head.bias"}


def test_a_wrong_size_is_told_for_every_tensor(saved):
    wrong = template(head=True)
    wrong["params"]["layer_2"] = wrong["params"]["layer_1"]
    wrong["params"]["lm_head"]["bias"] = jax.ShapeDtypeStruct((12,), np.float32)
    with pytest.raises(ValueError, match=r"33 of \d+ tensors do not fit") as error:
        weights.load(saved, CHECKPOINT, wrong)
    assert "misshaped: lm_head.bias is (11,), expected (12,)" in str(error.value)
    assert "missing: encoder.layers.2.ffn1.output_dense.bias" in str(error.value)
