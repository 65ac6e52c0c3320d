import numpy as np
import pytest
import tiny_encoder

from distill_jax import weights
from distill_jax.weights import rows

KINDS = {
    "conv1d": (weights.conv1d[0], (3, 2, 5), (5, 2, 3)),
    "depthwise": (weights.depthwise_conv1d[0], (31, 1, 8), (8, 1, 31)),
    "pointwise": (weights.pointwise_conv1d[0], (4, 6), (6, 4, 1)),
    "linear": (weights.linear[0], (4, 6), (6, 4)),
    "tdnn": (weights.conv1d_as_linear[0], (5, 4, 6), (6, 20)),
    "gain": (weights.weight_norm_conv1d[0], (7,), (1, 1, 7)),
    "direction": (weights.weight_norm_conv1d[1], (7, 2, 4), (4, 2, 7)),
    "embedding": (weights.embedding[0], (9, 4), (9, 4)),
    "gate": (weights.bare("h -> 1h11")[0], (3,), (1, 3, 1, 1)),
    "scalar": (weights.bare(" -> ")[0], (), ()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_axes_move_to_torch_and_back(kind):
    leaf, shape, torch_shape = KINDS[kind]
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    torch = rows.to_torch(array, leaf)
    assert torch.shape == torch_shape == rows.torch_shape(shape, leaf)
    np.testing.assert_array_equal(rows.to_flax(torch, shape, leaf), array)


def test_values_land_where_torch_has_them():
    # Output channel 1, input channel 2, tap 4.
    array = np.arange(5 * 3 * 2.0).reshape(5, 3, 2)
    assert rows.to_torch(array, weights.conv1d[0])[1, 2, 4] == array[4, 2, 1]
    # `kernel.weight.view(out, taps, in)`: tap 4 and channel 2 are column 4 * 3 + 2.
    tdnn = rows.to_torch(array, weights.conv1d_as_linear[0])
    assert tdnn[1, 14] == array[4, 2, 1]


def test_to_flax_is_a_view():
    torch = np.zeros((6, 4), np.float32)
    assert np.shares_memory(rows.to_flax(torch, (4, 6), weights.linear[0]), torch)


def test_names_of_modules_and_of_bare_parameters():
    def names(path):
        path = tuple(path.split("/"))
        found = [rows.torch_name(row, path) for row in tiny_encoder.RULES]
        return [name for matches in found for name, _ in matches]

    assert names("params/mask") == ["mask"]
    assert names("params/layers_12/gate") == ["encoder.layers.12.gate"]
    assert names("params/layers_1/ffn/kernel") == ["encoder.layers.1.ffn.weight"]
    assert names("params/pos_conv/length") == [
        "encoder.pos_conv.parametrizations.weight.original0"
    ]
    assert names("batch_stats/batch_norm/mean") == ["encoder.batch_norm.running_mean"]
    assert names("batch_stats/mask") == names("params/masks") == []


def test_another_number_of_axes_is_refused():
    with pytest.raises(ValueError, match=r"the axes 'io', the array \[1, 2, 3\]"):
        rows.torch_shape((1, 2, 3), weights.linear[0])


@pytest.mark.parity
def test_weight_norm_is_the_one_of_torch():
    torch = pytest.importorskip("torch")
    conv = torch.nn.Conv1d(4, 6, 3, groups=2)
    conv = torch.nn.utils.parametrizations.weight_norm(conv, dim=2)
    names = {name: tuple(tensor.shape) for name, tensor in conv.state_dict().items()}
    shapes = {"length": (3,), "direction": (3, 2, 6), "bias": (6,)}
    assert names == {
        leaf.torch: rows.torch_shape(shapes[leaf.flax], leaf)
        for leaf in weights.weight_norm_conv1d
        if leaf.flax in shapes
    }
