"""Reads a checkpoint into flax variables, one tensor at a time, onto devices."""

import contextlib
import os
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from distill_jax.weights import folder, match, rows
from distill_jax.weights.cast import cast
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

    Beside the variables the host holds one tensor at a time.

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
    facts = {n: match.Fact(t.dtype, t.shape) for n, t in contents.tensors.items()}
    found = match.match(facts, template, checkpoint, options.missing == "init")
    match.refuse(found, contents.path)

    sharding_of = _shardings(options.shardings, found.pairs)
    absent = [pair for pair, name in found.pairs if name is None]
    leaves, filled = _fill(absent, options, sharding_of)
    present = [(pair, name) for pair, name in found.pairs if name is not None]
    casts = {}
    with Reader() as reader:
        for pair, name in sorted(present, key=lambda it: contents.tensors[it[1]][3]):
            tensor, dtype = contents.tensors[name], _target(pair, options)
            array = cast(reader.read(tensor), dtype, name)
            view = rows.to_flax(array, pair.shape, pair.leaf)
            # Waiting frees the tensor before the next is read.
            leaves[pair.path] = jax.block_until_ready(
                jax.device_put(view, sharding_of[pair.path])
            )
            if DTYPES[tensor.dtype] != dtype:
                casts.setdefault(f"{tensor.dtype} -> {dtype.name}", []).append(name)
    used = [contents.tensors[name] for _, name in present]
    report = Report(
        path=str(contents.path),
        files=len({tensor.file for tensor in contents.tensors.values()}),
        tensors=len(used),
        parameters=sum(leaf.size for leaf in leaves.values()),
        bytes=sum(leaf.nbytes for leaf in leaves.values()),
        read_bytes=sum(tensor.size for tensor in used),
        cast=casts,
        missing=filled,
        ignored=found.ignored,
        aliases=found.aliases,
        seconds=round(time.perf_counter() - begun, 3),
    )
    order = [pair.path for pair, _ in found.pairs]
    tree = traverse_util.unflatten_dict({path: leaves[path] for path in order})
    return tree, report


class Reader(contextlib.ExitStack):
    """Reads tensors; keeps their files open until it is closed."""

    def __init__(self):
        super().__init__()
        self._files = {}

    def read(self, tensor):
        """The numbers of a `header.Tensor`, an array of its shape and dtype.

        Raises:
          ValueError: the file has become shorter, or the dtype cannot be read.
        """
        if tensor.dtype not in DTYPES:
            raise ValueError(
                f"{tensor.file} has a tensor in {tensor.dtype}, for which there is no "
                "conversion; write it as F32, F16 or BF16"
            )
        if tensor.file not in self._files:
            self._files[tensor.file] = self.enter_context(tensor.file.open("rb"))
        data = np.empty(tensor.size, np.uint8)
        _read_into(self._files[tensor.file], data, tensor)
        return data.view(DTYPES[tensor.dtype]).reshape(tensor.shape)


def _read_into(file, data, tensor):
    done = 0
    while done < tensor.size:
        got = os.preadv(file.fileno(), [data[done:]], tensor.start + done)
        if not got:
            raise ValueError(
                f"{tensor.file} became shorter while it was read; copy it again"
            )
        done += got


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
    if options.dtype is None or not jnp.issubdtype(pair.dtype, jnp.floating):
        return pair.dtype
    return np.dtype(options.dtype)


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


def _fill(absent, options, sharding_of):
    """Leaves that the checkpoint lacks, by path; and {name: how they came about}."""
    if not absent:
        return {}, {}
    paths = [pair.path for pair in absent]
    if options.init is None:
        made = {pair.path: jnp.zeros(pair.shape, pair.dtype) for pair in absent}
    else:
        # Under jit, so that what is thrown away is not computed.
        made = jax.jit(lambda: _pick(options.init(), paths))()
    if options.missing == "init":
        for pair in absent:
            warnings.warn(
                f"{pair.name} is not in the checkpoint; it is initialised", stacklevel=3
            )
    leaves = {
        pair.path: jax.device_put(
            made[pair.path].astype(_target(pair, options)), sharding_of[pair.path]
        )
        for pair in absent
    }
    how = "0" if options.init is None else "initialised"
    return leaves, {pair.name: how for pair in absent}


def _pick(variables, paths):
    flat = traverse_util.flatten_dict(variables)
    return {path: flat[path] for path in paths}
