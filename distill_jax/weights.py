"""PyTorch-named tensors and flax variables: one table, used in both directions.

A table has one row per kind of module: its name in the PyTorch tree, its path in
the flax tree, and the tensors it holds.

    WEIGHT_RULES = (
        ("encoder.convs.{4*i}", "encoder/conv_{i}", weights.conv2d),
        ("encoder.fc", "encoder/dense", weights.linear),
    )

A field in braces is a number, the same on both sides, which the PyTorch side may
space out: `{4*i+1}`. Conversion is complete or it fails, and then it names every
tensor in the way. Shapes are taken from flax variables, so a row says how axes
move, never how long they are.
"""

import math
import os
import re
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from flax import traverse_util
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

FIELD = re.compile(r"\{(?:(\d+)\*)?([a-z]+)(?:\+(\d+))?\}")


class Leaf(NamedTuple):
    """One tensor of a module, as both sides have it.

    Attributes:
      torch: its name in the PyTorch module.
      flax: its name in the flax module.
      axes: the axes in flax and in PyTorch, a letter each, "yxcz -> z(cyx)";
        PyTorch holds what is in parentheses as one axis, and an axis of length one
        where there is a 1.
      collection: the flax collection that it lives in.
      dtype: of the PyTorch tensor, where it is not that of the flax array.
    """

    torch: str
    flax: str
    axes: str
    collection: str = "params"
    dtype: type | None = None


class _Pair(NamedTuple):
    """A flax leaf and the PyTorch tensor that it is."""

    path: tuple[str, ...]
    name: str
    leaf: Leaf


_BIAS = Leaf("bias", "bias", "o -> o")

linear = (Leaf("weight", "kernel", "io -> oi"), _BIAS)
conv2d = (Leaf("weight", "kernel", "yxio -> oiyx"), _BIAS)
conv_transpose2d = (Leaf("weight", "kernel", "yxio -> ioyx"), _BIAS)
# A dense layer over a flattened picture keeps the picture's axes in flax; PyTorch
# flattens channels first.
linear_after_flatten = (Leaf("weight", "kernel", "yxio -> o(iyx)"), _BIAS)
linear_before_unflatten = (
    Leaf("weight", "kernel", "iyxo -> (oyx)i"),
    Leaf("bias", "bias", "yxo -> (oyx)"),
)
batch_norm = (
    Leaf("weight", "scale", "o -> o"),
    _BIAS,
    Leaf("running_mean", "mean", "o -> o", "batch_stats"),
    Leaf("running_var", "var", "o -> o", "batch_stats"),
    Leaf("num_batches_tracked", "count", " -> ", "batch_stats", np.int64),
)
layer_norm = (Leaf("weight", "scale", "o -> o"), _BIAS)
conv1d = (Leaf("weight", "kernel", "wio -> oiw"), _BIAS)
# A dense layer that PyTorch has as a convolution of one tap.
pointwise = (Leaf("weight", "kernel", "io -> oi1"), _BIAS)
# A convolution whose kernel is a direction of each tap times its length.
weight_norm_conv1d = (
    Leaf("parametrizations.weight.original0", "length", "w -> 11w"),
    Leaf("parametrizations.weight.original1", "direction", "wio -> oiw"),
    Leaf("weight", "kernel", "wio -> oiw"),  # where there is no such norm
    _BIAS,
)


def parameter(torch, flax, axes="n -> n"):
    """The kind of row that is one tensor of a module, under any names."""
    return (Leaf(torch, flax, axes),)


def rows(torch, flax, kinds):
    """Rows of the modules inside one: (PyTorch name, flax path, kind) of each."""
    return tuple((torch + name, flax + path, kind) for name, path, kind in kinds)


class Checkpoint(NamedTuple):
    """How a model's tensors are found in files.

    Attributes:
      rules: the model's table.
      prefixes: what the names in a file may begin with.
      optional: patterns of names that a file may lack.
      aliases: (pattern, replacement) that turn other spellings into the table's.
      ignored: (pattern, reason) of tensors that are dropped.
    """

    rules: tuple
    prefixes: tuple = ("",)
    optional: tuple = ()
    aliases: tuple = ()
    ignored: tuple = ()


def to_flax(tensors, rules, template):
    """Turns the tensors of a PyTorch model into flax variables.

    Args:
      tensors: {PyTorch name: array}.
      rules: the model's table.
      template: the flax variables, arrays or their shapes (`jax.eval_shape`).

    Returns:
      A tree like `template`, of numpy arrays in its dtypes.

    Raises:
      ValueError: tensors are missing, unexpected or have another shape, or a flax
        variable has no row; all of them are named.
    """
    flat, pairs = _pair(template, rules)
    expected = {pair.name: _torch_shape(flat[pair.path], pair.leaf) for pair in pairs}
    _refuse(tensors, expected)
    return traverse_util.unflatten_dict(
        {
            pair.path: _array_to_flax(tensors[pair.name], flat[pair.path], pair.leaf)
            for pair in pairs
        }
    )


