import json

import jax.numpy as jnp
import numpy as np
import pytest
import raw_tensors

from distill_jax import weights
from distill_jax.weights import folder
from distill_jax.weights.converting import convert


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.mkdir()
    tensors = {name: np.arange(6.0).astype("f4") / 7 for name in "abc"}
    weights.write(path / folder.FILE, tensors | {"n": np.int64(3)}, {"made": "here"})
    (path / "config.json").write_text('{"b": 1, "dtype": "float32"}')
    (path / "preprocessor_config.json").write_text('{"x":  1}')
    (path / "pytorch_model.bin").write_text("the same weights")
    (path / "nested").mkdir()
    return path


def test_a_copy_in_shards_has_the_same_bytes(source, tmp_path):
    names = convert(source, tmp_path / "out", max_shard_bytes=50)
    out = tmp_path / "out"
    assert names == sorted(path.name for path in out.iterdir())
    assert names == [
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        folder.INDEX,
        "preprocessor_config.json",
    ]
    for name in ("config.json", "preprocessor_config.json"):
        assert (out / name).read_bytes() == (source / name).read_bytes()
    first, second = weights.read(source), weights.read(out)
    assert {n: a.tobytes() for n, a in first.items()} == {
        n: a.tobytes() for n, a in second.items()
    }
    assert folder.read(out).metadata == {"format": "pt", "made": "here"}
    convert(out, tmp_path / "back")
    assert (tmp_path / "back" / folder.FILE).read_bytes() == (
        source / folder.FILE
    ).read_bytes()


def test_a_dtype_changes_floats_and_the_config(source, tmp_path):
    convert(source, tmp_path / "out", jnp.bfloat16)
    out = weights.read(tmp_path / "out")
    assert {name: array.dtype.name for name, array in out.items()} == {
        "a": "bfloat16",
        "b": "bfloat16",
        "c": "bfloat16",
        "n": "int64",
    }
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config == {"b": 1, "dtype": "bfloat16"}


def test_a_single_file_is_converted_alone(source, tmp_path):
    convert(source / folder.FILE, tmp_path / "out", np.float16)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [folder.FILE]


def test_a_folder_with_something_in_it_is_refused(source, tmp_path):
    for out in (source, source / "config.json"):
        with pytest.raises(FileExistsError, match="not an empty folder"):
            convert(source, out)


def test_what_cannot_be_converted_leaves_nothing(tmp_path):
    header = {"a": raw_tensors.entry("F8_E4M3", [2], 0, 2)}
    path = raw_tensors.write(tmp_path / "x.safetensors", header, bytes(2))
    with pytest.raises(ValueError, match=r"(?s)there is no conversion.*a is F8_E4M3"):
        convert(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
