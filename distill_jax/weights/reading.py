"""Reads tensors of safetensors files, whole or block by block into other axes.

A file may be cut short by others at any time. A mapped one would then kill the
process, so files are read, never mapped.
"""

import contextlib
import math
import mmap
import os
import threading

import numpy as np

from distill_jax.weights.cast import cast
from distill_jax.weights.header import DTYPES

LARGE = 1 << 20
LINE = 64  # bytes of a cache line, and the alignment at which JAX keeps an array
MOST_ROWS = 256
MOST_BLOCK_BYTES = 1 << 24


class Reader(contextlib.ExitStack):
    """Reads tensors, in several threads if need be; closes their files when closed."""

    def __init__(self):
        super().__init__()
        self._files = {}
        self._opening = threading.Lock()
        self._thread = threading.local()

    def read(self, tensor):
        """The numbers of a `header.Tensor`, an array of its shape and dtype.

        Raises:
          ValueError: the file has become shorter, or the dtype cannot be read.
        """
        data = np.empty(tensor.size, np.uint8)
        _fill(self._open(tensor), [memoryview(data)], tensor)
        return data.view(DTYPES[tensor.dtype]).reshape(tensor.shape)

    def read_into(self, array, tensor, name):
        """Reads a tensor into an array of another dtype or order in memory.

        The host holds a block of the tensor beside the array, not the tensor.

        Args:
          array: of the tensor's size, its axes in the order of the file. They may be
            strided, and an axis of the file may be several.
          tensor: `header.Tensor`.
          name: of the tensor, for messages.

        Raises:
          ValueError: the file has become shorter, the dtype cannot be read, or a
            number does not fit the array's dtype.
        """
        file = self._open(tensor)
        old = DTYPES[tensor.dtype]
        if array.dtype == old and array.flags.c_contiguous:
            _fill(file, [memoryview(array.reshape(-1).view(np.uint8))], tensor)
            return
        array = array.reshape(array.shape or 1)
        row_bytes = tensor.size // max(1, len(array))
        rows = _rows(len(array), row_bytes)
        block = self._block(rows, row_bytes)
        views = list(map(memoryview, block))
        for begin in range(0, len(array) if row_bytes else 0, rows):
            part = _raw(array[begin : begin + rows])
            _fill(file, views[: len(part)], tensor, begin * row_bytes)
            numbers = block[: len(part)].view(old)
            if array.dtype != old:
                numbers = _spaced(cast(numbers, array.dtype, name))
            part[...] = _raw(numbers).reshape(part.shape)

    def _open(self, tensor):
        if tensor.dtype not in DTYPES:
            raise ValueError(
                f"{tensor.file} has a tensor in {tensor.dtype}, for which there is no "
                "conversion; write it as F32, F16 or BF16"
            )
        with self._opening:
            if tensor.file not in self._files:
                self._files[tensor.file] = self.enter_context(tensor.file.open("rb"))
            return self._files[tensor.file]

    def _block(self, rows, row_bytes):
        """Bytes [rows, row_bytes] of this thread, overwritten by its next block."""
        size = rows * _stride(row_bytes)
        if getattr(self._thread, "block", np.empty(0)).size < size:
            self._thread.block = np.empty(size, np.uint8)
        return self._thread.block[:size].reshape(rows, -1)[:, :row_bytes]


def empty(shape, dtype):
    """An array that is not initialised; a large one lies where JAX on a CPU keeps it.

    JAX copies what is not aligned to a cache line, as large arrays of numpy are not.
    Huge pages are left to the system: asked for, they halved the speed on a virtual
    machine that had given its memory back to the host (benchmarks/RESULTS.md).
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size < LARGE or not hasattr(mmap, "MAP_PRIVATE"):
        return np.empty(shape, dtype)
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(memory, dtype).reshape(shape)


def _rows(count, row_bytes):
    """How many rows a block has."""
    return max(1, min(count, MOST_ROWS, MOST_BLOCK_BYTES // _stride(row_bytes)))


def _stride(row_bytes):
    """Bytes from a row to the next, an odd number of cache lines.

    Numbers one below the other then lie in different sets of the cache, which makes
    transposing several times as fast as from rows of a power of two.
    """
    return LINE * (-(-row_bytes // LINE) | 1)


def _spaced(array):
    """A copy with the rows at the distance that `_stride` gives."""
    rows, row_bytes = len(array), array[0].nbytes
    copy = np.empty((rows, _stride(row_bytes)), np.uint8)[:, :row_bytes]
    copy = copy.view(array.dtype)
    copy[...] = array
    return copy


def _raw(array):
    """The same numbers as integers, since numpy moves bfloat16 one by one."""
    return array.view(f"u{array.dtype.itemsize}")


def _fill(file, views, tensor, skip=0):
    """Reads bytes of a tensor into memoryviews one after the other."""
    begin = tensor.start + skip
    views = [view for view in views if len(view)]
    while views:
        got = os.preadv(file.fileno(), views, begin)
        if not got:
            raise ValueError(
                f"{tensor.file} became shorter while it was read; copy it again"
            )
        begin += got
        while views and got >= len(views[0]):
            got -= len(views.pop(0))
        if got:
            views[0] = views[0][got:]