def to_torch(variables, rules):
    """Turns flax variables into the tensors of a PyTorch model.

    Args:
      variables: {collection: tree of arrays}.
      rules: the model's table.

    Returns:
      {PyTorch name: numpy array}; `to_flax` gives back the same bytes.

    Raises:
      ValueError: flax variables have no row in the table; all are named.
    """
    flat, pairs = _pair(jax.device_get(variables), rules)
    return {pair.name: _array_to_torch(flat[pair.path], pair.leaf) for pair in pairs}


def read(path):
    """Reads every tensor of a safetensors file.

    Args:
      path: the file.

    Returns:
      {name: numpy array}.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is truncated or not safetensors.
    """
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(
            f"{path} ({os.path.getsize(path)} bytes) is truncated or not a "
            f"safetensors file ({error}); copy or download it again"
        ) from error


def write(path, tensors, metadata=None):
    """Writes tensors to a safetensors file, whole or not at all.

    Args:
      path: the file, replaced if it exists.
      tensors: {name: numpy array}.
      metadata: {str: str} for the header. "format": "pt" is added, which PyTorch
        loaders ask for.
    """
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    save_file(arrays, partial, {"format": "pt", **(metadata or {})})
    partial.replace(path)


def _pair(variables, rules):
    """Every leaf by its path, and which PyTorch tensor each of them is."""
    flat = traverse_util.flatten_dict(variables)
    pairs = {path: list(_matches(path, rules)) for path in flat}
    problems = [
        f"  {'/'.join(path)}: {len(found)} rows fit, expected one"
        for path, found in pairs.items()
        if len(found) != 1
    ]
    if problems:
        raise ValueError("\n".join(["the weight table is not complete:", *problems]))
    return flat, [found[0] for found in pairs.values()]


def _matches(path, rules):
    """The PyTorch tensors that a flax leaf is by these rules."""
    collection, *modules, name = path
    for torch_module, flax_module, leaves in rules:
        numbers = _pattern(flax_module).fullmatch("/".join(modules))
        if not numbers:
            continue
        prefix = FIELD.sub(
            lambda field, found=numbers: _number(field, found), torch_module
        )
        for leaf in leaves:
            if (leaf.collection, leaf.flax) == (collection, name):
                yield _Pair(path, f"{prefix}.{leaf.torch}".removeprefix("."), leaf)


def _pattern(flax_module):
    """The regular expression of a flax path with fields."""
    literal = re.split(r"\{[a-z]+\}", flax_module)
    groups = [rf"(?P<{field[2]}>\d+)" for field in FIELD.finditer(flax_module)]
    parts = [re.escape(literal[0])]
    for group, text in zip(groups, literal[1:], strict=True):
        parts += [group, re.escape(text)]
    return re.compile("".join(parts))


def _number(field, numbers):
    """A field of a PyTorch name, filled in."""
    times, name, plus = field.groups()
    return str(int(times or 1) * int(numbers[name]) + int(plus or 0))


def _refuse(tensors, expected):
    """Raises if names or shapes are not those expected, naming all of them."""
    found = {name: tuple(array.shape) for name, array in tensors.items()}
    problems = [
        f"  missing: {name} {expected[name]}" for name in expected.keys() - found.keys()
    ]
    problems += [
        f"  unexpected: {name} {found[name]}" for name in found.keys() - expected.keys()
    ]
    problems += [
        f"  misshaped: {name} is {found[name]}, expected {expected[name]}"
        for name in expected.keys() & found.keys()
        if found[name] != expected[name]
    ]
    if problems:
        raise ValueError(
            "\n".join(
                [
                    f"{len(problems)} of {len(found.keys() | expected.keys())} tensors "
                    "do not fit the model; give it the sizes of the checkpoint or "
                    "another checkpoint:",
                    *sorted(problems),
                ]
            )
        )


def _groups(leaf):
    """Axes in flax, and in PyTorch, where each is a group of them."""
    flax, torch = leaf.axes.replace(" ", "").split("->")
    return flax, [group or axis for group, axis in re.findall(r"\((\w+)\)|(\w)", torch)]


def _torch_shape(array, leaf):
    flax, torch = _groups(leaf)
    sizes = {"1": 1, **dict(zip(flax, array.shape, strict=True))}
    return tuple(math.prod(sizes[axis] for axis in group) for group in torch)


def _array_to_torch(array, leaf):
    flax, torch = _groups(leaf)
    array = np.asarray(array)
    shape = _torch_shape(array, leaf)
    order = "".join(torch).replace("1", "")
    moved = array.transpose([flax.index(axis) for axis in order])
    return np.asarray(moved.reshape(shape), leaf.dtype or array.dtype, order="C")


def _array_to_flax(array, template, leaf):
    flax, torch = _groups(leaf)
    order = "".join(torch).replace("1", "")
    sizes = dict(zip(flax, template.shape, strict=True))
    split = np.asarray(array).reshape([sizes[axis] for axis in order])
    moved = split.transpose([order.index(axis) for axis in flax])
    return np.asarray(moved, template.dtype, order="C")
