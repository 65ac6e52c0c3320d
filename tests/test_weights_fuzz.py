"""Damaged files must raise ValueError: never crash, hang or allocate what they ask."""

import json
import time
import tracemalloc

import numpy as np
import pytest
import raw_tensors

from distill_jax import weights
from distill_jax.weights import folder

ROUNDS = 600
SECONDS = 5
MOST_BYTES = 2_000_000
WORDS = (
    b'"F32"', b'"F64"', b"-1", b"1e9", b"99999999999999999999", b"null", b"[]", b"{}",
    b'"a"', b"0", b"\xff", b"\\ud800", b",", b'"shape"', b"NaN", b"true", b'"../x"',
)  # fmt: skip


def mutate(rng, content):
    """Content with some bytes changed, cut, repeated or replaced by telling ones."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        place, kind = int(rng.integers(len(content) + 1)), rng.integers(6)
        # Most of what can go wrong is in the header.
        place = int(place * rng.random()) if rng.random() < 0.7 else place
        end = place + int(rng.integers(1, 9))
        if kind == 0 and place < len(content):
            content[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del content[place:]
        elif kind == 2:
            del content[place:end]
        elif kind == 3:
            content[place:place] = content[place:end]
        elif kind == 4:
            content[place:end] = WORDS[rng.integers(len(WORDS))]
        else:
            content[:8] = int(rng.integers(2**63)).to_bytes(8, "little")
    return bytes(content)


def survives(path):
    """Whether a damaged checkpoint could still be read; only ValueError may tell."""
    try:
        weights.read(path)
    except ValueError as error:
        assert str(error)
        return False
    return True


@pytest.mark.parametrize("seed", [0, 1])
def test_mutated_files_raise_only_value_errors(tmp_path, seed):
    begun = time.process_time()
    tracemalloc.start()
    rng = np.random.default_rng(seed)
    path = tmp_path / "x.safetensors"
    weights.write(path, raw_tensors.arrays(seed))
    content = path.read_bytes()
    read = 0
    for _ in range(ROUNDS):
        path.write_bytes(mutate(rng, content))
        read += survives(path)
    # A changed number among the data is not an error that a header can tell.
    assert 0 < read < ROUNDS / 2
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MOST_BYTES
    assert time.process_time() - begun < SECONDS


def test_every_truncation_is_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    weights.write(path, raw_tensors.arrays(3, count=2))
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        assert not survives(path), length


def test_mutated_indices_raise_only_value_errors(tmp_path):
    rng = np.random.default_rng(5)
    weights.write(tmp_path / "model-1.safetensors", {"a": np.zeros(3)})
    weights.write(tmp_path / "model-2.safetensors", {"b": np.zeros(3)})
    names = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    path = tmp_path / folder.INDEX
    content = json.dumps({"metadata": {}, "weight_map": names}).encode()
    path.write_bytes(content)
    assert survives(path)
    for _ in range(ROUNDS // 2):
        path.write_bytes(mutate(rng, content))
        survives(path)
