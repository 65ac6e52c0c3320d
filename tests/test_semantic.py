import json

import jax
import numpy as np
import pytest
import tiny_speech
from tiny_extraction import BERT, PREPROCESSOR, save_model, voice

from distill_jax import semantic, weights
from distill_jax.audio import files, kaldi
from distill_jax.models import hf
from distill_jax.semantic import extraction
from distill_jax.semantic.encoder import bucket

RATE_HZ = 16_000
# 20 samples a frame, as the convolutions of the tiny model have it.
WAVE = {**tiny_speech.WAVE, "feat_extract_norm": "layer", "conv_bias": True}


@pytest.mark.parametrize(
    "config",
    [
        BERT,
        BERT | tiny_speech.BERT_ADAPTER | {"position_embeddings_type": "relative"},
        WAVE | {"num_hidden_layers": 3},
        WAVE | {"model_type": "hubert", "do_stable_layer_norm": True},
        tiny_speech.WAVLM | {"num_hidden_layers": 1},
    ],
)
def test_a_template_is_what_the_model_would_be_born_as(config):
    shape = (1, 2, 160) if config["model_type"] == "wav2vec2-bert" else (1, 16_000)
    module, x = hf.from_config(config), np.zeros(shape, np.float32)
    born = jax.eval_shape(module.init, jax.random.key(0), x)
    assert semantic.template(config) == born


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("bert"), BERT, PREPROCESSOR)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Clips of several lengths, one at another rate."""
    root = tmp_path_factory.mktemp("corpus")
    for number, samples in enumerate((16_000, 15_000, 9_000, 4_003, 720)):
        path = root / f"speaker_{number % 2}" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        files.write(path, voice(number, samples), RATE_HZ, {})
    files.write(root / "fast.flac", voice(9, 24_000), 48_000, {})
    return root


def extracted(folder):
    return {
        path.relative_to(folder).as_posix(): weights.read(path)["feature_td"]
        for path in sorted(folder.rglob("*.safetensors"))
    }


@pytest.mark.parity
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_features_equal_transformers(model, corpus, layer):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    paths = sorted(corpus.rglob("*.wav"))
    clips = [files.read(path, RATE_HZ) for path in paths]
    oracle, told = transformers.Wav2Vec2BertModel.from_pretrained(
        model, output_loading_info=True
    )
    assert not told["missing_keys"] and not told["unexpected_keys"]
    extractor = transformers.SeamlessM4TFeatureExtractor(padding_value=1)
    inputs = extractor(clips, sampling_rate=RATE_HZ, return_tensors="pt")
    with torch.no_grad():
        states = oracle.eval()(**inputs, output_hidden_states=True).hidden_states
    found = semantic.encode(semantic.load(model, layer), clips)
    for number, feature_td in enumerate(found):
        frames = kaldi.steps(len(clips[number]))
        assert len(feature_td) == frames
        np.testing.assert_allclose(
            feature_td, states[layer][number, :frames], atol=1e-4
        )


@pytest.mark.parametrize(
    ("config", "preprocessor", "alone"),
    [
        (BERT, PREPROCESSOR, False),
        (WAVE, {"return_attention_mask": True}, False),
        (WAVE, {"return_attention_mask": False}, True),
        (tiny_speech.WAVE, {"return_attention_mask": True}, True),
    ],
)
def test_a_batch_gives_what_each_clip_gives(tmp_path, config, preprocessor, alone):
    encoder = semantic.load(save_model(tmp_path, config, preprocessor), 1)
    assert encoder.alone == alone
    lengths = (4000, 4000) if alone else (4000, 3100)
    clips = [voice(seed, samples) for seed, samples in enumerate(lengths)]
    together = semantic.encode(encoder, clips)
    for clip_s, feature_td in zip(clips, together, strict=True):
        (expected_td,) = semantic.encode(encoder, [clip_s])
        np.testing.assert_allclose(feature_td, expected_td, atol=2e-5)
    if alone:
        with pytest.raises(ValueError, match="one length"):
            semantic.encode(encoder, [voice(0, 4000), voice(1, 3000)])


def test_missing_preprocessor_is_said(tmp_path, caplog):
    encoder = semantic.load(save_model(tmp_path, BERT, None), 1)
    assert encoder.form == kaldi.Filterbank()
    assert "preprocessor_config.json is missing" in caplog.text


def test_a_layer_that_is_not_there_is_refused(model):
    with pytest.raises(ValueError, match=r"layer is 17, but .* has 2 layers"):
        semantic.load(model)


def test_extract_goes_on_where_it_was_left(model, corpus, tmp_path, call):
    out = tmp_path / "features"
    command = ["extract", corpus, "--model", model, "--layer", 1, "--out", out]
    status, said, _ = call(*command, "--batch-seconds", 2)
    assert status == 0 and "not normalised" in said
    whole = extracted(out)
    assert len(whole) == 6 and len(json.loads((out / "index.json").read_text())) == 6
    kept = sorted(out.rglob("*.safetensors"))[1]
    before = kept.stat().st_mtime_ns
    for path in sorted(out.rglob("*.safetensors"))[2:]:
        path.unlink()
    status, said, _ = call(*command)
    assert status == 0 and "2 of 6 files are done already" in said
    assert kept.stat().st_mtime_ns == before
    for name, feature_td in extracted(out).items():
        np.testing.assert_allclose(feature_td, whole[name], atol=2e-5)
    status, _, told = call(*command, "--layer", 2)
    assert status == 2 and "layer: 1 there, 2 now" in told


def test_extract_notices_other_weights(corpus, tmp_path, call):
    model = save_model(tmp_path / "model", BERT, None)
    command = ["extract", corpus, "--model", model, "--layer", 0]
    command += ["--out", tmp_path / "out"]
    assert call(*command)[0] == 0
    tensors = weights.read(model)
    name = "feature_projection.projection.bias"
    weights.write(
        model / "model.safetensors", {**tensors, name: tensors[name] + np.float32(1)}
    )
    status, _, told = call(*command)
    assert status == 2 and "model:" in told


def test_report_tells_what_was_done(model, corpus, tmp_path, call):
    out, path = tmp_path / "out", tmp_path / "made/report.json"
    command = ["--model", model, "--layer", 1, "--report", path, "--dtype", "bfloat16"]
    (tmp_path / "bad.wav").write_bytes(b"RIFF and nothing more")
    sources = [corpus / "speaker_0", tmp_path / "bad.wav"]
    assert call("extract", *sources, *command, "--out", out)[0] == 2
    report = json.loads(path.read_text())
    assert report["encoder"] == "Wav2Vec2Bert" and report["layer"] == 1
    assert report["dtype"] == "bfloat16" and len(report["devices"]) == 8
    assert report["weights"]["cast"].keys() == {"F32 -> bfloat16"}
    assert (report["written"], report["done_before"]) == (3, 0)
    assert report["frames"] == sum(map(len, extracted(out).values()))
    assert list(report["skipped"]) == [str(tmp_path / "bad.wav")]
    assert call("extract", *sources, *command, "--out", out)[0] == 2
    assert json.loads(path.read_text())["done_before"] == 3
    stats = ["--out", tmp_path / "stats.safetensors"]
    status, _, told = call("stats", *sources, *command, *stats)
    assert status == 2 and "bad.wav" in told and not stats[1].exists()
    assert call("stats", sources[0], *command, *stats)[0] == 0
    assert json.loads(path.read_text())["frames"] == report["frames"]


def test_bfloat16_is_near_float32(model):
    clips = [voice(0, 9000), voice(1, 5000)]
    whole = semantic.encode(semantic.load(model, 2), clips)
    half = semantic.encode(semantic.load(model, 2, "bfloat16"), clips)
    for whole_td, half_td in zip(whole, half, strict=True):
        error = np.abs(half_td - whole_td).mean() / np.abs(whole_td).mean()
        assert half_td.dtype == np.float32 and 1e-4 < error < 0.05


def test_files_are_decoded_once(model, corpus, tmp_path, call, monkeypatch):
    decoded, blocks = [], files._blocks

    def counted(sound, path):
        decoded.append(path)
        return blocks(sound, path)

    monkeypatch.setattr(files, "_blocks", counted)
    command = ["extract", corpus, "--model", model, "--layer", 0, "--out", tmp_path]
    status, _, told = call(*command)
    assert status == 0 and "encoding: 100%" in told and "6/6" in told
    assert len(decoded) == 6 == len(set(decoded))


def test_batches_are_of_similar_length_and_bounded(model):
    encoder = semantic.load(model, 0)
    rng = np.random.default_rng(0)
    samples = {f"{n}": int(rng.integers(600, 200_000)) for n in range(100)}
    made = extraction.batches(samples, 2.0, encoder)
    assert sorted(path for group in made for path in group) == sorted(samples)
    assert len(made) < 70
    for group in made:
        longest = max(samples[path] for path in group)
        assert 2 * min(samples[path] for path in group) >= longest
        assert len(group) * longest <= 8 * 2.0 * RATE_HZ or len(group) == 1
    # Few shapes to compile, little padding.
    lengths = np.arange(1, 3000)
    padded = np.array(list(map(bucket, lengths)))
    assert (padded >= lengths).all() and len(set(padded)) < 60
    assert (padded[200:] / lengths[200:]).max() < 1.125


def test_extract_leaves_out_bad_files_and_names_them(model, corpus, tmp_path, call):
    (tmp_path / "bad.wav").write_bytes(b"RIFF and nothing more")
    files.write(tmp_path / "short.wav", voice(0, 500), RATE_HZ, {})
    files.write(tmp_path / "good.wav", voice(0, 900), RATE_HZ, {})
    out = tmp_path / "out"
    command = ["extract", tmp_path, "--model", model, "--layer", 1, "--out", out]
    status, _, told = call(*command)
    assert status == 2 and "bad.wav" in told and "short.wav" in told
    assert list(extracted(out)) == ["good.safetensors"]


def test_stats_normalise_the_corpus_they_were_measured_on(
    model, corpus, tmp_path, call
):
    path, out = tmp_path / "stats.safetensors", tmp_path / "out"
    shared = [corpus, "--model", model, "--layer", 1, "--out"]
    assert call("stats", *shared, path)[0] == 0
    assert call("extract", *shared, out, "--stats", path)[0] == 0
    feature_nd = np.concatenate(list(extracted(out).values()))
    np.testing.assert_allclose(feature_nd.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(feature_nd.std(axis=0), 1, atol=1e-4)


def test_measure_equals_numpy():
    rng = np.random.default_rng(0)
    parts = [rng.normal(30, 0.1, size=(frames, 3)) for frames in (5, 1, 0, 40)]
    tensors, count = semantic.measure(iter(parts))
    whole_nd = np.concatenate(parts)
    assert count == 46
    np.testing.assert_allclose(tensors["mean"], whole_nd.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(tensors["var"], whole_nd.var(axis=0), rtol=1e-5)
    with pytest.raises(ValueError, match="at least 2"):
        semantic.measure([np.zeros((1, 3))])


def test_std_wins_over_var_and_unusable_stats_are_refused(tmp_path):
    path = tmp_path / "stats.safetensors"
    one_d = np.ones(3, np.float32)
    weights.write(path, {"mean": one_d, "var": 4 * one_d})
    np.testing.assert_array_equal(semantic.read(path, 3).std_d, 2 * one_d)
    weights.write(path, {"mean": one_d, "var": 4 * one_d, "std": 5 * one_d})
    np.testing.assert_array_equal(semantic.read(path, 3).std_d, 5 * one_d)
    with pytest.raises(ValueError, match="for 3 and 3 features, the encoder gives 4"):
        semantic.read(path, 4)
    weights.write(path, {"mean": one_d, "var": 0 * one_d})
    with pytest.raises(ValueError, match="3 of 3 features"):
        semantic.read(path, 3)
    weights.write(path, {"mean": one_d})
    with pytest.raises(ValueError, match="expected mean and var"):
        semantic.read(path, 3)
    with pytest.raises(FileNotFoundError, match="distill-jax stats"):
        semantic.read(tmp_path / "no.safetensors", 3)
    with pytest.raises(ValueError, match="neither"):
        semantic.read(__file__, 3)


@pytest.mark.parity
def test_stats_of_pytorch_are_read_and_code_in_them_is_not_run(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "stats.pt"
    torch.save({"mean": torch.ones(3), "var": 4 * torch.ones(3)}, path)
    np.testing.assert_array_equal(semantic.read(path, 3).std_d, [2, 2, 2])
    torch.save([torch.ones(3)], path)
    with pytest.raises(ValueError, match="not a dictionary of tensors"):
        semantic.read(path, 3)
    path.write_bytes(b"not a pickle")
    with pytest.raises(ValueError, match="not a file of tensors"):
        semantic.read(path, 3)
    torch.save({"mean": Trap()}, path)
    with pytest.raises(ValueError, match="not a file of tensors"):
        semantic.read(path, 3)


class Trap:
    def __reduce__(self):
        return pytest.fail, ("the file was run",)


def test_stand_in_is_an_encoder_that_encodes(tmp_path):
    folder = semantic.stand_in.write(tmp_path / "encoder")
    encoder = semantic.load(folder, layer=1)
    noise_s = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    (feature_td,) = semantic.encode(encoder, [noise_s])
    assert feature_td.shape == (24, encoder.width) and feature_td.std() > 0.1
