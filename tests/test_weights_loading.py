import json
import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_encoder
from tiny_encoder import CHECKPOINT, RULES

from distill_jax import sharding, weights
from distill_jax.weights import reading


@pytest.fixture
def saved(tmp_path):
    """A checkpoint in three files, and the variables that it holds."""
    tree = tiny_encoder.variables(layers=2)
    weights.export(tmp_path / "saved", tree, CHECKPOINT, {}, 300)
    assert len(list((tmp_path / "saved").glob("*.safetensors"))) > 2
    return tmp_path / "saved", tree


def shape_of(tree):
    return jax.eval_shape(lambda: tree)


def without(saved, name):
    """The same checkpoint in one file, without a tensor."""
    folder, tree = saved
    tensors = weights.read(folder)
    del tensors[name]
    path = folder.with_name("without.safetensors")
    weights.write(path, tensors)
    return path, tree


def test_variables_come_back_byte_equal_with_a_report(saved):
    folder, tree = saved
    found, report = weights.load(folder, CHECKPOINT, shape_of(tree))
    tiny_encoder.assert_same(found, tree)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(found))
    leaves = jax.tree.leaves(tree)
    assert report.files == len(list(folder.glob("*.safetensors")))
    assert report.tensors == len(leaves)
    assert report.parameters == sum(leaf.size for leaf in leaves)
    assert report.bytes == report.read_bytes - 4 == sum(leaf.nbytes for leaf in leaves)
    assert report.cast == {"I64 -> int32": ["encoder.batch_norm.num_batches_tracked"]}
    assert report.missing == report.ignored == report.aliases == {}
    assert json.loads(json.dumps(report._asdict()))["path"].endswith("index.json")


@pytest.mark.parametrize("dtype", [jnp.bfloat16, np.float16, np.float64])
def test_mixed_dtypes_are_cast_to_the_template_and_listed(saved, tmp_path, dtype):
    tensors = weights.read(saved[0])
    name = "encoder.layers.0.ffn.weight"
    tensors[name] = tensors[name].astype(dtype)
    path = tmp_path / "mixed.safetensors"
    weights.write(path, tensors)
    found, report = weights.load(path, CHECKPOINT, saved[1])
    kernel = found["params"]["layers_0"]["ffn"]["kernel"]
    assert kernel.dtype == np.float32
    np.testing.assert_array_equal(kernel, tensors[name].T.astype(np.float32))
    assert [name] in report.cast.values() and len(report.cast) == 2


def test_dtype_casts_floats_and_leaves_integers(saved):
    folder, tree = saved
    options = weights.Options(dtype=jnp.bfloat16)
    found, report = weights.load(folder, CHECKPOINT, tree, options)
    count = found["batch_stats"]["batch_norm"].pop("count")
    assert count.dtype == np.int32
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {jnp.dtype("bfloat16")}
    expected = tree["params"]["layers_1"]["ffn"]["kernel"].astype(jnp.bfloat16)
    np.testing.assert_array_equal(
        found["params"]["layers_1"]["ffn"]["kernel"], expected
    )
    assert len(report.cast["F32 -> bfloat16"]) == report.tensors - 1


def test_a_number_that_the_dtype_cannot_hold_is_refused(saved, tmp_path):
    tensors = weights.read(saved[0])
    tensors["mask"][1] = 70_000
    weights.write(tmp_path / "x.safetensors", tensors)
    with pytest.raises(ValueError, match=r"mask has numbers that float16 cannot hold"):
        weights.load(
            tmp_path / "x.safetensors",
            CHECKPOINT,
            saved[1],
            weights.Options(dtype=np.float16),
        )
    tensors["mask"][1] = np.inf  # Infinity is what was meant, it stays.
    tensors["encoder.batch_norm.num_batches_tracked"] += 2**40
    weights.write(tmp_path / "x.safetensors", tensors)
    with pytest.raises(ValueError, match=r"num_batches_tracked has .* int32 cannot"):
        weights.load(tmp_path / "x.safetensors", CHECKPOINT, saved[1])


def test_variables_are_born_sharded(saved):
    folder, tree = saved
    mesh = sharding.mesh(fsdp=4)
    shardings = sharding.shard(mesh, tree)
    options = weights.Options(shardings=shardings)
    found, _ = weights.load(folder, CHECKPOINT, shape_of(tree), options)
    tiny_encoder.assert_same(found, tree)
    assert jax.tree.map(lambda leaf: leaf.sharding, found) == shardings
    leaves = jax.tree.leaves(found)
    cut = [leaf for leaf in leaves if not leaf.sharding.is_fully_replicated]
    assert cut
    for leaf in cut:
        assert {4 * part.data.size for part in leaf.addressable_shards} == {leaf.size}
    whole = weights.Options(shardings=sharding.replicated(mesh))
    found, _ = weights.load(folder, CHECKPOINT, tree, whole)
    assert len(found["params"]["mask"].sharding.device_set) == 8


def test_shardings_of_another_tree_are_refused(saved):
    folder, tree = saved
    shardings = sharding.shard(sharding.mesh(), tree["params"])
    with pytest.raises(ValueError, match=r"not a tree like the model's"):
        weights.load(folder, CHECKPOINT, tree, weights.Options(shardings=shardings))


