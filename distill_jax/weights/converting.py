"""Rewrites a checkpoint in another dtype or in files of another size."""

import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from distill_jax.weights import exporting, folder, header
from distill_jax.weights.cast import cast
from distill_jax.weights.reading import Reader

# Other forms of the same weights, which are not copied.
WEIGHTS = (
    "*.safetensors",
    "*.bin",
    "*.index.json",
    "*.h5",
    "*.msgpack",
    "*.pt",
    "*.pth",
)


def convert(source, out, dtype=None, max_shard_bytes=exporting.MOST_SHARD_BYTES):
    """Writes a checkpoint anew, one tensor at a time.

    Args:
      source: a safetensors file, an index, or a folder; the other files of a folder
        are copied.
      out: folder for the result, empty or not there yet.
      dtype: of all floating-point tensors; None leaves each as it is.
      max_shard_bytes: of one file, unless a single tensor is larger.

    Returns:
      Names of the files that were written, sorted.

    Raises:
      FileNotFoundError: there is no checkpoint.
      FileExistsError: the folder is not empty.
      ValueError: a file is damaged, or a number does not fit the dtype.
    """
    source, out = Path(source), Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} is not an empty folder; choose another")
    contents = folder.read(source)
    header.refuse(
        contents.path,
        [
            f"{name} is {tensor.dtype}"
            for name, tensor in contents.tensors.items()
            if tensor.dtype not in header.DTYPES
        ],
        "for these dtypes there is no conversion; write them as F32, F16 or BF16",
    )
    others = _others(source) if source.is_dir() else []
    config = None
    if dtype is not None and any(path.name == "config.json" for path in others):
        config = _with_dtype(folder.read_json(source / "config.json"), dtype)
    with Reader() as reader:
        sources = {
            name: _source(name, tensor, dtype, reader)
            for name, tensor in contents.tensors.items()
        }
        metadata = exporting.METADATA | contents.metadata
        names = exporting.write_folder(out, sources, config, max_shard_bytes, metadata)
    others = [path for path in others if path.name not in names]
    for path in others:
        shutil.copyfile(path, out / path.name)
    return sorted([*names, *(path.name for path in others)])


def _source(name, tensor, dtype, reader):
    new = header.DTYPES[tensor.dtype]
    if dtype is not None and jnp.issubdtype(new, jnp.floating):
        new = np.dtype(dtype)
    return exporting.Source(
        header.NAME_OF[new],
        tensor.shape,
        lambda: cast(reader.read(tensor), new, name),
    )


def _others(source):
    return [
        path
        for path in sorted(source.iterdir())
        if path.is_file() and not any(map(path.match, WEIGHTS))
    ]


def _with_dtype(config, dtype):
    """A config that says the new dtype, in the field of its version."""
    field = "torch_dtype" if "torch_dtype" in config else "dtype"
    return config | {field: np.dtype(dtype).name}
