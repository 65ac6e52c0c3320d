import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_speech
import tiny_teacher
from tiny_extraction import voice

from distill_jax import teacher_report, teachers, workdir
from distill_jax.audio import kaldi, normalise
from distill_jax.teachers import trained

RATE_HZ = 16_000
ONE = {"num_hidden_layers": 1}
BERT = {**tiny_speech.BERT, **ONE, "feature_projection_input_dim": 160}


def clips(samples=RATE_HZ):
    return np.stack([voice(seed, samples) for seed in range(2)])


@pytest.mark.parametrize("samples", [16_000, 16_160])
def test_features_are_those_of_kaldi(samples):
    # An odd number of frames ends in a step that is not whole, which is left out.
    expected_btf, mask_bt = kaldi.exact(clips(samples), kaldi.Filterbank())
    found_btf = teachers.inputs(jnp.asarray(clips(samples)), kaldi.Filterbank())
    whole = mask_bt[0].sum()
    assert found_btf.shape == (2, whole, 160)
    np.testing.assert_allclose(found_btf, expected_btf[:, :whole], atol=1e-3)


def test_audio_is_normalised_where_the_encoder_wants_it():
    form = normalise.Waveform()
    expected_bs, _ = normalise.exact(clips(), form)
    found_bs = teachers.inputs(jnp.asarray(clips()), form)
    np.testing.assert_allclose(found_bs, expected_bs, atol=1e-5)
    as_is_bs = teachers.inputs(clips(), form._replace(normalise=False))
    np.testing.assert_array_equal(as_is_bs, clips())


@pytest.mark.parity
def test_inputs_equal_those_of_transformers():
    transformers = pytest.importorskip("transformers")
    audio = {"sampling_rate": RATE_HZ, "return_tensors": "np"}
    wave = transformers.Wav2Vec2FeatureExtractor()(list(clips()), **audio)
    found_bs = teachers.inputs(jnp.asarray(clips()), normalise.Waveform())
    np.testing.assert_allclose(found_bs, wave.input_values, atol=1e-5)
    seamless = transformers.SeamlessM4TFeatureExtractor(padding_value=1)
    expected_btf = seamless(list(clips()), **audio).input_features
    found_btf = teachers.inputs(jnp.asarray(clips()), kaldi.Filterbank())
    np.testing.assert_allclose(found_btf, expected_btf, atol=1e-3)


@pytest.mark.parity
@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("wav2vec2_bert", BERT),
        ("hubert", {**tiny_speech.WAVE, **ONE, "model_type": "hubert"}),
    ],
)
def test_an_encoder_of_a_folder_is_that_of_transformers(tmp_path, kind, fields):
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    oracle, _ = tiny_speech.transformers_model(fields, "ForSequenceClassification")
    oracle.save_pretrained(tmp_path)
    bert = kind == "wav2vec2_bert"
    extractor = (
        transformers.SeamlessM4TFeatureExtractor(padding_value=1)
        if bert
        else transformers.Wav2Vec2FeatureExtractor()
    )
    extractor.save_pretrained(tmp_path)
    config = tiny_teacher.config(f"{kind},tiny", folder=str(tmp_path))
    variables, _ = teachers.read(tmp_path, teachers.fields(config))
    head = tiny_teacher.params(config)
    params = {**head, "encoder": variables["params"]}
    module, form = teachers.network(config), teachers.form(config)
    run = jax.jit(
        lambda params, x: teachers.outputs(module, form, {"params": params}, x)[1]
    )
    audio_bs = clips(4080)
    out = run(params, audio_bs)
    given = extractor(list(audio_bs), sampling_rate=RATE_HZ, return_tensors="np")
    given = given["input_features" if bert else "input_values"]
    expected = tiny_speech.run_transformers(oracle, given)
    for found_btd, state in zip(
        out["hidden_nbtd"], expected.hidden_states, strict=True
    ):
        np.testing.assert_allclose(found_btd, state, atol=2e-3 if bert else 1e-4)


def test_audio_stays_exact_beside_weights_in_bfloat16():
    """An offset that bfloat16 could not hold beside the sound changes nothing."""
    module, form, variables = tiny_teacher.network(tiny_teacher.config())
    variables = jax.tree.map(lambda leaf: jnp.bfloat16(leaf), variables)
    run = jax.jit(lambda x: teachers.outputs(module, form, variables, x))
    audio_bs = 0.01 * clips(4000)
    logits_bc, out = run(audio_bs)
    moved_bc, _ = run(audio_bs + 0.9)
    assert logits_bc.dtype == jnp.float32
    assert out["hidden_nbtd"][0].dtype == out["pooled_bd"].dtype == jnp.bfloat16
    np.testing.assert_allclose(moved_bc, logits_bc, atol=0.05 * np.std(logits_bc))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tiny_teacher.untrained(tmp_path_factory.mktemp("teacher"))
    teacher_report.write(folder)
    return folder


def test_a_calibrated_run_opens(run):
    opened = teachers.load(run, ("high", "low"), "bfloat16")
    assert (opened.name, opened.labels, opened.rate_hz) == (
        "run",
        ("high", "low"),
        16_000,
    )
    assert hash(opened.module)
    assert {str(x.dtype) for x in jax.tree.leaves(opened.variables)} == {"bfloat16"}
    assert (
        opened.temperature
        == json.loads((run / "calibration.json").read_text())["temperature"]
    )
    assert opened.digest == teachers.load(run, ["high", "low"]).digest


def test_other_labels_are_refused(run):
    with pytest.raises(ValueError, match=r"apart high, low; needed .* low, high, in"):
        teachers.load(run, ("low", "high"))


def test_another_kind_of_run_is_refused(tmp_path):
    workdir.keep_config(tmp_path, {"task": "vae"}, resuming=False)
    with pytest.raises(ValueError, match="of the task 'vae', expected 'teacher'"):
        teachers.load(tmp_path, ())


def test_a_run_that_was_not_calibrated_is_refused(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    measured = json.loads((copy / "calibration.json").read_text())
    workdir.write_json(copy / "calibration.json", {**measured, "step": 1})
    with pytest.raises(ValueError, match=r"calibrated at step 1, .* now step 2"):
        teachers.load(copy, ("high", "low"))
    (copy / "calibration.json").unlink()
    with pytest.raises(ValueError, match=r"never calibrated; give its training comm"):
        teachers.load(copy, ("high", "low"))


def test_digest_tells_weights_names_and_temperatures_apart():
    one = {"a": np.zeros(2, np.float32), "b": np.ones(2, np.float32)}
    others = [
        (one, 1.1),
        ({**one, "a": np.float32([0, 1e-9])}, 1.0),
        ({"a": one["b"], "b": one["a"]}, 1.0),
        ({"a": one["a"], "c": one["b"]}, 1.0),
    ]
    found = {trained.digest(*each) for each in [(one, 1.0), *others]}
    assert len(found) == 5
    assert trained.digest(dict(reversed(one.items())), 1.0) in found
