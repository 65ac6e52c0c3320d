import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import raw_tensors
import tiny_encoder
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_encoder import CHECKPOINT, RULES

from distill_jax import sharding, weights
from distill_jax.weights import exporting, folder


@pytest.mark.parametrize("seed", range(5))
def test_files_have_the_bytes_of_the_safetensors_package(tmp_path, seed):
    from safetensors.numpy import load_file, save_file

    tensors = raw_tensors.arrays(seed, count=8)
    tensors |= {"half": np.ones((2, 3), jnp.bfloat16), "u": np.ones(3, np.uint16)}
    weights.write(tmp_path / "ours", tensors)
    save_file(tensors, tmp_path / "theirs", {"format": "pt"})
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    found = load_file(tmp_path / "ours")
    assert found.keys() == tensors.keys()
    assert all(found[n].tobytes() == tensors[n].tobytes() for n in tensors)


DTYPES = (
    "float32",
    "float64",
    "float16",
    "bfloat16",
    "int32",
    "int64",
    "uint8",
    "bool",
)
TENSORS = st.dictionaries(
    st.text(max_size=8).filter(lambda name: name != "__metadata__"),
    st.tuples(
        st.sampled_from(DTYPES),
        st.lists(st.integers(0, 4), max_size=4),
        st.integers(0, 2**32 - 1),
    ),
    max_size=6,
)


@settings(max_examples=50, deadline=None)
@given(TENSORS)
def test_random_tensors_come_back_byte_equal(tmp_path_factory, described):
    path = tmp_path_factory.mktemp("x") / "x.safetensors"
    tensors = {
        name: np.random.default_rng(seed).normal(size=shape).astype(jnp.dtype(dtype))
        for name, (dtype, shape, seed) in described.items()
        if _is_text(name)
    }
    weights.write(path, tensors, {"made": "hère"})
    back = weights.read(path)
    assert back.keys() == tensors.keys()
    for name, array in tensors.items():
        assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)
        assert back[name].tobytes() == array.tobytes()


def _is_text(name):
    return name.isprintable()


@pytest.mark.parametrize(
    ("dtype", "layers", "head", "most"),
    [
        (np.float32, 1, False, 10**9),
        (np.float16, 3, True, 500),
        (jnp.bfloat16, 2, True, 1),
    ],
)
def test_exported_variables_load_byte_equal(tmp_path, dtype, layers, head, most):
    tree = tiny_encoder.variables(dtype=dtype, layers=layers, head=head)
    placed = jax.device_put(tree, sharding.shard(sharding.mesh(fsdp=2), tree))
    names = weights.export(tmp_path, placed, CHECKPOINT, {"a": 1}, most)
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())
    tiny_encoder.assert_same(weights.load(tmp_path, CHECKPOINT, tree)[0], tree)
    # What was loaded is exported to the same bytes.
    before = {name: (tmp_path / name).read_bytes() for name in names}
    loaded, _ = weights.load(tmp_path, CHECKPOINT, tree)
    weights.export(tmp_path, loaded, CHECKPOINT, {"a": 1}, most)
    assert before == {name: (tmp_path / name).read_bytes() for name in names}


def test_shards_keep_to_their_size_and_the_index_names_all(tmp_path):
    tree = tiny_encoder.variables()
    weights.export(tmp_path, tree, CHECKPOINT, {"model_type": "tiny"}, 500)
    index = json.loads((tmp_path / folder.INDEX).read_text())
    tensors = weights.read(tmp_path)
    size = sum(array.nbytes for array in tensors.values())
    assert index["metadata"] == {"total_size": size}
    assert index["weight_map"].keys() == tensors.keys()
    files = sorted(set(index["weight_map"].values()))
    assert files[0] == f"model-00001-of-{len(files):05d}.safetensors"
    for file in files:
        part = weights.read(tmp_path / file)
        assert sum(array.nbytes for array in part.values()) <= 500
    assert json.loads((tmp_path / "config.json").read_text()) == {"model_type": "tiny"}


def test_names_get_the_prefix_only_beside_a_head(tmp_path):
    weights.export(tmp_path / "a", tiny_encoder.variables(), CHECKPOINT, None)
    assert [path.name for path in (tmp_path / "a").iterdir()] == [folder.FILE]
    assert "mask" in weights.read(tmp_path / "a")
    weights.export(tmp_path / "b", tiny_encoder.variables(head=True), CHECKPOINT, None)
    assert {"tiny.mask", "lm_head.bias"} <= weights.read(tmp_path / "b").keys()


def test_an_export_replaces_the_one_before_and_leaves_other_files(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    for most in (300, 10**9, 600):
        weights.export(tmp_path, tiny_encoder.variables(most), CHECKPOINT, {}, most)
        tree = tiny_encoder.variables(most)
        tiny_encoder.assert_same(weights.load(tmp_path, CHECKPOINT, tree)[0], tree)
    found = {path.name for path in tmp_path.iterdir()}
    index = json.loads((tmp_path / folder.INDEX).read_text())["weight_map"]
    assert found == {*index.values(), folder.INDEX, "config.json", "tokenizer.json"}


def test_an_export_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    tree = tiny_encoder.variables()
    weights.export(tmp_path, tree, CHECKPOINT, {})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    whole, calls = exporting.rows.to_torch, []

    def broken(*arguments):
        calls.append(arguments)
        if len(calls) == 9:
            raise OSError("the disk is full")
        return whole(*arguments)

    monkeypatch.setattr(exporting.rows, "to_torch", broken)
    with pytest.raises(OSError, match="the disk is full"):
        weights.export(tmp_path, tree, CHECKPOINT, {"new": 1}, 300)
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_dtypes_without_a_place_in_safetensors_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"x is complex128, which safetensors cannot"):
        weights.write(tmp_path / "x", {"x": np.zeros(2, complex)})
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_makes_something_else_is_refused(tmp_path):
    for array in (np.zeros(3, np.float32), np.zeros(2, np.int32)):
        source = exporting.Source("F32", (2,), lambda array=array: array)
        with pytest.raises(ValueError, match=r"x was to be"):
            exporting.write_folder(tmp_path, {"x": source}, None)


def test_rows_alone_are_a_table(tmp_path):
    tree = tiny_encoder.variables()
    weights.export(tmp_path, tree, RULES, {})
    tiny_encoder.assert_same(weights.load(tmp_path, RULES, tree)[0], tree)
