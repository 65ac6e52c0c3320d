"""Which example is where in an endless stream that mixes kinds in given shares."""

import functools
from typing import NamedTuple

import numpy as np

# Shares are rounded to so many parts, so that counting is exact.
PARTS = 1 << 20


class Kind(NamedTuple):
    """Examples that share a place in the stream.

    Attributes:
      member_n: int64, indices of the examples, at least one.
      share: how much of the stream they are to be; only ratios matter.
    """

    member_n: np.ndarray
    share: float


def indices(kinds, seed, place_b):
    """Looks up places of the stream.

    Any stretch of it has of every kind what its share asks for, give or take one for
    every kind. Each kind is walked through completely in a new order every time.

    Args:
      kinds: list of `Kind`.
      seed: int, not negative; decides on the orders.
      place_b: int64, places from 0 on.

    Returns:
      int64 [b], indices of examples.
    """
    total = sum(kind.share for kind in kinds)
    parts = [max(1, round(PARTS * kind.share / total)) for kind in kinds]
    index_b = np.zeros_like(place_b)
    open_b, rest_b = np.full(place_b.shape, True), place_b.copy()
    # The first kind takes the places where its count rises; what is left is a stream
    # of the other kinds, with places of its own.
    for number, kind in enumerate(kinds):
        left = sum(parts[number:])
        before_b = rest_b * parts[number] // left
        rises_b = (rest_b + 1) * parts[number] // left > before_b
        for b in np.flatnonzero(open_b & rises_b):
            turn, at = divmod(int(before_b[b]), len(kind.member_n))
            order_n = _order(len(kind.member_n), (seed, number, turn))
            index_b[b] = kind.member_n[order_n[at]]
        open_b &= ~rises_b
        rest_b -= before_b
    return index_b


@functools.lru_cache(maxsize=256)
def _order(count, entropy):
    return np.random.default_rng(entropy).permutation(count)
