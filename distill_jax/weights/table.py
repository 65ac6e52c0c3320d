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
    """A flax leaf and the PyTorch tensor that it is.

    Attributes:
      path: of the flax leaf, with its collection.
      name: of the PyTorch tensor, as in the table.
      leaf: how one becomes the other.
      shape: in flax.
      dtype: in flax.
      torch_shape: in PyTorch.
    """

    path: tuple[str, ...]
    name: str
    leaf: rows.Leaf
    shape: tuple[int, ...]
    dtype: np.dtype
    torch_shape: tuple[int, ...]


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
        (name, leaf), dtype = found[0], np.dtype(array.dtype)
        try:
            shape = rows.torch_shape(array.shape, leaf)
        except ValueError as error:
            problems.append(f"  {where}: {error}")
            continue
        if name in taken:
            problems.append(f"  {where}: is {name}, as {taken[name]} is")
        taken[name] = where
        pairs.append(Pair(path, name, leaf, tuple(array.shape), dtype, shape))
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


def is_optional(name, checkpoint):
    """Whether a checkpoint may lack the tensor of this name in the table."""
    return _fits(name, checkpoint.optional)


def _fits(name, patterns):
    return any(re.fullmatch(pattern, name) for pattern in patterns)
