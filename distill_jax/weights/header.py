"""What is in a safetensors file, told by its header: no tensor is read.

Nothing here trusts a file. Every length is held against the size of the file
before anything of that length is allocated.
"""

import collections
import json
import math
import os
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

MOST_HEADER_BYTES = 100_000_000
MOST_AXES = 32
MOST_PROBLEMS = 20
METADATA = "__metadata__"

# The dtypes that can be read, and those of which only the size is known.
DTYPES = {
    "BOOL": np.dtype(np.bool_),
    "U8": np.dtype(np.uint8),
    "I8": np.dtype(np.int8),
    "U16": np.dtype(np.uint16),
    "I16": np.dtype(np.int16),
    "U32": np.dtype(np.uint32),
    "I32": np.dtype(np.int32),
    "U64": np.dtype(np.uint64),
    "I64": np.dtype(np.int64),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(jnp.bfloat16),
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
}
_UNREADABLE_BITS = {
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "C64": 64,
}
NAME_OF = {dtype: name for name, dtype in DTYPES.items()}
BITS = {name: 8 * dtype.itemsize for name, dtype in DTYPES.items()} | _UNREADABLE_BITS


class Tensor(NamedTuple):
    """Where one tensor lies.

    Attributes:
      file: the safetensors file.
      dtype: as safetensors calls it, "F32".
      shape: its axes.
      start: its first byte, counted from the beginning of the file.
      size: in bytes.
    """

    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int


class Contents(NamedTuple):
    """What a checkpoint holds.

    Attributes:
      path: the file or index that was read.
      tensors: {name: Tensor}, in the order of the files.
      metadata: {str: str} of the (first) file.
    """

    path: Path
    tensors: dict
    metadata: dict


def read_file(path):
    """Reads the header of one safetensors file and checks it.

    Args:
      path: the file.

    Returns:
      `Contents`.

    Raises:
      ValueError: the header is damaged or lies; all that is wrong with it is named.
    """
    path = Path(path)
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little") if size >= 8 else None
        if length is None or length > size - 8:
            wanted = "at least 8" if length is None else f"{length + 8} or more"
            raise ValueError(
                f"{path} ({size} bytes) is truncated or not a safetensors file: its "
                f"header asks for {wanted} bytes; copy or download it again"
            )
        if length > MOST_HEADER_BYTES:
            raise ValueError(
                f"{path} has a header of {length} bytes, at most {MOST_HEADER_BYTES} "
                "are read; it is not a safetensors file"
            )
        text = file.read(length)
    header = parse(path, text)
    metadata = header.pop(METADATA, {})
    problems = [] if _is_metadata(metadata) else [f"{METADATA} is not text to text"]
    found = {name: _tensor(entry) for name, entry in header.items()}
    problems += [f"{name}: {why}" for name, why in found.items() if type(why) is str]
    refuse(path, problems, "download it again or write it anew")
    refuse(
        path,
        _gaps(found, size - 8 - length),
        f"it is truncated or damaged ({size} bytes); copy or download it again",
    )
    tensors = {
        name: Tensor(path, dtype, shape, 8 + length + begin, end - begin)
        for name, (dtype, shape, begin, end) in found.items()
    }
    return Contents(path, tensors, metadata)


def _is_metadata(metadata):
    return isinstance(metadata, dict) and all(
        isinstance(text, str) for text in metadata.values()
    )


def _tensor(entry):
    """(dtype, shape, begin, end) of an entry in a header, or what is wrong with it."""
    if not isinstance(entry, dict) or entry.keys() != {
        "dtype",
        "shape",
        "data_offsets",
    }:
        return "expected dtype, shape and data_offsets"
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        return f"dtype is {str(dtype)[:40]!r}, expected one of {', '.join(BITS)}"
    if not _are_sizes(shape) or len(shape) > MOST_AXES:
        return (
            f"shape is {short(shape)}, expected at most {MOST_AXES} numbers from 0 up"
        )
    if not _are_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        return f"data_offsets are {short(offsets)}, expected [begin, end]"
    bits = math.prod(shape) * BITS[dtype]
    if bits != 8 * (offsets[1] - offsets[0]):
        return (
            f"{dtype} {short(shape)} takes {short(bits // 8)} bytes, "
            f"data_offsets {short(offsets)} are {offsets[1] - offsets[0]}"
        )
    return dtype, tuple(shape), *offsets


def _are_sizes(numbers):
    # A bool is an int to Python, and a huge int would make huge products.
    return isinstance(numbers, list) and all(
        type(number) is int and 0 <= number < 2**63 for number in numbers
    )


def _gaps(tensors, size):
    """Where the tensors do not lie end to end over `size` bytes."""
    problems, reached = [], 0
    places = [(begin, end, name) for name, (*_, begin, end) in tensors.items()]
    for begin, end, name in sorted(places):
        if begin != reached:
            what = "overlaps the one before" if begin < reached else "leaves a gap"
            problems.append(f"{name} begins at {begin}, expected {reached}: {what}")
        reached = max(reached, end)
    if reached != size:
        problems.append(f"the tensors end at byte {reached}, the data at {size}")
    return problems


def parse(path, text):
    """Parses a JSON object that has no duplicate keys.

    Args:
      path: of the file, for messages.
      text: bytes.

    Returns:
      A dictionary.

    Raises:
      ValueError: it is not UTF-8, not JSON, or not an object.
    """
    try:
        value = json.loads(
            text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_constant
        )
        if b"\\u" in text:  # Half a surrogate pair is a string to Python only.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError as error:
        raise ValueError(f"{path}: the JSON is nested too deeply") from error
    except UnicodeError as error:
        raise ValueError(
            f"{path} is truncated or damaged: its text is not UTF-8 ({error}); "
            "copy or download it again"
        ) from error
    except ValueError as error:
        raise ValueError(
            f"{path} is truncated or damaged: its JSON cannot be read ({error}); "
            "copy or download it again"
        ) from error
    if not isinstance(value, dict):
        raise ValueError(
            f"{path}: expected a JSON object, found {type(value).__name__}; "
            "it is not the file that its name promises"
        )
    return value


def _unique(pairs):
    value = dict(pairs)
    if len(value) != len(pairs):
        count = collections.Counter(name for name, _ in pairs)
        twice = sorted(name for name, times in count.items() if times > 1)
        raise ValueError(f"duplicate keys {short(twice)}")
    return value


def _constant(text):
    raise ValueError(f"{text} is not JSON")


def short(value):
    """A value as text of 80 characters at most."""
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def refuse(path, problems, advice):
    """Raises ValueError if there are problems, naming the file and the first of them.

    Args:
      path: the file.
      problems: list of lines.
      advice: what is wrong as a whole, or what to do.
    """
    if problems:
        shown = [
            f"  {printable(_short_line(line))}" for line in problems[:MOST_PROBLEMS]
        ]
        if len(problems) > MOST_PROBLEMS:
            shown.append(f"  and {len(problems) - MOST_PROBLEMS} more")
        raise ValueError("\n".join([f"{path}: {advice}:", *shown]))


def printable(text):
    """Text without signs that a terminal would obey: names come from strangers."""
    return text if text.isprintable() else ascii(text)[1:-1]


def _short_line(line):
    return line if len(line) <= 300 else f"{line[:297]}..."
