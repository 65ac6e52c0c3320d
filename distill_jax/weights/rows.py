"""The rows of a weight table: which tensors a kind of module holds, on both sides.

A row is a module's name in the PyTorch tree, its path in the flax tree and its
tensors, most often one of the kinds below:

    ("encoder.layers.{i}.ffn", "layers_{i}/ffn", linear)

A field in braces is a number, the same on both sides, which the PyTorch side may
space out: `{4*i+1}`. One that only the PyTorch side has is the first axis of the
flax array, in which `nn.scan` stacks its layers:

    ("encoder.layers.{i}.ffn", "layers/ffn", linear)

A tensor that the flax module does not have, such as the bias
of a layer without one, is not asked for either.
"""

import functools
import math
import re
from typing import NamedTuple

import numpy as np

FIELD = re.compile(r"\{(?:(\d+)\*)?([a-z]+)(?:\+(\d+))?\}")


class Leaf(NamedTuple):
    """One tensor of a module, as both sides have it.

    Attributes:
      torch: its name in the PyTorch module; "" where the row names the tensor.
      flax: its name in the flax module; "" where the row's path is the tensor's.
      axes: the axes in flax and in PyTorch, a letter each, "yxcz -> z(cyx)";
        PyTorch holds what is in parentheses as one axis, and 1 is an axis of
        length 1 that only PyTorch has: "h -> 1h11".
      collection: the flax collection that it lives in.
      dtype: of the PyTorch tensor, where it is not that of the flax array.
    """

    torch: str
    flax: str
    axes: str
    collection: str = "params"
    dtype: type | None = None


def bare(axes):
    """The kind of row that names a parameter and not a module.

    Args:
      axes: as in `Leaf`.

    Returns:
      Leaves, for ("attention.pos_bias_u", "attention/pos_bias_u", bare("hk -> hk")).
    """
    return (Leaf("", "", axes),)


def parameter(torch, flax, axes="n -> n"):
    """The kind of row that is one tensor of a module, under any two names."""
    return (Leaf(torch, flax, axes),)


def inside(torch, flax, table):
    """A table of the modules inside one, with the names and paths in front."""
    return tuple((torch + name, flax + path, kind) for name, path, kind in table)


_BIAS = Leaf("bias", "bias", "o -> o")

linear = (Leaf("weight", "kernel", "io -> oi"), _BIAS)
# Grouped and depthwise convolutions too: `i` is the input channels of one group.
conv1d = (Leaf("weight", "kernel", "wio -> oiw"), _BIAS)
depthwise_conv1d = conv1d
# A convolution of width 1 in PyTorch that is a dense layer in flax.
pointwise_conv1d = (Leaf("weight", "kernel", "io -> oi1"), _BIAS)
# A dense layer in PyTorch over `w` neighbouring frames that is a convolution in flax.
conv1d_as_linear = (Leaf("weight", "kernel", "wio -> o(wi)"), _BIAS)
# One length per tap (torch's dim=2): the weight is direction * length / |direction|.
weight_norm_conv1d = (
    Leaf("parametrizations.weight.original0", "length", "w -> 11w"),
    Leaf("parametrizations.weight.original1", "direction", "wio -> oiw"),
    Leaf("weight", "kernel", "wio -> oiw"),  # of a convolution without that norm
    _BIAS,
)
conv2d = (Leaf("weight", "kernel", "yxio -> oiyx"), _BIAS)
conv_transpose2d = (Leaf("weight", "kernel", "yxio -> ioyx"), _BIAS)
# A dense layer over a flattened picture keeps the picture's axes in flax; PyTorch
# flattens channels first.
linear_after_flatten = (Leaf("weight", "kernel", "yxio -> o(iyx)"), _BIAS)
linear_before_unflatten = (
    Leaf("weight", "kernel", "iyxo -> (oyx)i"),
    Leaf("bias", "bias", "yxo -> (oyx)"),
)
layer_norm = (Leaf("weight", "scale", "o -> o"), _BIAS)
group_norm = layer_norm
batch_norm = (
    *layer_norm,
    Leaf("running_mean", "mean", "o -> o", "batch_stats"),
    Leaf("running_var", "var", "o -> o", "batch_stats"),
    Leaf("num_batches_tracked", "count", " -> ", "batch_stats", np.int64),
)
embedding = (Leaf("weight", "embedding", "nd -> nd"),)
vector = bare("d -> d")


