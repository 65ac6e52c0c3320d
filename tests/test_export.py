import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from tiny_quant import IDS, KINDS, codes, drawn, integers, network

from distill_jax import export, quant
from distill_jax.audio import features, files, front_end
from distill_jax.export import arrays, checking, header, runtimes
from distill_jax.quant import integer, rounding
from distill_jax.quant.codes import mean_scale, of_range

CARD = export.Card(
    "words",
    7,
    ("yes", 'no "way"', "ö?"),
    front_end.FrontEnd(mels=10),
    21 * 320,
    threshold={"word": "yes", "threshold": 0.75},
)
# Even and odd sizes, which are padded in different ways.
SIZES = [(21, 10), (17, 13), (24, 16)]


def contents(model):
    """All files; the tests of those whose writers are missing are skipped."""
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("onnx")
    return {form: export.content(form, model, CARD) for form in export.FORMATS}


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("depthwise", "residual"), KINDS, ids=IDS)
def test_files_run_as_the_reference_says_to_the_last_bit(depthwise, residual, size):
    model = drawn(network(depthwise, residual, size=size))
    found, _ = checking.outcomes(model, codes(model, 64), contents(model))
    assert {outcome.runtime for outcome in found} >= {"LiteRT (XNNPACK)"}
    for outcome in found:
        assert outcome.wrong == 0, outcome
        assert len(np.unique(outcome.code_bc)) > 8


@pytest.mark.parametrize("seed", range(3))
def test_full_size_networks_run_as_the_reference_says(seed):
    depthwise = seed % 2 == 0
    channels, strides = (16, 32, 64, 64, 64), (2, 2, 2, 1, 1)
    module = network(depthwise, True, channels=channels, strides=strides, size=(49, 40))
    model = drawn(module, seed)
    found, missing = checking.outcomes(model, codes(model, 32, seed), contents(model))
    assert len(found) + len(missing) == len(checking.RUNTIMES)
    for outcome in found:
        assert outcome.wrong == 0, outcome


@pytest.mark.parametrize("bits", [4, 8])
def test_frozen_networks_run_as_the_reference_says(bits):
    model = integers(network(True, True), bits=bits)
    found, _ = checking.outcomes(model, codes(model, 64), contents(model))
    assert all(outcome.wrong == 0 for outcome in found), found


def heard(folder, front):
    """Features of the test clips of a folder, padded to a second."""
    names = (folder / "testing_list.txt").read_text().split()
    audio_bs = np.zeros((len(names), front.rate_hz), np.float32)
    for row_s, name in zip(audio_bs, names, strict=True):
        (path,) = folder.glob(name.rsplit(".", 1)[0] + ".*")
        audio_s = files.read(path, front.rate_hz)[: len(row_s)]
        row_s[: len(audio_s)] = audio_s
    parts = np.split(audio_bs, range(64, len(audio_bs), 64))
    return np.concatenate([front_end.log_mel(part_bs, front) for part_bs in parts])


def test_all_522_test_clips_of_speech_run_as_the_reference_says(recordings):
    feature_btf = heard(recordings / "speech_commands_3", front_end.FrontEnd())
    assert len(feature_btf) == 522
    channels, strides = (16, 32, 64, 64, 64), (2, 2, 2, 1, 1)
    module = network(True, True, channels=channels, strides=strides, size=(49, 40))
    model = drawn(module, seed=9)
    model = model._replace(input=of_range(feature_btf.min(), feature_btf.max()))
    code_btf = quant.encode(feature_btf, model.input)
    found, _ = checking.outcomes(model, code_btf, contents(model))
    for outcome in found:
        assert outcome.code_bc.shape == (522, 3) and outcome.wrong == 0, outcome
        assert len(np.unique(outcome.code_bc)) > 30


