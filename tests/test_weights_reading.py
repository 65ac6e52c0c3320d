import os
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_encoder
from test_weights_rows import KINDS
from tiny_encoder import CHECKPOINT

from distill_jax import sharding, weights
from distill_jax.weights import ahead, folder, reading, rows

LARGE = {
    # More rows than a block has, of a power of two and of odd lengths.
    "linear": (weights.linear[0], (64, 517)),
    "one row": (weights.linear[0], (333, 1)),
    "conv1d": (weights.conv1d[0], (3, 7, 261)),
    "conv2d": (weights.conv2d[0], (3, 2, 5, 259)),
    "transposed": (weights.conv_transpose2d[0], (2, 3, 270, 4)),
    "flatten": (weights.linear_after_flatten[0], (2, 3, 5, 263)),
    "unflatten": (weights.linear_before_unflatten[0], (7, 2, 3, 265)),
    "empty": (weights.linear[0], (4, 0)),
    "no column": (weights.linear[0], (0, 4)),
}
LARGE |= {f"small {name}": (leaf, shape) for name, (leaf, shape, _) in KINDS.items()}


def stored(tmp_path, array, leaf):
    """A flax array in a file, as PyTorch has it: the tensor and its numbers."""
    path = tmp_path / "one.safetensors"
    weights.write(path, {"w": rows.to_torch(array, leaf)})
    return folder.read(path).tensors["w"]


def read_blocks(tensor, leaf, array):
    with reading.Reader() as reader:
        reader.read_into(rows.in_torch_order(array, leaf), tensor, "w")
    return array


@pytest.mark.parametrize("most_rows", [3, reading.MOST_ROWS])
@pytest.mark.parametrize("kind", LARGE)
def test_blocks_are_what_the_whole_tensor_is(tmp_path, monkeypatch, kind, most_rows):
    monkeypatch.setattr(reading, "MOST_ROWS", most_rows)
    leaf, shape = LARGE[kind]
    expected = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    tensor = stored(tmp_path, expected, leaf)
    found = read_blocks(tensor, leaf, np.full(shape, np.nan, np.float32))
    assert found.tobytes() == expected.tobytes()
    # The same by the plain way.
    with reading.Reader() as reader:
        plain = rows.to_flax(reader.read(tensor), shape, leaf)
    np.testing.assert_array_equal(plain, expected)


@pytest.mark.parametrize("new", [np.float16, jnp.bfloat16, np.float32, np.float64])
@pytest.mark.parametrize("old", [np.float16, jnp.bfloat16, np.float32, np.float64])
def test_blocks_are_cast_as_the_whole_tensor_is(tmp_path, old, new):
    leaf, shape = LARGE["linear"]
    wide = np.random.default_rng(0).normal(size=shape)
    numbers = wide.astype(old)
    tensor = stored(tmp_path, numbers, leaf)
    found = read_blocks(tensor, leaf, np.empty(shape, new))
    assert found.tobytes() == numbers.astype(new).tobytes()


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64])
def test_blocks_may_be_of_any_kind(tmp_path, dtype):
    leaf, shape = LARGE["conv1d"]
    expected = (np.random.default_rng(0).normal(size=shape) > 0).astype(dtype)
    found = read_blocks(stored(tmp_path, expected, leaf), leaf, np.empty(shape, dtype))
    np.testing.assert_array_equal(found, expected)


