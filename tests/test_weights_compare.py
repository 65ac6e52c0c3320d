import jax.numpy as jnp
import numpy as np
import pytest

from distill_jax import weights
from distill_jax.weights import compare, folder


def test_distance_is_the_largest_of_all_numbers():
    one = np.array([1.0, 2.0, 0.0, -4.0])
    assert compare.distance(one, one + np.array([0, 0.5, 0, 1.0])) == (1.0, 0.25)
    assert compare.distance(one, one) == (0.0, 0.0)
    assert compare.distance(one[:0], one[:0]) == (0.0, 0.0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_equals_itself_only(value):
    one, other = np.array([1.0, value]), np.array([1.0, 2.0])
    assert compare.distance(one, one) == (0.0, 0.0)
    assert compare.distance(one, other) == (np.inf, np.inf)
    assert compare.distance(other, one) == (np.inf, np.inf)


def test_dtypes_are_compared_as_numbers():
    one = np.array([1 / 3, 3.0], np.float32)
    absolute, relative = compare.distance(one, one.astype(jnp.bfloat16))
    assert 0 < absolute < 1e-3 and 0 < relative < 2**-8
    big = np.array(2**60, np.int64)
    assert compare.distance(big, big + 1)[0] > 0
    assert compare.distance(np.array([True]), np.array([False])) == (1.0, 1.0)


def test_differences_name_what_cannot_be_compared(tmp_path):
    same = np.arange(3.0)
    paths = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    weights.write(paths[0], {"a": same, "b": same, "c": same, "d": same})
    weights.write(
        paths[1], {"a": same, "b": same[:2], "d": same.astype("f4"), "e": same}
    )
    first, second = map(folder.read, paths)
    names = compare.names(first, second)
    assert [tuple(each) for each in compare.differences(first, second, names)] == [
        ("a", 0.0, 0.0, ""),
        ("b", np.inf, np.inf, "shapes [3] and [2]"),
        ("c", np.inf, np.inf, f"only in {paths[0]}"),
        ("d", 0.0, 0.0, "F64, F32"),
        ("e", np.inf, np.inf, f"only in {paths[1]}"),
    ]
