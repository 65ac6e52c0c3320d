"""Safetensors files written byte by byte, so that they can be wrong."""

import json

import numpy as np


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def raw(header, data=b"", length=None):
    """A file with this header, a dictionary or bytes, whatever it claims.

    Args:
      header: of the file.
      data: what follows.
      length: that the file says the header has; None the true one.
    """
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    length = len(text) if length is None else length
    return length.to_bytes(8, "little") + text + data


def write(path, header, data=b"", length=None):
    path.write_bytes(raw(header, data, length))
    return path


def arrays(seed=0, count=5):
    """Random tensors of several dtypes, an empty one and a scalar among them."""
    rng = np.random.default_rng(seed)
    tensors = {"empty": np.zeros((3, 0), np.float32), "scalar": np.int64(seed)}
    for number in range(count):
        shape = rng.integers(1, 6, size=rng.integers(0, 4))
        dtype = rng.choice(["float32", "float64", "float16", "int32", "uint8", "bool"])
        tensors[f"layer.{number}.ünit"] = np.asarray(
            rng.normal(0, 3, size=shape).astype(dtype)
        )
    return {name: np.asarray(array) for name, array in tensors.items()}
