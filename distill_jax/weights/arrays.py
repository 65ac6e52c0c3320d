"""Converts tensors that are in memory already, by the same tables as files."""

import jax
import numpy as np
from flax import traverse_util

from distill_jax.weights import folder, header, match, rows, table
from distill_jax.weights.cast import cast
from distill_jax.weights.reading import Reader


def to_flax(tensors, rules, template):
    """Turns the tensors of a PyTorch model into flax variables.

    Args:
      tensors: {PyTorch name: array}.
      rules: the model's table, rows or `Checkpoint`.
      template: the flax variables, arrays or their shapes (`jax.eval_shape`).

    Returns:
      A tree like `template`, of numpy arrays in its dtypes; 0 where an optional
      tensor is missing.

    Raises:
      ValueError: tensors are missing, unexpected or have another shape, or a flax
        variable has no row; all of them are named.
    """
    arrays = {name: np.asarray(array) for name, array in tensors.items()}
    facts = {
        name: match.Fact(header.NAME_OF.get(array.dtype, str(array.dtype)), array.shape)
        for name, array in arrays.items()
    }
    found = match.match(facts, template, rules)
    match.refuse(found)
    leaves, layers = {}, {}
    for pair, name in found.pairs:
        if name is None:
            array = np.zeros(pair.shape, pair.dtype)
        else:
            view = rows.to_flax(arrays[name], pair.shape, pair.leaf)
            array = np.asarray(cast(view, pair.dtype, name), order="C")
        if pair.index is not None:
            layers.setdefault(pair.path, []).append(array)
        leaves[pair.path] = array
    leaves |= {path: np.stack(arrays) for path, arrays in layers.items()}
    return traverse_util.unflatten_dict(leaves)


def to_torch(variables, rules):
    """Turns flax variables into the tensors of a PyTorch model.

    Args:
      variables: {collection: tree of arrays}.
      rules: the model's table, rows or `Checkpoint`.

    Returns:
      {PyTorch name: numpy array}; `to_flax` gives back the same bytes.

    Raises:
      ValueError: flax variables have no row in the table; all are named.
    """
    names = table.file_names(table.expand(variables, rules), rules)
    flat = traverse_util.flatten_dict(jax.device_get(variables))
    return {
        name: rows.to_torch(table.piece(flat[pair.path], pair), pair.leaf)
        for name, pair in names.items()
    }


def read(path):
    """Reads every tensor of a safetensors file.

    Args:
      path: the file, or an index or folder of several.

    Returns:
      {name: numpy array}.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is truncated or not safetensors.
    """
    with Reader() as reader:
        tensors = folder.read(path).tensors
        return {name: reader.read(tensor) for name, tensor in tensors.items()}
