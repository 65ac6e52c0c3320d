import json

import pytest
from tiny_speech import BERT, FAMILY, WAVE

from distill_jax.models import hf, hf_fields
from distill_jax.models.adapter import AdapterSizes
from distill_jax.models.gated_attention import Buckets
from distill_jax.models.self_attention import Positions


@pytest.mark.parity
@pytest.mark.parametrize("kind", hf.MODELS)
def test_every_field_of_transformers_is_read_or_named(kind):
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{FAMILY[kind]}Config")()
    fields = json.loads(config.to_json_string(use_diff=False))
    known = hf_fields.HANDLED[kind] | hf_fields.INERT.keys()
    known |= hf_fields.DEFAULTS[kind].keys()
    assert not fields.keys() - known
    assert hf.from_config(fields) == hf.from_config({"model_type": kind})


@pytest.mark.parity
@pytest.mark.parametrize("kind", hf.MODELS)
def test_defaults_are_those_of_transformers(kind):
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{FAMILY[kind]}Config")()
    for field, value in hf_fields.DEFAULTS[kind].items():
        if hasattr(config, field) and field != "output_hidden_size":
            assert getattr(config, field) == value or list(
                getattr(config, field)
            ) == list(value), field


def test_fields_reach_the_model():
    model = hf.from_config({**BERT, "position_embeddings_type": None}, scan=True)
    assert model.positions == Positions("none", 5, 2)
    assert (model.width, model.kernel_size, model.scan) == (24, 7, True)
    model = hf.from_config({**WAVE, "add_adapter": True, "conv_bias": True})
    assert model.adapter == AdapterSizes(3, 24)
    assert model.waveform.bias and model.waveform.widths == (6, 7, 8)
    assert hf.from_config({"model_type": "wavlm"}).buckets == Buckets(320, 800)
    hubert = {"model_type": "hubert", "feat_proj_layer_norm": False}
    assert not hf.from_config(hubert).projection_norm


def test_heads_are_built_with_their_sizes():
    labels = {"id2label": {"0": "a", "1": "b", "2": "c"}}
    model = hf.from_config({**BERT, **labels}, "classifier")
    assert (model.classes, model.inner) == (3, 6)
    assert hf.from_config(BERT, "ctc").tokens == 11
    with pytest.raises(ValueError, match="'ctc' or 'classifier'"):
        hf.from_config(BERT, "tagger")


def test_all_fields_that_do_not_fit_are_named_at_once():
    config = {
        **BERT,
        "chunk_size_feed_forward": 4,
        "some_new_field": 3,
        "hidden_act": "selu",
        "num_attention_heads": 5,
        "conv_depthwise_kernel_size": 4,
    }
    with pytest.raises(ValueError, match="5 fields of the wav2vec2-bert") as error:
        hf.from_config(config)
    for part in (
        "chunk_size_feed_forward = 4, expected 0",
        "some_new_field = 3",
        "hidden_act = 'selu'",
        "a multiple of 5 heads",
        "conv_depthwise_kernel_size is even",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"feat_proj_layer_norm": False},
        {"conv_pos_batch_norm": True},
        {"num_buckets": 64},
        {"position_embeddings_type": "rotary"},
    ],
)
def test_a_field_of_another_model_is_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        hf.from_config({**WAVE, **changes})


def test_contradictions_are_refused():
    with pytest.raises(ValueError, match="expected an adapter"):
        hf.from_config({**BERT, "use_intermediate_ffn_before_adapter": True})
    with pytest.raises(ValueError, match="do_stable_layer_norm = True"):
        hf.from_config({**WAVE, "adapter_attn_dim": 4})
    with pytest.raises(ValueError, match="differ in length"):
        hf.from_config({**WAVE, "conv_dim": (4, 4)})


def test_another_model_type_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="'whisper', expected one of wav2vec2-bert"):
        hf.from_config({"model_type": "whisper"})


def test_the_config_of_the_public_checkpoint_is_read():
    leftovers = {
        "codevector_dim": 768,
        "num_negatives": 100,
        "diversity_loss_weight": 0.1,
        "torch_dtype": "float32",
        "transformers_version": "4.37.0.dev0",
        "architectures": ["Wav2Vec2BertModel"],
        "apply_spec_augment": False,
    }
    model = hf.from_config({"model_type": "wav2vec2-bert", **leftovers})
    assert model.positions == Positions("relative_key", 64, 8)
    assert (model.width, model.count, model.inner) == (1024, 24, 4096)
    assert model.augment.has_embedding and not model.augment.active