@pytest.mark.parametrize("count", [(3, 2), (7, 5), (25, 20)], ids=str)
def test_means_next_to_ties_are_as_specified(count):
    """XNNPACK's own arithmetic is not known to the last bit: scales avoid its ties."""
    tflite = pytest.importorskip("distill_jax.export.tflite")
    rng, size, depth = np.random.default_rng(sum(count)), count[0] * count[1], 64
    for _ in range(5):
        before = quant.Codes(np.float32(rng.uniform(0.01, 0.05)), -128)
        asked = before.scale * np.float32(rng.uniform(0.1, 0.9))
        scale = np.float32(mean_scale(asked, before.scale, size))
        codes_of_mean = quant.Codes(scale, -128)
        total_n = np.arange(255 * size + 1)
        place_n = total_n * float(before.scale) / (float(scale) * size)
        away_n = np.abs(place_n - np.floor(place_n) - 0.5) + (place_n > 254)
        total_i = np.argsort(away_n, kind="stable")[:depth]
        code_yxi = np.full((size, depth), -128) + total_i // size
        code_yxi += np.arange(size)[:, None] < total_i % size
        code_byxi = code_yxi.reshape(1, *count, depth).astype(np.int8)

        graph = tflite._Graph()
        source = graph.activation("x", code_byxi.shape, before)
        result = graph.activation("y", (1, depth), codes_of_mean)
        axes = graph.weight("axes", np.array([1, 2], np.int32))
        options = tflite.schema.ReducerOptionsT()
        graph.operate("MEAN", [source, axes], result, options)
        content = graph.packed(source, result, "a mean")

        interpreter = runtimes._interpreter(content)
        interpreter.allocate_tensors()
        interpreter.set_tensor(source, code_byxi)
        interpreter.invoke()
        found_i = interpreter.get_tensor(result)[0].astype(int) + 128
        rule = rounding.rule("xnnpack")
        expected_i = rule.mean(total_i, size, before.scale, scale)
        np.testing.assert_array_equal(found_i, expected_i)


def test_a_runtime_that_rounds_in_another_way_is_told_apart():
    model = drawn(network(True, True))
    code_btf = codes(model, 200)
    expected, _ = quant.reference.run(model, code_btf, "xnnpack")
    other, _ = quant.reference.run(model, code_btf, "tflm")
    assert 0 < np.mean(expected != other) < 0.6
    spoiled = model._replace(logits=model.logits._replace(zero=model.logits.zero + 1))
    found, _ = checking.outcomes(
        model, code_btf, {"tflite": contents(spoiled)["tflite"]}
    )
    assert all(outcome.wrong > 0 and outcome.largest >= 1 for outcome in found)


def test_every_file_has_a_manifest_that_is_about_it(tmp_path):
    model = drawn(network(True, True))
    contents(model)
    paths = export.write(tmp_path / "files", model, CARD, export.FORMATS)
    assert sorted(path.name for path in paths.values()) == sorted(
        f"student.{end}" for end in ("tflite", "onnx", "h", "npz")
    )
    for path in paths.values():
        data, about = export.read(path)
        assert about["bytes"] == len(data) and about["labels"] == list(CARD.labels)
        assert about["front_end"]["hop"] == 320 and about["window_samples"] == 6720
        assert (about["frames"], about["mels"]) == (21, 10)
        assert about["input"]["scale"] == model.input.scale
        assert about["output"]["zero"] == model.logits.zero
        assert about["threshold"]["threshold"] == 0.75
        assert about["weights"] == integer.parameters(model) > 100


def test_files_that_are_cut_short_exchanged_or_alone_are_refused(tmp_path):
    model = drawn(network(False, False))
    paths = export.write(tmp_path, model, CARD, ["npz"])
    path, data = paths["npz"], paths["npz"].read_bytes()
    path.write_bytes(data[:-100])
    with pytest.raises(ValueError, match=f"has {len(data) - 100} bytes.*{len(data)}"):
        export.read(path)
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ValueError, match="hashes differ"):
        export.read(path)
    export.manifest_path(path).unlink()
    with pytest.raises(FileNotFoundError, match=r"student.npz.json missing"):
        export.read(path)


@pytest.mark.parametrize("part", [0.0, 0.3, 0.99])
def test_runtimes_refuse_files_that_are_cut_short(part):
    whole = contents(drawn(network(True, True)))
    for opened, form in (
        (runtimes.litert, "tflite"),
        (runtimes.tflm, "tflite"),
        (runtimes.onnx, "onnx"),
        (arrays.read, "npz"),
    ):
        data = whole[form][: int(part * len(whole[form]))]
        try:
            with pytest.raises(ValueError, match="export it again"):
                opened(data)
        except runtimes.MissingRuntimeError:
            assert opened is runtimes.tflm


