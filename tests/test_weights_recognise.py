import pytest

from distill_jax.weights.recognise import recognise

NAMES = {
    "wav2vec2-bert": [
        "wav2vec2_bert.encoder.layers.0.conv_module.depthwise_conv.weight",
        "wav2vec2_bert.feature_projection.projection.weight",
        "lm_head.weight",
    ],
    "wavlm": ["encoder.layers.0.attention.gru_rel_pos_const"],
    "hubert": ["hubert.feature_extractor.conv_layers.0.conv.weight"],
    "wav2vec2": [
        "feature_extractor.conv_layers.0.conv.weight",
        "encoder.pos_conv_embed.conv.bias",
    ],
    "conv_vae": ["encoder.fc_mu.weight", "decoder.deconvs.0.weight"],
    None: ["bert.embeddings.word_embeddings.weight"],
}


@pytest.mark.parametrize("model", NAMES)
def test_names_alone_tell_the_model(model):
    found = recognise({}, NAMES[model])
    assert found.model == model and found.doubt is None
    assert found.head == ("CTC" if model == "wav2vec2-bert" else None)


def test_the_config_goes_before_the_names_and_doubt_is_told():
    config = {"model_type": "hubert", "architectures": ["HubertModel"]}
    found = recognise(config, NAMES["wav2vec2"])
    assert found == ("hubert", None, "config.json: HubertModel", None)
    found = recognise(config, NAMES["wavlm"])
    assert found.doubt == "the names of the tensors say wavlm"


def test_a_config_of_other_types_is_no_config():
    config = {"model_type": 3, "architectures": "x"}
    assert recognise(config, NAMES["wavlm"]).how == "names of tensors"


@pytest.mark.parity
@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("Wav2Vec2Bert", "wav2vec2-bert"),
        ("Wav2Vec2", "wav2vec2"),
        ("Hubert", "hubert"),
        ("WavLM", "wavlm"),
        ("Wav2Vec2Conformer", "wav2vec2-conformer"),
    ],
)
@pytest.mark.parametrize("head", ["CTC", "SequenceClassification"])
def test_models_of_transformers_are_told_by_names_and_config(kind, model, head):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{kind}Config")(
        num_hidden_layers=1, vocab_size=5, position_embeddings_type="relative"
    )
    with torch.device("meta"):
        made = getattr(transformers, f"{kind}For{head}")(config)
    for settings in ({}, config.to_dict()):
        found = recognise(settings, made.state_dict())
        assert (found.model, found.head, found.doubt) == (model, head, None)
