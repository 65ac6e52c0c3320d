"""Exported files as networks that listen."""

import json
import subprocess
import sys

import numpy as np
import pytest
from tiny_quant import drawn, network

from distill_jax import classifier, export, exported, quant, streaming
from distill_jax.audio import files, front_end
from distill_jax.quant.codes import of_range

FRONT = front_end.FrontEnd(mels=10)
LABELS = ("yes", "unknown", "silence")
# Samples of 21 frames.
WINDOW = 20 * FRONT.hop + FRONT.window
FORMS = ("tflite", "onnx", "npz")
CHOSEN = {
    "word": "yes",
    "threshold": 0.375,
    "listening": {"step_seconds": 0.04, "smooth": 3},
    "arithmetic": "sums",
}


def card(**changes):
    values = {"threshold": CHOSEN, **changes}
    return export.Card("words", 7, LABELS, FRONT, WINDOW)._replace(**values)


@pytest.fixture(scope="module")
def model():
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("onnx")
    audio_s = speech_like(16_000)
    feature_tf = front_end.log_mel(audio_s[None], FRONT)[0]
    # Codes as of a trained network: all of them, and few at an end.
    return drawn(network(True, True))._replace(
        input=of_range(feature_tf.min(), feature_tf.max())
    )


@pytest.fixture
def paths(model, tmp_path):
    """The path of a file of each form, one's own to spoil."""
    return export.write(tmp_path / "export", model, card(), FORMS)