def torch_name(row, path):
    """The PyTorch tensors that a flax leaf is by one row.

    Args:
      row: (PyTorch module, flax path, leaves).
      path: of the flax leaf: (collection, module, ..., name).

    Returns:
      [(PyTorch name, leaf)], empty where the row does not fit; a field that only
      the PyTorch side has is still in the name, see `numbered`.
    """
    torch_module, flax_module, leaves = row
    found = []
    for leaf in leaves:
        if leaf.collection != path[0] or leaf.flax not in ("", path[-1]):
            continue
        modules = path[1:] if leaf.flax == "" else path[1:-1]
        numbers = _pattern(flax_module).fullmatch("/".join(modules))
        if numbers:
            prefix = _filled(torch_module, numbers.groupdict())
            found.append((".".join(filter(None, (prefix, leaf.torch))), leaf))
    return found


def numbered(name, number):
    """A name whose field is filled in.

    Raises:
      ValueError: it has several, for which one number cannot stand.
    """
    fields = {field[2] for field in FIELD.finditer(name)}
    if len(fields) > 1:
        raise ValueError(f"{name} has several fields that the flax path lacks")
    return _filled(name, dict.fromkeys(fields, number))


def torch_shape(shape, leaf):
    """Shape in PyTorch of a flax array.

    Raises:
      ValueError: the array has another number of axes than the row.
    """
    flax, torch = _groups(leaf.axes)
    if len(flax) != len(shape):
        raise ValueError(f"its row has the axes {flax!r}, the array {list(shape)}")
    sizes = dict(zip(flax, shape, strict=True))
    return tuple(math.prod(sizes[axis] for axis in group) for group in torch)


def to_torch(array, leaf):
    """A flax array as PyTorch has it; C-ordered, in the dtype of the leaf."""
    # A jax array is moved on its device, which takes a fifth of numpy's time.
    shape = torch_shape(array.shape, leaf)
    moved = in_torch_order(array, leaf).reshape(shape)
    return np.asarray(moved, leaf.dtype or array.dtype, order="C")


def to_flax(array, shape, leaf):
    """A PyTorch array with the axes of flax, as a view.

    Args:
      array: C-ordered, as PyTorch has it.
      shape: in flax.
      leaf: how its axes move.
    """
    flax, torch = _groups(leaf.axes)
    order = "".join(torch)
    sizes = dict(zip(flax, shape, strict=True))
    split = np.asarray(array).reshape([sizes[axis] for axis in order])
    return split.transpose([order.index(axis) for axis in flax])


def in_torch_order(array, leaf):
    """A flax array with the axes of PyTorch, each of a group by itself, as a view."""
    flax, torch = _groups(leaf.axes)
    return array.transpose([flax.index(axis) for axis in "".join(torch)])


@functools.cache
def _groups(axes):
    """Axes in flax, and in PyTorch, where each is a group of them ("" for a 1)."""
    flax, torch = axes.replace(" ", "").split("->")
    groups = re.findall(r"\((\w+)\)|(\w)", torch)
    return flax, tuple((group or axis).replace("1", "") for group, axis in groups)


@functools.cache
def _pattern(flax_module):
    """The regular expression of a flax path with fields."""
    literal = re.split(r"\{[a-z]+\}", flax_module)
    groups = [rf"(?P<{field[2]}>\d+)" for field in FIELD.finditer(flax_module)]
    parts = [re.escape(literal[0])]
    for group, text in zip(groups, literal[1:], strict=True):
        parts += [group, re.escape(text)]
    return re.compile("".join(parts))


def _filled(name, numbers):
    """A PyTorch name with the fields that have a number filled in."""

    def fill(field):
        times, letter, plus = field.groups()
        if letter not in numbers:
            return field[0]
        return str(int(times or 1) * int(numbers[letter]) + int(plus or 0))

    return FIELD.sub(fill, name)
