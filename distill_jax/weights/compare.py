"""How far the tensors of two checkpoints are from each other."""

from typing import NamedTuple

import numpy as np

from distill_jax.weights.reading import Reader


class Difference(NamedTuple):
    """Between two tensors of one name.

    Attributes:
      name: theirs.
      absolute: largest difference of two numbers; infinite where they cannot be
        compared, or one of them is not a number.
      relative: largest difference over the larger of the two numbers.
      note: why they cannot be compared, or which dtypes they have if not the same.
    """

    name: str
    absolute: float
    relative: float
    note: str = ""


def names(first, second):
    """Names of the tensors of either checkpoint, sorted."""
    return sorted(first.tensors.keys() | second.tensors.keys())


def differences(first, second, names):
    """Compares two checkpoints, two tensors at a time.

    Args:
      first: `header.Contents`, from `folder.read`.
      second: the same.
      names: an iterable of the names to compare.

    Yields:
      A `Difference` for each.

    Raises:
      ValueError: a tensor cannot be read.
    """
    with Reader() as reader:
        for name in names:
            one, other = first.tensors.get(name), second.tensors.get(name)
            if one is None or other is None:
                only = first.path if other is None else second.path
                yield Difference(name, np.inf, np.inf, f"only in {only}")
            elif one.shape != other.shape:
                shapes = f"{list(one.shape)} and {list(other.shape)}"
                yield Difference(name, np.inf, np.inf, f"shapes {shapes}")
            else:
                note = f"{one.dtype}, {other.dtype}" if one.dtype != other.dtype else ""
                pair = reader.read(one), reader.read(other)
                yield Difference(name, *distance(*pair), note)


def distance(one, other):
    """Largest absolute and relative difference of two arrays of one shape.

    Args:
      one: numpy array.
      other: numpy array of the same shape.

    Returns:
      Two floats; (0, 0) only if all numbers are the same. A number that is no
      number equals another such.
    """
    # int64 does not fit in float64: equality is asked for before.
    with np.errstate(all="ignore"):
        same = (one == other) | ((one != one) & (other != other))
        one, other = (np.asarray(side[~same], np.float64) for side in (one, other))
        apart = np.abs(one - other)
        share = apart / np.maximum(np.abs(one), np.abs(other))
    if not apart.size:
        return 0.0, 0.0
    smallest = np.finfo(np.float64).tiny
    largest = [np.where(np.isnan(each), np.inf, each).max() for each in (apart, share)]
    return tuple(max(float(value), smallest) for value in largest)
