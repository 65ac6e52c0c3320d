import json

import numpy as np
import pytest
import raw_tensors
from raw_tensors import entry

from distill_jax.weights import header

GOOD = {"a": entry("F32", [2], 0, 8), "b": entry("I64", [], 8, 16)}


def test_header_tells_where_every_tensor_lies(tmp_path):
    made = GOOD | {"__metadata__": {"format": "pt"}}
    path = raw_tensors.write(tmp_path / "x.safetensors", made, bytes(16))
    contents = header.read_file(path)
    begin = path.stat().st_size - 16
    assert contents.metadata == {"format": "pt"} and contents.path == path
    assert contents.tensors == {
        "a": header.Tensor(path, "F32", (2,), begin, 8),
        "b": header.Tensor(path, "I64", (), begin + 8, 8),
    }


def test_sub_byte_and_eight_bit_floats_are_told_but_have_no_numpy_dtype(tmp_path):
    made = {"a": entry("F4", [4], 0, 2), "b": entry("F8_E4M3", [3], 2, 5)}
    path = raw_tensors.write(tmp_path / "x.safetensors", made, bytes(5))
    assert header.read_file(path).tensors["b"].size == 3
    assert "F4" not in header.DTYPES and "F8_E4M3" not in header.DTYPES


def test_spaces_after_the_header_and_escaped_names_are_read(tmp_path):
    text = json.dumps({"ü😀": entry("U8", [1], 0, 1)}).encode() + b"   "
    assert b"\\u" in text
    path = raw_tensors.write(tmp_path / "x.safetensors", text, b"1")
    assert list(header.read_file(path).tensors) == ["ü😀"]


def one(dtype="F32", shape=(2,), offsets=(0, 8), **more):
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets} | more}


HOSTILE = {
    "empty file": (b"", "truncated.*at least 8"),
    "half a length": (b"\1\0\0", "truncated.*at least 8"),
    "header larger than the file": (raw_tensors.raw(GOOD, length=10_000), "truncated"),
    "header of 2^64 - 1 bytes": (raw_tensors.raw(b"{}", length=2**64 - 1), "truncated"),
    "header too short": (raw_tensors.raw(GOOD, bytes(16), length=20), "JSON cannot"),
    "no JSON": (raw_tensors.raw(b"PK\3\4 a zip file"), "JSON cannot be read"),
    "a list": (raw_tensors.raw(b"[1, 2]"), "expected a JSON object, found list"),
    "deep": (raw_tensors.raw(b'{"a":' + b"[" * 200_000), "nested too deeply"),
    "not UTF-8": (raw_tensors.raw(b'{"\xff": 1}'), "not UTF-8"),
    "half a surrogate": (raw_tensors.raw(b'{"\\ud800": 1}'), "not UTF-8"),
    "NaN": (raw_tensors.raw(b'{"a": NaN}'), "NaN is not JSON"),
    "many digits": (raw_tensors.raw(b'{"a": ' + b"9" * 9999 + b"}"), "cannot be read"),
    "duplicate": (raw_tensors.raw(b'{"a": 1, "a": 2}'), r"duplicate keys \['a'\]"),
    "metadata list": (raw_tensors.raw({"__metadata__": []}), "__metadata__ is not"),
    "metadata number": (raw_tensors.raw({"__metadata__": {"a": 1}}), "text to text"),
    "not an entry": (raw_tensors.raw({"a": 3}), "expected dtype, shape and"),
    "one field more": (raw_tensors.raw(one(more=1), bytes(8)), "expected dtype, shape"),
    "unknown dtype": (raw_tensors.raw(one("F33"), bytes(8)), "'F33', expected one of"),
    "dtype is a list": (raw_tensors.raw(one([]), bytes(8)), "dtype is"),
    "negative": (raw_tensors.raw(one(shape=[-2, -1]), bytes(8)), "numbers from 0 up"),
    "fraction": (raw_tensors.raw(one(shape=[2.0]), bytes(8)), "numbers from 0 up"),
    "truth": (raw_tensors.raw(one(shape=[True, 2]), bytes(8)), "numbers from 0 up"),
    "shape is text": (raw_tensors.raw(one(shape="2"), bytes(8)), "numbers from 0 up"),
    "huge axis": (raw_tensors.raw(one(shape=[2**63]), bytes(8)), "numbers from 0 up"),
    "huge product": (
        raw_tensors.raw(one(shape=[2**62] * 32), bytes(8)),
        r"takes \d{70}",
    ),
    "33 axes": (raw_tensors.raw(one(shape=[1] * 33), bytes(8)), "at most 32"),
    "another size": (raw_tensors.raw(one(shape=[3]), bytes(8)), "takes 12 bytes"),
    "half a byte": (raw_tensors.raw(one("F4", [1], [0, 1]), b"1"), "takes 0 bytes"),
    "backwards": (raw_tensors.raw(one(offsets=[8, 0]), bytes(8)), r"\[begin, end\]"),
    "one offset": (raw_tensors.raw(one(offsets=[8]), bytes(8)), r"\[begin, end\]"),
    "negative offset": (raw_tensors.raw(one(offsets=[-8, 0])), r"\[begin, end\]"),
    "out of range": (raw_tensors.raw(one(offsets=[8, 16]), bytes(8)), "leaves a gap"),
    "truncated data": (
        raw_tensors.raw(one(), bytes(7)),
        "truncated.*\n.*end at byte 8",
    ),
    "data left over": (
        raw_tensors.raw(one(), bytes(9)),
        "end at byte 8, the data at 9",
    ),
    "overlap": (
        raw_tensors.raw(one() | {"b": entry("U8", [4], 4, 8)}, bytes(8)),
        "b begins at 4, expected 8: overlaps",
    ),
    "gap": (
        raw_tensors.raw(one() | {"b": entry("U8", [4], 12, 16)}, bytes(16)),
        "b begins at 12, expected 8: leaves a gap",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_refused_by_name(case, tmp_path):
    content, message = HOSTILE[case]
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        header.read_file(path)
    assert str(path) in str(error.value) and len(str(error.value)) < 2000


def test_header_over_the_limit_is_refused_unread(tmp_path):
    path = tmp_path / "large.safetensors"
    with open(path, "wb") as file:
        file.write((header.MOST_HEADER_BYTES + 1).to_bytes(8, "little"))
        file.truncate(header.MOST_HEADER_BYTES + 100)  # Sparse: takes no disk.
    with pytest.raises(ValueError, match="at most 100000000 are read"):
        header.read_file(path)


def test_all_problems_of_a_header_are_named_up_to_a_limit(tmp_path):
    made = {f"t{n}": entry("F33", [n], 0, 0) for n in range(50)}
    path = raw_tensors.write(tmp_path / "x.safetensors", made)
    with pytest.raises(ValueError, match="and 30 more") as error:
        header.read_file(path)
    assert all(f"t{n}: " in str(error.value) for n in range(20))


def test_bits_agree_with_numpy():
    assert all(header.BITS[n] == 8 * d.itemsize for n, d in header.DTYPES.items())
    assert header.NAME_OF[np.dtype("float32")] == "F32"
