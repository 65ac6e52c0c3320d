import json

import pytest
import raw_tensors
from raw_tensors import entry

from distill_jax.weights import folder

ONE = {"a": entry("U8", [2], 0, 2)}
TWO = {"b": entry("U8", [3], 0, 3)}


@pytest.fixture
def shards(tmp_path):
    """A function that writes two shards and an index with this map."""

    def shards(weight_map):
        raw_tensors.write(tmp_path / "model-1.safetensors", ONE, bytes(2))
        raw_tensors.write(tmp_path / "model-2.safetensors", TWO, bytes(3))
        path = tmp_path / folder.INDEX
        path.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
        return path

    return shards


def test_shards_are_read_as_one_by_folder_and_by_index(shards, tmp_path):
    path = shards({"a": "model-1.safetensors", "b": "model-2.safetensors"})
    assert folder.read(path) == folder.read(tmp_path)
    contents = folder.read(tmp_path)
    assert {n: t.file.name for n, t in contents.tensors.items()} == {
        "a": "model-1.safetensors",
        "b": "model-2.safetensors",
    }
    assert contents.path == path


def test_one_file_goes_before_an_index_and_any_single_file_will_do(shards, tmp_path):
    other = raw_tensors.write(tmp_path / "else.safetensors", ONE, bytes(2))
    assert folder.locate(tmp_path) == other
    index = shards({})
    assert folder.locate(tmp_path) == index
    single = raw_tensors.write(tmp_path / folder.FILE, ONE, bytes(2))
    assert folder.locate(tmp_path) == single


HOSTILE_MAPS = {
    "absolute": ({"a": "/etc/x.safetensors"}, "'/etc/x.safetensors' is not the plain"),
    "escape": ({"a": "../../x.safetensors"}, "is not the plain name"),
    "folder": ({"a": "b/x.safetensors"}, "is not the plain name"),
    "windows": ({"a": "c:x.safetensors", "b": "b\\y.safetensors"}, "not the plain"),
    "zero byte": ({"a": "x\0.safetensors"}, "is not the plain name"),
    "other kind": ({"a": "config.json"}, "is not the plain name"),
    "too long": ({"a": "x" * 5000 + ".safetensors"}, "download the files"),
    "missing file": ({"a": "model-3.safetensors"}, "model-3.safetensors is missing"),
    "number": ({"a": 3}, "should hold file names only"),
    "list": ([], 'no "weight_map" object'),
    "wrong shard": (
        {"a": "model-2.safetensors", "b": "model-1.safetensors"},
        "a is in model-1.safetensors, the index says model-2.safetensors",
    ),
    "not in the index": (
        {"b": "model-2.safetensors", "c": "model-1.safetensors"},
        "(?s)a of model-1.safetensors is not in the index.*c is not in model-1",
    ),
}


@pytest.mark.parametrize("case", HOSTILE_MAPS)
def test_hostile_indices_are_refused_by_name(case, shards):
    weight_map, message = HOSTILE_MAPS[case]
    path = shards(weight_map)
    with pytest.raises(ValueError, match=message) as error:
        folder.read(path)
    assert str(path) in str(error.value)


def test_a_tensor_in_two_shards_is_refused(shards, tmp_path):
    path = shards({"a": "model-1.safetensors", "b": "model-2.safetensors"})
    raw_tensors.write(
        tmp_path / "model-2.safetensors", TWO | {"a": entry("U8", [2], 3, 5)}, bytes(5)
    )
    with pytest.raises(ValueError, match=r"a is in model-2.*index says model-1"):
        folder.read(path)


def test_a_damaged_shard_is_named(shards, tmp_path):
    path = shards({"a": "model-1.safetensors", "b": "model-2.safetensors"})
    (tmp_path / "model-2.safetensors").write_bytes(b"1")
    with pytest.raises(ValueError, match=r"model-2.safetensors \(1 bytes\) is trunc"):
        folder.read(path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"weight_map": {"a": "b", "a": ""}}'])
def test_an_index_that_is_no_index_is_refused(tmp_path, text):
    path = tmp_path / folder.INDEX
    path.write_text(text)
    with pytest.raises(ValueError, match=r"index\.json"):
        folder.read(tmp_path)


def test_a_large_index_is_refused_unread(tmp_path):
    path = tmp_path / folder.INDEX
    with open(path, "wb") as file:
        file.truncate(200_000_000)
    with pytest.raises(ValueError, match="200000000 bytes, at most"):
        folder.read(path)


def test_what_is_not_there_is_said_with_what_is(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        folder.read(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="save_pretrained"):
        folder.read(tmp_path)
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(FileNotFoundError, match=r"but pytorch_model\.bin; write it"):
        folder.read(tmp_path)
    for name in ("x.safetensors", "y.safetensors"):
        (tmp_path / name).touch()
    with pytest.raises(FileNotFoundError, match=r"x.safetensors, y.safetensors; name"):
        folder.read(tmp_path)