def test_a_row_larger_than_a_block_is_a_block(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MOST_BLOCK_BYTES", 100)
    leaf, shape = LARGE["linear"]
    expected = np.random.default_rng(0).normal(size=shape)
    found = read_blocks(stored(tmp_path, expected, leaf), leaf, np.empty(shape))
    np.testing.assert_array_equal(found, expected)


def test_a_number_too_large_in_a_late_block_is_refused(tmp_path):
    leaf, shape = LARGE["linear"]
    numbers = np.ones(shape, np.float32)
    numbers[0, 500] = 1e6
    tensor = stored(tmp_path, numbers, leaf)
    with pytest.raises(ValueError, match=r"w has numbers that float16 cannot hold"):
        read_blocks(tensor, leaf, np.empty(shape, np.float16))


def test_blocks_may_come_in_pieces(tmp_path, monkeypatch):
    whole, leaf, shape = os.preadv, *LARGE["conv1d"]
    monkeypatch.setattr(
        reading.os,
        "preadv",
        lambda fd, views, at: whole(fd, [*views[:1], *(v[:7] for v in views[1:2])], at),
    )
    expected = np.random.default_rng(0).normal(size=shape)
    found = read_blocks(stored(tmp_path, expected, leaf), leaf, np.empty(shape))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", ["linear", "small embedding"])
def test_a_file_cut_short_after_its_header_was_read_is_an_error(tmp_path, kind):
    leaf, shape = LARGE[kind]
    tensor = stored(tmp_path, np.ones(shape, np.float32), leaf)
    os.truncate(tensor.file, tensor.start + tensor.size - 1)
    with pytest.raises(ValueError, match=r"became shorter while it was read"):
        read_blocks(tensor, leaf, np.empty(shape, np.float32))


def test_a_reader_serves_several_threads(tmp_path):
    rng, leaf = np.random.default_rng(0), weights.linear[0]
    arrays = {f"w{n}": rng.normal(size=(40 + n, 300)) for n in range(24)}
    turned = {name: rows.to_torch(array, leaf) for name, array in arrays.items()}
    weights.write(tmp_path / "x", turned)
    tensors = folder.read(tmp_path / "x").tensors
    found = {name: np.empty(array.shape) for name, array in arrays.items()}
    with reading.Reader() as reader, ThreadPoolExecutor(8) as pool:
        for name, array in found.items():
            view = rows.in_torch_order(array, leaf)
            pool.submit(reader.read_into, view, tensors[name], name)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


def test_large_arrays_are_kept_by_jax_as_they_lie():
    array = reading.empty((3, 1 << 20), np.float32)
    array[...] = np.arange(3)[:, None]
    kept = jax.device_put(array)
    assert kept.unsafe_buffer_pointer() == array.ctypes.data
    del array
    np.testing.assert_array_equal(kept[:, -1], np.arange(3))
    assert reading.empty((), np.int32).shape == ()


def test_donating_what_was_loaded_leaves_the_rest_alone(tmp_path):
    kernel = np.random.default_rng(0).normal(size=(1024, 1024)).astype(np.float32)
    tree = {"params": {name: {"kernel": kernel + n} for n, name in enumerate("ab")}}
    rules = tuple((name, name, weights.linear) for name in "ab")
    weights.export(tmp_path, tree, rules, None)
    found, _ = weights.load(tmp_path, rules, tree)
    one, other = (found["params"][name]["kernel"] for name in "ab")
    doubled = jax.jit(lambda x: 2 * x, donate_argnums=0)(one)
    np.testing.assert_array_equal(doubled, 2 * kernel)
    np.testing.assert_array_equal(other, kernel + 1)


def test_blocks_go_to_shards_and_stacks(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MOST_ROWS", 3)
    monkeypatch.setattr(ahead, "MOST_BYTES", 100)
    tree = tiny_encoder.variables(layers=3)
    weights.export(tmp_path, tree, CHECKPOINT, None)
    shardings = sharding.shard(sharding.mesh(fsdp=4), tree)
    options = weights.Options(shardings=shardings)
    found, _ = weights.load(tmp_path, CHECKPOINT, tree, options)
    tiny_encoder.assert_same(found, tree)
    assert jax.tree.map(lambda leaf: leaf.sharding, found) == shardings


def test_a_tensor_that_fails_in_a_thread_fails_the_loading(tmp_path):
    tree = tiny_encoder.variables(layers=2)
    tree["params"]["mask"] = tree["params"]["mask"] * 0 + np.float32(1e30)
    weights.export(tmp_path, tree, CHECKPOINT, None)
    options = weights.Options(dtype=np.float16)
    with pytest.raises(ValueError, match=r"mask has numbers that float16 cannot"):
        weights.load(tmp_path, CHECKPOINT, tree, options)
