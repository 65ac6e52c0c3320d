import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_speech import (
    BERT,
    BERT_ADAPTER,
    WAVE,
    inputs,
    run_both_ways,
    run_transformers,
    template_of,
    transformers_model,
)

from distill_jax import weights
from distill_jax.models import heads, hf

STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
LABELS = {"id2label": {0: "a", 1: "b", 2: "c"}}
WEIGHTED = {"use_weighted_layer_sum": True}
CASES = {
    "ctc-bert": ("ctc", BERT),
    "ctc-bert-adapter": ("ctc", {**BERT, **BERT_ADAPTER}),
    "ctc-wav2vec2": ("ctc", {**WAVE, **STABLE}),
    "classifier-bert": ("classifier", {**BERT, **LABELS}),
    "classifier-bert-weighted": ("classifier", {**BERT, **LABELS, **WEIGHTED}),
    "classifier-wav2vec2": ("classifier", {**WAVE, **STABLE, **LABELS, **WEIGHTED}),
    "classifier-hubert": ("classifier", {**WAVE, "model_type": "hubert", **LABELS}),
}
SUFFIX = {"ctc": "ForCTC", "classifier": "ForSequenceClassification"}
ROWS = {"ctc": heads.CTC, "classifier": heads.CLASSIFIER}


@pytest.mark.parity
@pytest.mark.parametrize(("head", "config"), CASES.values(), ids=CASES)
def test_logits_equal_transformers(head, config):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    oracle, tensors = transformers_model(config, SUFFIX[head])
    kind = hf.MODELS[config["model_type"]]
    rules = heads.rules_with(ROWS[head], kind.checkpoint.rules, kind.prefix)
    model = hf.from_config(config, head)
    variables = weights.to_flax(tensors, rules, template_of(model, config))
    for (logits, _), x, mask in run_both_ways(model, variables, config):
        expected = run_transformers(oracle, x, mask).logits
        np.testing.assert_allclose(logits, expected, atol=1e-5)
    back = weights.to_torch(variables, rules)
    assert all(back[n].tobytes() == a.tobytes() for n, a in tensors.items())


def test_the_mean_reads_real_frames_only():
    x_btd = jnp.array([[[1.0], [3.0], [jnp.nan]], [[5.0], [5.0], [5.0]]])
    mask_bt = jnp.array([[True, True, False], [False, False, False]])
    np.testing.assert_array_equal(heads.masked_mean(x_btd, mask_bt), [[2.0], [0.0]])
    np.testing.assert_array_equal(heads.masked_mean(x_btd[1:]), [[5.0]])


def test_a_classifier_refuses_an_adapter():
    model = hf.from_config({**BERT, **BERT_ADAPTER}, "classifier")
    with pytest.raises(ValueError, match="add_adapter=false"):
        template_of(model, BERT)


def test_heads_train_with_their_encoder():
    config = {**BERT, "final_dropout": 0.5}
    model = hf.from_config(config, "ctc")
    x, mask = inputs(config)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda leaf: rng.normal(0, 0.3, leaf.shape).astype(np.float32),
        template_of(model, config),
    )

    @jax.jit
    def train(seed):
        rngs = {"dropout": jax.random.key(seed)}
        return model.apply(variables, x, mask, train=True, rngs=rngs)[0]

    np.testing.assert_array_equal(train(0), train(0))
    assert not np.allclose(train(0), train(1))