def test_missing_tensors_are_an_error_before_any_is_read(saved, monkeypatch):
    path, tree = without(saved, "encoder.distance.weight")
    monkeypatch.setattr(reading.Reader, "read_into", lambda *_: pytest.fail("has read"))
    with pytest.raises(ValueError, match=r"missing: encoder.distance.weight") as error:
        weights.load(path, CHECKPOINT, tree)
    assert str(path) in str(error.value)


def test_missing_tensors_are_initialised_warned_of_and_reported(saved):
    path, tree = without(saved, "encoder.distance.weight")
    other = tiny_encoder.variables(seed=9)
    sharded = sharding.replicated(sharding.mesh())
    options = weights.Options("init", lambda: other, shardings=sharded)
    with pytest.warns(UserWarning, match=r"encoder.distance.weight is not") as warned:
        found, report = weights.load(path, CHECKPOINT, tree, options)
    assert len(warned) == 1 and warned[0].filename == __file__
    assert report.missing == {"encoder.distance.weight": "initialised"}
    distance = found["params"].pop("distance")["embedding"]
    assert distance.sharding == sharded
    np.testing.assert_array_equal(distance, other["params"]["distance"]["embedding"])
    del tree["params"]["distance"]
    tiny_encoder.assert_same(found, tree)


def test_optional_tensors_are_0_or_initialised_without_a_warning(saved):
    path, tree = without(saved, "mask")
    found, report = weights.load(path, CHECKPOINT, tree)
    assert report.missing == {"mask": "0"} and not found["params"]["mask"].any()
    options = weights.Options(init=lambda: tree)
    found, report = weights.load(path, CHECKPOINT, tree, options)
    assert report.missing == {"mask": "initialised"}
    tiny_encoder.assert_same(found, tree)


def stacked(tree, layers=2):
    """Variables whose layers are one array each, as `nn.scan` has them."""
    params = dict(tree["params"])
    each = [params.pop(f"layers_{number}") for number in range(layers)]
    params["layers"] = jax.tree.map(lambda *leaves: np.stack(leaves), *each)
    return tree | {"params": params}


STACKED = CHECKPOINT._replace(
    rules=tuple((torch, flax.replace("s_{i}", "s"), row) for torch, flax, row in RULES),
    optional=("mask", r"encoder\.layers\.1\.gate"),
)


def test_layers_may_be_stacked_for_scan(saved, tmp_path):
    folder, tree = saved
    scanned = stacked(tree)
    found, report = weights.load(folder, STACKED, shape_of(scanned))
    tiny_encoder.assert_same(found, scanned)
    assert report.tensors == len(weights.read(folder))
    assert "params/layers/gate" not in report.missing
    weights.export(tmp_path / "again", found, STACKED, {})
    again, _ = weights.load(tmp_path / "again", CHECKPOINT, tree)
    tiny_encoder.assert_same(again, tree)
    tensors = weights.to_torch(scanned, STACKED)
    tiny_encoder.assert_same(weights.to_flax(tensors, STACKED, scanned), scanned)


def test_one_layer_of_a_stack_may_be_missing(saved):
    path, tree = without(saved, "encoder.layers.1.gate")
    found, report = weights.load(path, STACKED, stacked(tree))
    assert report.missing == {"encoder.layers.1.gate": "0"}
    gate = found["params"]["layers"]["gate"]
    np.testing.assert_array_equal(gate[0], tree["params"]["layers_0"]["gate"])
    assert not gate[1].any()
    options = weights.Options(init=lambda: stacked(tree))
    tiny_encoder.assert_same(
        weights.load(path, STACKED, stacked(tree), options)[0], stacked(tree)
    )


def test_wrong_options_are_refused(saved):
    folder, tree = saved
    with pytest.raises(ValueError, match=r"'ignore', expected 'error' or 'init'"):
        weights.load(folder, CHECKPOINT, tree, weights.Options("ignore"))
    with pytest.raises(ValueError, match=r"missing='init' needs init"):
        weights.load(folder, CHECKPOINT, tree, weights.Options("init"))


def test_a_file_that_shrinks_while_it_is_read_is_an_error(saved, monkeypatch):
    folder, tree = saved
    monkeypatch.setattr(reading.os, "preadv", lambda *_: 0)
    with pytest.raises(ValueError, match=r"became shorter while it was read"):
        weights.load(folder, CHECKPOINT, tree)


def test_reads_may_come_in_pieces(saved, monkeypatch):
    folder, tree = saved
    whole = os.preadv
    monkeypatch.setattr(
        reading.os, "preadv", lambda fd, buffers, at: whole(fd, [buffers[0][:7]], at)
    )
    tiny_encoder.assert_same(weights.load(folder, CHECKPOINT, tree)[0], tree)


def test_loaded_variables_do_not_need_the_file(saved):
    folder, tree = saved
    found, _ = weights.load(folder, RULES, tree)
    shutil.rmtree(folder)
    tiny_encoder.assert_same(found, tree)
