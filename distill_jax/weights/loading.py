"""Reads a checkpoint into flax variables, a few tensors at a time, onto devices."""

import math
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from distill_jax.weights import ahead, folder, match, reading, rows
from distill_jax.weights.header import DTYPES


class Options(NamedTuple):
    """How a checkpoint is loaded.

    Attributes:
      missing: "error", or "init" to initialise what the checkpoint lacks.
      init: () -> variables, such as `lambda: model.init(key, audio_bs)`; only what
        is missing is computed. Optional tensors are 0 without it.
      dtype: of all floating-point variables; None takes that of the template.
      shardings: one for all variables, or a tree of them like the template; None
        leaves them on the default device.
    """

    missing: str = "error"
    init: Callable[[], Any] | None = None
    dtype: Any = None
    shardings: Any = None


class Report(NamedTuple):
    """What was loaded; `report._asdict()` is JSON.

    Attributes:
      path: the file or index.
      files: how many safetensors files.
      tensors: how many were read.
      parameters: numbers in the variables.
      bytes: of the variables.
      read_bytes: of the tensors that were read.
      cast: {"F32 -> bfloat16": [names]}.
      missing: {name: "initialised" or "0"}.
      ignored: {name in the file: why}.
      aliases: {name in the file: name in the table}.
      seconds: the whole took.
    """

    path: str
    files: int
    tensors: int
    parameters: int
    bytes: int
    read_bytes: int
    cast: dict
    missing: dict
    ignored: dict
    aliases: dict
    seconds: float


def load(path, checkpoint, template, options=None):
    """Loads a checkpoint; before a tensor is read, all of them are known to fit.

    Beside the variables the host holds a tensor, or several of 64 MB together, and a
    block of one in each of a few threads.

    Args:
      path: a safetensors file, an index of several, or a folder with either.
      checkpoint: the model's `Checkpoint`, or its rows.
      template: the flax variables, arrays or their shapes (`jax.eval_shape`).
      options: `Options`.

    Returns:
      The variables, `jax.Array`s, and a `Report`.

    Raises:
      FileNotFoundError: there is no checkpoint.
      ValueError: a file is damaged, or the checkpoint does not fit the model; all
        problems are named.
    """
    begun = time.perf_counter()
    options = _checked(options or Options())
    contents = folder.read(path)
    found = match.match(
        match.facts(contents), template, checkpoint, options.missing == "init"
    )
    match.refuse(found, contents.path)

    sharding_of = _shardings(options.shardings, found.pairs)
    leaves = _read_all(contents.tensors, found.pairs, options, sharding_of)
    absent = [pair.name for pair, name in found.pairs if name is None]
    if options.missing == "init":
        for name in absent:
            warnings.warn(
                f"{name} is not in the checkpoint; it is initialised", stacklevel=2
            )
    report = Report(
        path=str(contents.path),
        files=len({tensor.file for tensor in contents.tensors.values()}),
        tensors=len(found.pairs) - len(absent),
        parameters=sum(leaf.size for leaf in leaves.values()),
        bytes=sum(leaf.nbytes for leaf in leaves.values()),
        read_bytes=sum(contents.tensors[name].size for _, name in found.pairs if name),
        cast=_casts(contents.tensors, found.pairs, options),
        missing=dict.fromkeys(absent, "initialised" if options.init else "0"),
        ignored=found.ignored,
        aliases=found.aliases,
        seconds=round(time.perf_counter() - begun, 3),
    )
    return traverse_util.unflatten_dict(leaves), report


def _read_all(tensors, pairs, options, sharding_of):
    """Leaves by path, in the order of the template."""
    groups = {}
    for pair, name in pairs:
        groups.setdefault(pair.path, []).append((pair, tensors.get(name), name))
    made = _made(groups, options)
    leaves = dict.fromkeys(groups)
    order = sorted(groups, key=lambda path: _place(groups[path]))
    with reading.Reader() as reader, ahead.pool() as pool:

        def make(path):
            return _array(reader, groups[path], made.pop(path, None), options)

        sizes = {path: _size(groups[path], options) for path in order}
        for path, array in ahead.results(pool, make, sizes):
            # Waiting lets go of the numbers before more are read. JAX may keep
            # them as they lie, may_alias=False or not, so no memory is used twice.
            leaves[path] = jax.block_until_ready(
                jax.device_put(array, sharding_of[path])
            )
            del array
    return leaves


def _array(reader, group, made, options):
    """One leaf, on the host unless it is made."""
    pair, tensor, _ = group[0]
    dtype = _target(pair, options)
    if pair.index is None and tensor is None:
        return made.astype(dtype)
    layers = () if pair.index is None else (len(group),)
    array = reading.empty((*layers, *pair.shape), dtype)
    for pair, tensor, name in group:
        part = array if pair.index is None else array[pair.index, ...]
        if tensor is None:
            part[...] = made[pair.index]
        else:
            reader.read_into(rows.in_torch_order(part, pair.leaf), tensor, name)
    return array


def _size(group, options):
    """Bytes of a leaf."""
    itemsize = _target(group[0][0], options).itemsize
    return sum(math.prod(pair.shape) for pair, _, _ in group) * itemsize


def _place(group):
    """Where in the files a leaf begins, to read them in their order."""
    return min(
        (str(tensor.file), tensor.start) if tensor else ("", 0)
        for _, tensor, _ in group
    )


def _casts(tensors, pairs, options):
    """{"old -> new dtype": names} of what does not keep its dtype."""
    casts = {}
    for pair, name in pairs:
        dtype = _target(pair, options)
        if name is not None and DTYPES[tensors[name].dtype] != dtype:
            casts.setdefault(f"{tensors[name].dtype} -> {dtype.name}", []).append(name)
    return casts


def _checked(options):
    if options.missing not in ("error", "init"):
        raise ValueError(f"missing is {options.missing!r}, expected 'error' or 'init'")
    if options.missing == "init" and options.init is None:
        raise ValueError(
            "missing='init' needs init, such as lambda: model.init(key, audio_bs)"
        )
    return options


def _target(pair, options):
    """The dtype that a leaf is loaded in."""
    dtype = pair.dtype
    if options.dtype is not None and jnp.issubdtype(dtype, jnp.floating):
        dtype = np.dtype(options.dtype)
    return jax.dtypes.canonicalize_dtype(dtype)  # 64 bits only where JAX has them.


def _shardings(shardings, pairs):
    """{path: sharding}, None where there is none."""
    paths = [pair.path for pair, _ in pairs]
    if not isinstance(shardings, dict):
        return dict.fromkeys(paths, shardings)
    flat = traverse_util.flatten_dict(shardings)
    if flat.keys() != set(paths):
        odd = sorted("/".join(path) for path in flat.keys() ^ set(paths))
        raise ValueError(f"the shardings are not a tree like the model's: {odd}")
    return flat


def _made(groups, options):
    """{path: array} of the leaves that the checkpoint lacks, or lacks a layer of."""
    absent = {
        path: group
        for path, group in groups.items()
        if any(tensor is None for _, tensor, _ in group)
    }
    if absent and options.init is not None:
        # Under jit, so that what is thrown away is not computed.
        return jax.jit(lambda: _pick(options.init(), absent))()
    made = {}
    for path, group in absent.items():
        pair = group[0][0]
        layers = () if pair.index is None else (len(group),)
        made[path] = jnp.zeros((*layers, *pair.shape), pair.dtype)
    return made


def _pick(variables, paths):
    flat = traverse_util.flatten_dict(variables)
    return {path: flat[path] for path in paths}