def test_arena_holds_the_two_largest_activations():
    pytest.importorskip("tflite_micro")
    module = network(True, False, channels=(16, 32), strides=(1, 2), size=(24, 16))
    needed = runtimes.arena(contents(drawn(module))["tflite"])
    # A depthwise layer reads one padded copy of the first layer and writes another.
    assert 25 * 17 * 16 + 24 * 16 * 16 < needed < 4 * 24 * 16 * 16


def test_runtimes_refuse_windows_of_another_size_or_type():
    model = drawn(network(False, False))
    whole, code_btf = contents(model), codes(model, 2)
    for opened, form in ((runtimes.litert, "tflite"), (runtimes.onnx, "onnx")):
        run = opened(whole[form])
        with pytest.raises(ValueError, match=r"int8 codes \('b', 21, 10\)"):
            run(code_btf[:, :-1])
        with pytest.raises(ValueError, match="found float32"):
            run(code_btf.astype(np.float32))
        assert run(code_btf[:0]).shape == (0, 3)


def test_arrays_come_back_as_the_same_network_and_others_are_refused():
    model = drawn(network(True, True))
    again = arrays.read(arrays.write(model, "words"))
    assert checking.same(again, model)
    assert not checking.same(again._replace(embed=model.input), model)
    with pytest.raises(ValueError, match="not an integer network"):
        arrays.read(b"PK something else")


def whole_numbers(text, name):
    """What an array of the header holds."""
    body = re.search(rf"{name}\[(\d+)\] = \{{(.*?)\}}", text, re.S)
    values = list(map(int, body[2].split(",")))
    assert len(values) == int(body[1])
    return values


def test_c_header_holds_the_model_and_the_front_end():
    model = drawn(network(True, False))
    text = contents(model)["c"].decode()
    data = bytes(whole_numbers(text, "distill_model"))
    assert data == contents(model)["tflite"]
    numbers = dict(re.findall(r"#define (\w+) \(?([-\d.e]+)f?\)?", text))
    gain, offset = (float(numbers[f"DISTILL_{name}"]) for name in ("GAIN", "OFFSET"))
    power = np.float32([0.0, 1e-3, 1.0, 30.0])
    front = CARD.front
    x = front.scale * (np.log(power + front.floor) + front.shift)
    code = np.rint(gain * np.log(power + front.floor) + offset)
    np.testing.assert_array_equal(
        np.clip(code, -128, 127), quant.encode(x, model.input)
    )
    first, count, weight = (
        list(
            map(
                int,
                re.search(rf"band_{name}\[\d+\] = \{{(.*?)\}}", text, re.S)[1].split(
                    ","
                ),
            )
        )
        for name in ("first_bin", "bins", "weights_q15")
    )
    filters = np.zeros((257, 10))
    for band, (start, bins) in enumerate(zip(first, count, strict=True)):
        filters[start : start + bins, band] = weight[:bins]
        del weight[:bins]
    assert not weight
    expected = features.mel_filters(front.mel)
    np.testing.assert_allclose(filters / 2**15, expected, atol=2**-15)


def test_c_header_compiles_as_c_and_as_cpp(tmp_path):
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc here")
    model = drawn(network(True, False))
    (tmp_path / "student.h").write_bytes(contents(model)["c"])
    source = '#include "student.h"\nint main(void) { return distill_model[4] - 84 + '
    source += "DISTILL_LABELS - sizeof distill_labels / sizeof *distill_labels; }\n"
    flags = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-variable"]
    for name, standard in (("main.c", "-std=c11"), ("main.cpp", "-std=c++17")):
        (tmp_path / name).write_text(source)
        out = tmp_path / f"{name}.out"
        command = [compiler, *flags, standard, tmp_path / name, "-o", out]
        subprocess.run(command, check=True)
        assert subprocess.run([out], check=False).returncode == 0


def test_labels_are_quoted_for_c():
    assert header.quoted('no "way"') == '"no \\042way\\042"'
    assert header.quoted("ö?") == '"\\303\\266\\077"'


def test_manifest_is_plain_json(tmp_path):
    model = drawn(network(True, False))
    path = export.write(tmp_path, model, CARD, ["npz"])["npz"]
    text = export.manifest_path(path).read_text(encoding="utf-8")
    assert json.loads(text)["run"] == "words" and "NaN" not in text
