import jax
import numpy as np
import pytest

from distill_jax import weights

RULES = (
    ("encoder.convs.{4*i}", "encoder/conv_{i}", weights.conv2d),
    ("encoder.convs.{4*i+1}", "encoder/norm_{i}", weights.batch_norm),
    ("decoder.ups.{i}", "decoder/up_{i}", weights.conv_transpose2d),
    ("decoder.fc", "decoder/dense", weights.linear_before_unflatten),
    ("encoder.fc", "encoder/dense", weights.linear_after_flatten),
    ("head.out", "head", weights.linear),
)


def dense(*shape, bias):
    return {"kernel": np.zeros(shape, np.float32), "bias": np.zeros(bias, np.float32)}


def variables(seed=0):
    """Every transform, with no two axes of one length; two-digit numbers."""
    scalars = {"mean": np.zeros(5, np.float32), "var": np.zeros(5, np.float32)}
    tree = {
        "params": {
            "encoder": {
                "conv_0": dense(3, 2, 4, 5, bias=5),
                "conv_11": dense(3, 2, 5, 6, bias=6),
                "norm_0": {
                    "scale": np.zeros(5, np.float32),
                    "bias": np.zeros(5, np.float32),
                },
                "dense": dense(2, 3, 4, 7, bias=7),
            },
            "decoder": {
                "dense": dense(7, 2, 3, 4, bias=(2, 3, 4)),
                "up_3": dense(3, 2, 4, 5, bias=5),
            },
            "head": dense(8, 9, bias=9),
        },
        "batch_stats": {"encoder": {"norm_0": {**scalars, "count": np.int32(12)}}},
    }
    rng = np.random.default_rng(seed)

    def fill(leaf):
        if leaf.dtype == np.int32:
            return np.asarray(leaf)
        return rng.normal(size=leaf.shape).astype(leaf.dtype)

    return jax.tree.map(fill, tree)


def test_names_count_in_the_steps_of_the_table():
    names = set(weights.to_torch(variables(), RULES))
    assert {"encoder.convs.0.weight", "encoder.convs.44.weight"} <= names
    assert {"encoder.convs.1.running_var", "decoder.ups.3.bias"} <= names
    assert len(names) == 17


def test_axes_move_as_torch_has_them():
    tree = variables()
    found = weights.to_torch(tree, RULES)
    encoder, decoder = tree["params"]["encoder"], tree["params"]["decoder"]
    assert found["encoder.convs.0.weight"].shape == (5, 4, 3, 2)
    assert (
        found["encoder.convs.0.weight"][1, 2, 0, 1]
        == encoder["conv_0"]["kernel"][0, 1, 2, 1]
    )
    assert (
        found["decoder.ups.3.weight"][1, 2, 0, 1]
        == decoder["up_3"]["kernel"][0, 1, 1, 2]
    )
    # Channel 3, row 1, column 2 of a 4-channel 2x3 picture is 3 * 6 + 1 * 3 + 2.
    assert found["encoder.fc.weight"][5, 23] == encoder["dense"]["kernel"][1, 2, 3, 5]
    assert found["decoder.fc.weight"][23, 6] == decoder["dense"]["kernel"][6, 1, 2, 3]
    assert found["decoder.fc.bias"][23] == decoder["dense"]["bias"][1, 2, 3]
    assert found["head.out.weight"][4, 7] == tree["params"]["head"]["kernel"][7, 4]
    count = found["encoder.convs.1.num_batches_tracked"]
    assert (count.dtype, count.shape, int(count)) == (np.int64, (), 12)


def test_round_trip_is_byte_equal_through_a_file(tmp_path):
    tree = variables()
    tensors = weights.to_torch(tree, RULES)
    path = tmp_path / "model.safetensors"
    weights.write(path, tensors, {"made": "here"})
    back = weights.read(path)
    assert back.keys() == tensors.keys()
    for name, array in tensors.items():
        assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)
        assert back[name].tobytes() == array.tobytes()
    flax = weights.to_flax(back, RULES, jax.eval_shape(lambda: tree))
    assert jax.tree.structure(flax) == jax.tree.structure(tree)
    for found, expected in zip(
        jax.tree.leaves(flax), jax.tree.leaves(tree), strict=True
    ):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert found.tobytes() == np.asarray(expected).tobytes()
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


def test_all_problems_are_named_at_once():
    tree = variables()
    tensors = weights.to_torch(tree, RULES)
    del tensors["head.out.bias"], tensors["encoder.convs.0.weight"]
    tensors["head.out.weight"] = tensors["head.out.weight"].T
    tensors["optimizer.step"] = np.zeros(3)
    with pytest.raises(ValueError) as error:
        weights.to_flax(tensors, RULES, tree)
    message = str(error.value)
    assert "4 of 18 tensors" in message
    assert "missing: head.out.bias (9,)" in message
    assert "missing: encoder.convs.0.weight (5, 4, 3, 2)" in message
    assert "misshaped: head.out.weight is (8, 9), expected (9, 8)" in message
    assert "unexpected: optimizer.step (3,)" in message


@pytest.mark.parametrize("convert", ["to_torch", "to_flax"])
def test_variables_without_a_row_and_with_two_are_named(convert):
    tree = variables()
    rules = (*RULES[1:], ("again.{i}", "encoder/norm_{i}", weights.batch_norm))
    arguments = (tree, rules) if convert == "to_torch" else ({}, rules, tree)
    with pytest.raises(ValueError, match="not complete") as error:
        getattr(weights, convert)(*arguments)
    assert "params/encoder/conv_11/kernel: 0 rows fit" in str(error.value)
    assert "batch_stats/encoder/norm_0/var: 2 rows fit" in str(error.value)
    assert "head" not in str(error.value)


@pytest.mark.parametrize("keep", [0, 5, 60, -1])
def test_truncated_files_are_refused_with_their_name_and_size(tmp_path, keep):
    path = tmp_path / "model.safetensors"
    weights.write(path, weights.to_torch(variables(), RULES))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="truncated") as error:
        weights.read(path)
    assert str(path) in str(error.value) and str(path.stat().st_size) in str(
        error.value
    )


def test_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing here"):
        weights.read(tmp_path / "nothing here")


@pytest.mark.parity
def test_files_load_into_torch_modules(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    tree = variables()
    path = tmp_path / "model.safetensors"
    weights.write(path, weights.to_torch(tree, RULES))
    tensors = load_file(path)
    norm = torch.nn.BatchNorm2d(5)
    prefix = "encoder.convs.1."
    norm.load_state_dict(
        {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    )
    assert int(norm.num_batches_tracked) == 12
    mean_i = tree["batch_stats"]["encoder"]["norm_0"]["mean"]
    np.testing.assert_array_equal(norm.running_mean.numpy(), mean_i)