def speech_like(samples, seed=0):
    """Noise whose level changes every 30 ms."""
    rng = np.random.default_rng(seed)
    level_s = np.repeat(10 ** rng.uniform(-3, 0, -(-samples // 480)), 480)[:samples]
    return (level_s * rng.normal(0, 0.3, samples)).astype(np.float32)


def logits_of(known, audio_s, sizes):
    """All logits that a detector sees when it is fed blocks of such sizes in turn."""
    seen = []

    def score(x_btf):
        seen.append(known.logits(x_btf)[0])
        return classifier.probabilities(seen[-1][None])[:, 0]

    scorer = classifier.scorer(known, 0)._replace(score=score)
    detector = streaming.Detector(scorer, streaming.Settings(2.0, 1, smooth=1))
    heard, at, turn = [], 0, 0
    while at < len(audio_s):
        size = sizes[turn % len(sizes)]
        heard += detector.feed(audio_s[at : at + size])
        at, turn = at + size, turn + 1
    return np.array(seen), heard


@pytest.mark.parametrize("form", FORMS)
def test_a_stream_gives_the_logits_of_the_whole_recording_to_the_last_bit(
    model, paths, form
):
    known, audio_s = exported.load(paths[form]), speech_like(3 * 16_000, seed=1)
    found_nc, heard = logits_of(known, audio_s, (1, 777, 30_000, 160, 12))
    # The specification, on codes of features that are made in one piece.
    code_tf = streaming.features(classifier.scorer(known, 0), audio_s)
    windows = np.lib.stride_tricks.sliding_window_view(code_tf, 21, 0).swapaxes(1, 2)
    code_nc, _ = quant.reference.run(model, windows)
    np.testing.assert_array_equal(found_nc, quant.decode(code_nc, model.logits))
    assert len(np.unique(found_nc)) > 15
    score_n, at_n = streaming.scores(classifier.scorer(known, 0), audio_s, 1)
    np.testing.assert_array_equal([each.score for each in heard], score_n)
    np.testing.assert_array_equal([each.at for each in heard], at_n)


def test_features_are_codes_of_those_that_training_uses(model, paths):
    known, audio_bs = exported.load(paths["npz"]), speech_like(16_000, seed=2)[None]
    code_btf = known.features(audio_bs)
    expected = quant.encode(front_end.log_mel(audio_bs, FRONT), model.input)
    assert np.mean(code_btf != expected) < 1e-3
    assert np.abs(code_btf.astype(int) - expected).max() <= 1


def test_everything_to_listen_with_comes_from_the_manifest(paths):
    known = exported.load(paths["npz"])
    assert (known.name, known.labels, known.front) == ("words", LABELS, FRONT)
    assert (known.samples, known.frames, known.chosen) == (WINDOW, 21, CHOSEN)
    assert "student.npz by the reference" in known.arithmetic


def rewritten(path, **changes):
    beside = export.manifest_path(path)
    about = json.loads(beside.read_text()) | changes
    beside.write_text(json.dumps(about))
    return path


def test_files_and_manifests_that_cannot_be_are_refused(paths):
    path = paths["npz"]
    with pytest.raises(ValueError, match=r"give a \.tflite, \.onnx or \.npz"):
        exported.load(path.with_suffix(".h"))
    rewritten(path, labels=["yes", "no"])
    with pytest.raises(ValueError, match="3 classes apart, its manifest names 2"):
        exported.load(path)
    rewritten(path, frames=20)
    with pytest.raises(ValueError, match=r"\(20, 10\) frames and mels.*makes \(21, 1"):
        exported.load(path)
    rewritten(path, frames=20, window_samples=WINDOW - FRONT.hop)
    with pytest.raises(ValueError, match="takes other windows than its manifest says"):
        exported.load(path)
    rewritten(path, front_end={"rate": 5})
    with pytest.raises(ValueError, match="not one of this program"):
        exported.load(path)
    export.manifest_path(path).write_text("{")
    with pytest.raises(ValueError, match="is not JSON"):
        exported.load(path)
    export.manifest_path(path).write_text("[]")
    with pytest.raises(ValueError, match="not the manifest of an exported network"):
        exported.load(path)


@pytest.fixture
def long_file(tmp_path):
    path = tmp_path / "long.wav"
    files.write(path, speech_like(4 * 16_000, seed=3), 16_000, {})
    return path


def triggers(said):
    return [line.split()[0] for line in said if "heard, score" in line]


def test_detect_hears_the_same_with_every_file_and_needs_nothing_else(
    paths, long_file, lines
):
    said = {form: lines("detect", long_file, "--model", paths[form]) for form in FORMS}
    assert triggers(said["npz"])
    assert said["npz"] == said["tflite"] == said["onnx"]
    assert said["npz"][-1].endswith("triggers of 'yes'")
    # The listening of the manifest: every other frame, the mean of three.
    known, audio_s = exported.load(paths["npz"]), files.read(long_file, 16_000)
    detector = streaming.Detector(
        classifier.scorer(known, 0), streaming.Settings(0.375, 2, 3)
    )
    heard = [each for each in detector.feed(audio_s) if each.trigger]
    assert triggers(said["npz"]) == [f"{each.at / 16_000:.2f}" for each in heard]


@pytest.mark.slow
def test_listening_with_a_file_brings_nothing_that_trains():
    code = """
import sys
import distill_jax.cli.detecting
brought = {"grain", "orbax", "optax", "matplotlib", "distill_jax.train"}
assert not brought & set(sys.modules), brought & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_threshold_that_is_given_counts_and_a_missing_one_is_told(
    paths, long_file, lines, refused
):
    path = paths["npz"]
    said = lines("detect", long_file, "--model", path, "--threshold", "2")
    assert said[-1] == "0 triggers of 'yes'"
    rewritten(path, threshold={"word": "yes", "threshold": 2.0})
    assert lines("detect", long_file, "--model", path)[-1] == "0 triggers of 'yes'"
    rewritten(path, threshold=None)
    complaint = refused("detect", long_file, "--model", path)
    assert f"evaluate --model {path} --workdir RUN" in complaint
    rewritten(path, threshold=CHOSEN | {"threshold": None})
    complaint = refused("detect", long_file, "--model", path)
    assert "--per-hour" in complaint


def test_detect_tells_what_is_wrong_with_a_file(paths, long_file, refused, monkeypatch):
    data = paths["tflite"].read_bytes()
    paths["tflite"].write_bytes(data[:-5])
    assert "cut short" in refused("detect", long_file, "--model", paths["tflite"])
    export.manifest_path(paths["npz"]).unlink()
    assert "npz.json missing" in refused("detect", long_file, "--model", paths["npz"])
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    complaint = refused("detect", long_file, "--model", paths["onnx"])
    assert "pip install 'distill_jax[export]'" in complaint
    both = refused("detect", long_file, "--model", paths["onnx"], "--workdir", "x")
    assert "one of the two" in both
