"""Writes tensors and flax variables as safetensors, a few tensors at a time."""

import contextlib
import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from distill_jax.weights import ahead, folder, header, rows, table

SHARD = "model-{:05d}-of-{:05d}.safetensors"
MOST_SHARD_BYTES = 5_000_000_000
METADATA = {"format": "pt"}  # PyTorch loaders ask for it.


class Source(NamedTuple):
    """A tensor to write.

    Attributes:
      dtype: as safetensors calls it.
      shape: its axes.
      make: () -> numpy array, called once, in a thread, shortly before it is written.
    """

    dtype: str
    shape: tuple
    make: object

    @property
    def size(self):
        """Bytes that it takes."""
        return int(np.prod(self.shape, dtype=object)) * header.BITS[self.dtype] // 8


def write(path, tensors, metadata=None):
    """Writes tensors to a safetensors file, whole or not at all.

    Args:
      path: the file, replaced if it exists.
      tensors: {name: array}.
      metadata: {str: str} for the header. "format": "pt" is added, which PyTorch
        loaders ask for.

    Raises:
      ValueError: safetensors has no such dtype.
    """
    path = Path(path)
    sources = {
        name: Source(
            _dtype_name(name, array.dtype), array.shape, lambda array=array: array
        )
        for name, array in tensors.items()
    }
    with staged(path.parent) as stage:
        write_file(stage(path.name), sources, METADATA | (metadata or {}))


def export(
    folder_path, variables, checkpoint, config, max_shard_bytes=MOST_SHARD_BYTES
):
    """Writes flax variables as `transformers` would write the model.

    The folder gets `config.json` and `model.safetensors`, or several files and their
    index; all of it or nothing. Weights that it held before are replaced.

    Args:
      folder_path: made if missing.
      variables: {collection: tree of arrays}.
      checkpoint: the model's `Checkpoint`, or its rows.
      config: dictionary for `config.json`; None writes none.
      max_shard_bytes: of one file, unless a single tensor is larger.

    Returns:
      Names of the files that were written.

    Raises:
      ValueError: flax variables have no row in the table; all are named.
    """
    pairs = table.expand(variables, checkpoint)
    sources = {
        name: _source(pair, _leaf(variables, pair.path))
        for name, pair in table.file_names(pairs, checkpoint).items()
    }
    return write_folder(folder_path, sources, config, max_shard_bytes)


def write_folder(
    folder_path, sources, config, max_shard_bytes=MOST_SHARD_BYTES, metadata=METADATA
):
    """Writes a checkpoint of one file, or of several and their index.

    Args:
      folder_path: made if missing.
      sources: {name: Source}.
      config: dictionary for `config.json`; None writes none.
      max_shard_bytes: of one file, unless a single tensor is larger.
      metadata: {str: str} for the headers.

    Returns:
      Names of the files that were written.
    """
    folder_path = Path(folder_path)
    folder_path.mkdir(parents=True, exist_ok=True)
    shards = _shards(sources, max_shard_bytes)
    names = [folder.FILE]
    if len(shards) > 1:
        names = [SHARD.format(n + 1, len(shards)) for n in range(len(shards))]
    with staged(folder_path) as stage:
        for name, shard in zip(names, shards, strict=True):
            write_file(stage(name), {key: sources[key] for key in shard}, metadata)
        if len(shards) > 1:
            _write_json(stage(folder.INDEX), _index(sources, names, shards))
            names.append(folder.INDEX)
        if config is not None:
            _write_json(stage("config.json"), config)
            names.append("config.json")
    _remove_others(folder_path, names)
    return names


def write_file(path, sources, metadata):
    """Writes one safetensors file with the bytes of `safetensors`.

    While a tensor is written the next ones are made.

    Args:
      path: the file.
      sources: {name: Source}.
      metadata: {str: str} for the header.

    Raises:
      ValueError: a source makes another array than it said.
    """
    # The order of the safetensors package: wide dtypes first, then by name.
    order = sorted(sources, key=lambda name: (_rank(sources[name].dtype), name))
    entries, reached = {header.METADATA: metadata}, 0
    for name in order:
        source = sources[name]
        entries[name] = {
            "dtype": source.dtype,
            "shape": list(source.shape),
            "data_offsets": [reached, reached + source.size],
        }
        reached += source.size
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    sizes = {name: sources[name].size for name in order}
    with open(path, "wb") as file, ahead.pool() as pool:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, numbers in ahead.results(pool, lambda x: _bytes(x, sources[x]), sizes):
            file.write(numbers)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def staged(folder_path):
    """Writes files under other names; at the end all get their own, or none does.

    Args:
      folder_path: where they go.

    Yields:
      A function (name) -> path to write that file to.
    """
    partial_of = {}

    def stage(name):
        partial_of[name] = Path(folder_path) / f"{name}.partial"
        return partial_of[name]

    try:
        yield stage
        for name, partial in partial_of.items():
            partial.replace(Path(folder_path) / name)
    finally:
        for partial in partial_of.values():
            partial.unlink(missing_ok=True)


def _leaf(variables, path):
    for key in path:
        variables = variables[key]
    return variables


def _source(pair, array):
    dtype = np.dtype(pair.leaf.dtype or pair.dtype)
    return Source(
        _dtype_name(pair.name, dtype),
        pair.torch_shape,
        lambda: rows.to_torch(table.piece(array, pair), pair.leaf),
    )


def _dtype_name(name, dtype):
    if np.dtype(dtype) not in header.NAME_OF:
        raise ValueError(
            f"{name} is {dtype}, which safetensors cannot hold; expected one of "
            f"{', '.join(map(str, header.NAME_OF))}"
        )
    return header.NAME_OF[np.dtype(dtype)]


def _rank(dtype):
    """Place of a dtype in the files that the safetensors package writes."""
    order = "BOOL U8 I8 I16 U16 F16 BF16 I32 U32 F32 F64 I64 U64"
    return -order.split().index(dtype)


def _bytes(name, source):
    array = np.ascontiguousarray(source.make())
    shape = tuple(source.shape)
    if array.size and (array.dtype != header.DTYPES[source.dtype]):
        raise ValueError(f"{name} was to be {source.dtype}, it is {array.dtype}")
    if array.size * array.dtype.itemsize != source.size:
        raise ValueError(f"{name} was to be {shape}, it is {array.shape}")
    return array.reshape(-1).view(np.uint8).data


def _shards(sources, max_shard_bytes):
    """Names in groups, none larger than `max_shard_bytes` unless it is one tensor."""
    shards, size = [[]], 0
    for name, source in sources.items():
        if shards[-1] and size + source.size > max_shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append(name)
        size += source.size
    return shards


def _index(sources, names, shards):
    place = {
        key: name for name, shard in zip(names, shards, strict=True) for key in shard
    }
    total = sum(source.size for source in sources.values())
    return {
        "metadata": {"total_size": total},
        "weight_map": dict(sorted(place.items())),
    }


def _write_json(path, value):
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")


def _remove_others(folder_path, names):
    """Removes weights of an earlier export, which would be read instead of these."""
    old = {folder_path / folder.FILE, folder_path / folder.INDEX}
    old |= set(folder_path.glob("model-?????-of-?????.safetensors"))
    for path in old - {folder_path / name for name in names}:
        path.unlink(missing_ok=True)
