import json

import pytest
import tiny_wake_word

from distill_jax import export, quantised
from distill_jax.audio import files
from distill_jax.export import arrays, checking


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("onnx")
    return tiny_wake_word.untrained(
        tmp_path_factory.mktemp("export"), tiny_wake_word.QUICK
    )


def test_export_writes_files_and_runs_them_on_the_test_clips(lines, run):
    report = run / "report" / "report.json"
    report.parent.mkdir(exist_ok=True)
    figures = {"word": "high", "threshold": 0.5, "listening": {"smooth": 5}}
    report.write_text(json.dumps(figures))
    said = lines("export", "--workdir", run)
    for name in ("student.tflite", "student.onnx", "student.h", "student.npz"):
        _, about = export.read(run / "export" / name)
        assert about["threshold"]["word"] == "high"
        assert any(name in line and f"{about['bytes']:,}" in line for line in said)
    agreeing = [line for line in said if "8 logits of 4 test clips, all as" in line]
    assert any(line.startswith("LiteRT (XNNPACK)") for line in agreeing)
    assert any(line.startswith("ONNX Runtime") for line in agreeing)
    data, _ = export.read(run / "export" / "student.npz")
    assert checking.same(arrays.read(data), quantised.load(run).model)


def test_export_takes_formats_folder_and_bits(lines, run, tmp_path):
    options = ["--format", "npz", "--out", tmp_path, "--bits", "4"]
    lines("export", "--workdir", run, *options)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["student.npz", "student.npz.json"]
    model = arrays.read((tmp_path / "student.npz").read_bytes())
    assert abs(model.convs[0].weight_yxio).max() == 7


def test_export_refuses_what_cannot_be(refused, run, tmp_path):
    assert "tflite, onnx, c, npz" in refused(
        "export", "--workdir", run, "--format", "tflite,gguf"
    )
    assert "is missing" in refused("export", "--workdir", tmp_path)
    assert "bits is 9" in refused("export", "--workdir", run, "--bits", "9")
    for word in ("left", "right"):
        (tmp_path / "words" / word).mkdir(parents=True)
        for number in range(9):
            path = tmp_path / "words" / word / f"{number:08x}_nohash_0.wav"
            files.write(path, tiny_wake_word.clip(500, number), 16_000, {})
    complaint = refused("export", "--workdir", run, "--data", tmp_path / "words")
    assert "high" in complaint
