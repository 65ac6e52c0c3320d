import json

import numpy as np
import pytest
import tiny_encoder
from tiny_encoder import CHECKPOINT

from distill_jax import inspection, weights


@pytest.fixture
def saved(tmp_path):
    """A checkpoint in several files, as a folder."""
    config = {"model_type": "tiny", "architectures": ["TinyModel"], "dtype": "float32"}
    path = tmp_path / "saved"
    tree = tiny_encoder.variables(layers=3)
    weights.export(path, tree, CHECKPOINT, config, 500)
    return path


def test_inspect_tells_the_model_the_sizes_and_the_tree(call, saved):
    status, said, _ = call("inspect", saved)
    assert status == 0
    assert "model: tiny, XVector head (config.json: TinyModel)" in said
    size = sum(array.nbytes for array in weights.read(saved).values())
    assert f"{size:,} bytes, F32, I64" in said
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert "encoder.layers.{0-2}.ffn.weight F32 [6, 4] ×3" in lines
    assert "encoder.batch_norm.num_batches_tracked I64 []" in lines
    assert "no model here to hold it against" in said


def test_inspect_says_what_does_not_fit_a_known_model(call, saved, monkeypatch):
    layers = 3
    monkeypatch.setattr(
        inspection,
        "known",
        lambda model, config: (CHECKPOINT, tiny_encoder.variables(layers=layers)),
    )
    assert "every tensor fits the model" in call("inspect", saved)[1]
    layers = 2
    status, said, _ = call("inspect", saved, "--json")
    problems = json.loads(said)["problems"]
    assert status == 0 and len(problems) == 8
    assert problems[0].startswith("unexpected: encoder.layers.2.")
    assert problems[0] in call("inspect", saved)[1]


def test_inspect_says_what_of_the_config_the_model_does_not_follow(call, saved):
    config = json.loads((saved / "config.json").read_text())
    config |= {"model_type": "wav2vec2-bert", "rotary": 1}
    (saved / "config.json").write_text(json.dumps(config))
    assert "rotary = 1, expected None" in call("inspect", saved)[1]


def test_inspect_gives_every_fact_as_json(call, saved):
    facts = json.loads(call("inspect", saved, "--json")[1])
    assert facts["model"] == "tiny" and facts["problems"] is None
    arrays = weights.read(saved)
    assert facts["parameters"] == sum(array.size for array in arrays.values())
    assert {each["name"]: tuple(each["shape"]) for each in facts["tensors"]} == {
        name: array.shape for name, array in arrays.items()
    }
    assert {each["file"] for each in facts["tensors"]} == set(facts["files"])


def test_inspect_prints_no_sign_that_a_terminal_obeys(call, tmp_path):
    path = tmp_path / "x.safetensors"
    names = ["\x1b[2J", "a#", "a1", "1" * 5000]
    weights.write(path, {name: np.zeros(2) for name in names})
    status, said, _ = call("inspect", path)
    assert status == 0 and "\x1b" not in said and "\\x1b[2J" in said
    assert "a#" in said and "a1" in said
    weights.write(path, {"x": np.zeros(2)})
    path.write_bytes(path.read_bytes().replace(b'"x"', b'"\\u001b"'))
    assert call("inspect", path)[0] == 2


@pytest.mark.parametrize("verb", ["inspect", "verify", "convert"])
def test_what_is_not_there_or_damaged_is_a_message(call, saved, tmp_path, verb):
    more = {"inspect": [], "verify": [saved], "convert": [tmp_path / "out"]}[verb]
    status, _, said = call(verb, tmp_path / "nowhere", *more)
    assert status == 2 and "nowhere does not exist" in said
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"1")
    status, _, said = call(verb, bad, *more)
    assert status == 2 and "bad.safetensors (1 bytes) is truncated" in said


def test_convert_then_verify_tell_the_rounding(call, saved, tmp_path):
    out = tmp_path / "out"
    status, said, _ = call("convert", saved, out, "--dtype", "bfloat16")
    assert status == 0 and said.split() == [
        str(out / name) for name in ("config.json", "model.safetensors")
    ]
    status, said, _ = call("verify", saved, out)
    count = len(weights.read(saved))
    assert status == 1 and "relative  (F32, BF16)" in said
    assert said.splitlines()[-1].startswith(f"{count} tensors: 1 the same")
    assert call("verify", saved, out, "--tolerance", 0.02)[0] == 0
    assert call("verify", out, out)[:2] == (
        0,
        f"{count} tensors: {count} the same, 0 further apart than 0\n",
    )
    assert call("convert", saved, out)[0] == 2


def test_convert_reports_as_json(call, saved, tmp_path):
    out = tmp_path / "out"
    facts = json.loads(call("convert", saved, out, "--dtype", "float16", "--json")[1])
    assert facts["source"] == str(saved)
    assert facts["written"] == sorted(path.name for path in out.iterdir())
    arrays = weights.read(out)
    assert facts["bytes"] == sum(array.nbytes for array in arrays.values())
    assert {each["dtype"] for each in facts["tensors"]} == {"F16", "I64"}


def test_verify_reports_as_json(call, saved, tmp_path):
    one, other = tmp_path / "one.safetensors", tmp_path / "other.safetensors"
    weights.write(one, {"a": np.ones(2), "b": np.ones(2)})
    weights.write(other, {"a": np.ones(2) * 2, "c": np.ones(2)})
    status, said, _ = call("verify", one, other, "--json", "--tolerance", 3)
    facts = json.loads(said)
    assert status == 1 and facts["tensors"] == 3 and facts["beyond_tolerance"] == 2
    assert facts["differences"][0] == {
        "name": "a",
        "absolute": 1.0,
        "relative": 0.5,
        "note": "",
    }
    assert facts["differences"][1]["absolute"] is None


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["verify", "--tolerance", "-1"], "--tolerance"),
        (["verify", "--tolerance", "nan"], "--tolerance"),
        (["convert", "--shard-gb", "0"], "--shard-gb"),
    ],
)
def test_wrong_numbers_are_refused(call, saved, tmp_path, arguments, option):
    status, _, said = call(arguments[0], saved, tmp_path / "out", *arguments[1:])
    assert status == 2 and option in said


@pytest.mark.parametrize("verb", ["inspect", "convert", "verify"])
def test_help_has_an_example(call, verb):
    status, said, _ = call(verb, "--help")
    assert status == 0 and f"Example: distill-jax {verb} " in said
