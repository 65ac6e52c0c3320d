"""A model's weight table: expanded, it says which tensor every flax leaf is."""

import re
from typing import NamedTuple

import numpy as np
from flax import traverse_util

from distill_jax.weights import rows


class Checkpoint(NamedTuple):
    """How the checkpoints of a model name its tensors.

    Attributes:
      rules: rows (PyTorch module, flax path, leaves), see `rows`.
      prefixes: what may stand before a name, or be absent, in a file: a model with
        a head has "wav2vec2_bert." before the names of its encoder.
      optional: patterns of names that a file may lack.
      aliases: (pattern, replacement) for names that old files have.
      ignored: (pattern, why) for tensors of a file that the model does not have.
      heads: patterns of names that never get a prefix; a tree that has one of them
        is exported with the first prefix before all other names.
    """

    rules: tuple
    prefixes: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    ignored: tuple[tuple[str, str], ...] = ()
    heads: tuple[str, ...] = ()


class Pair(NamedTuple):
    """A flax leaf, or one layer of it, and the PyTorch tensor that it is.

    Attributes:
      path: of the flax leaf, with its collection.
      name: of the PyTorch tensor, as in the table.
      leaf: how one becomes the other.
      shape: in flax, of one layer.
      dtype: in flax.
      torch_shape: in PyTorch.
      index: which layer it is of a flax array that stacks them, or None.
    """

    path: tuple[str, ...]
    name: str
    leaf: rows.Leaf
    shape: tuple[int, ...]
    dtype: np.dtype
    torch_shape: tuple[int, ...]
    index: int | None = None


def checkpoint_of(rules):
    """A table, which may be the rows alone, as a `Checkpoint`."""
    return rules if isinstance(rules, Checkpoint) else Checkpoint(tuple(rules))


def expand(template, rules):
    """Every flax leaf with its PyTorch tensor.

    Args:
      template: {collection: tree} of arrays or `jax.ShapeDtypeStruct`s.
      rules: a table, rows or `Checkpoint`.

    Returns:
      [Pair], in the order of the tree.

    Raises:
      ValueError: leaves have no row, several, or other axes than theirs, or share a
        PyTorch tensor; all are named.
    """
    pairs, problems = [], []
    taken = {}
    for path, array in traverse_util.flatten_dict(template).items():
        where = "/".join(path)
        found = [
            match
            for row in checkpoint_of(rules).rules
            for match in rows.torch_name(row, path)
        ]
        if len(found) != 1:
            names = f" ({', '.join(name for name, _ in found)})" if found else ""
            problems.append(f"  {where}: {len(found)} rows fit{names}, expected one")
            continue
        try:
            new = _pairs(path, array, *found[0])
        except ValueError as error:
            problems.append(f"  {where}: {error}")
            continue
        problems += [
            f"  {where}: is {pair.name}, as {taken[pair.name]} is"
            for pair in new
            if pair.name in taken
        ]
        taken |= {pair.name: where for pair in new}
        pairs += new
    if problems:
        raise ValueError("\n".join(["the weight table is not complete:", *problems]))
    return pairs


def file_names(pairs, rules):
    """Names under which tensors are exported.

    Args:
      pairs: [Pair].
      rules: a table, rows or `Checkpoint`.

    Returns:
      {name in the file: Pair}.
    """
    checkpoint = checkpoint_of(rules)
    heads = {pair.name for pair in pairs if _fits(pair.name, checkpoint.heads)}
    prefix = checkpoint.prefixes[0] if heads and checkpoint.prefixes else ""
    return {
        pair.name if pair.name in heads else prefix + pair.name: pair for pair in pairs
    }


def piece(array, pair):
    """What of a flax array a pair is: all of it, or one layer."""
    return array if pair.index is None else array[pair.index]


def is_optional(name, checkpoint):
    """Whether a checkpoint may lack the tensor of this name in the table."""
    return _fits(name, checkpoint.optional)


def _pairs(path, array, name, leaf):
    """The pairs of one flax leaf: several where it stacks layers."""
    shape, dtype = tuple(array.shape), np.dtype(array.dtype)
    if not rows.FIELD.search(name):
        return [Pair(path, name, leaf, shape, dtype, rows.torch_shape(shape, leaf))]
    if not shape:
        raise ValueError(f"has no axis for the numbers of {name}")
    layers, *shape = shape
    torch_shape = rows.torch_shape(shape, leaf)
    return [
        Pair(path, rows.numbered(name, n), leaf, tuple(shape), dtype, torch_shape, n)
        for n in range(layers)
    ]


def _fits(name, patterns):
    return any(re.fullmatch(pattern, name) for pattern in patterns)
