import threading

import pytest

from distill_jax.weights import ahead


def test_results_come_in_order_and_within_bounds(monkeypatch):
    monkeypatch.setattr(ahead, "MOST_BYTES", 10)
    sizes = dict(enumerate([3, 3, 3, 3, 30, 1, 1, 1, 1, 1, 1, 1, 1, 9, 2]))
    held, lock, most = [], threading.Lock(), []

    def make(key):
        with lock:
            held.append(key)
            most.append((sum(sizes[one] for one in held), len(held)))
        return key * 2

    seen = []
    with ahead.pool() as pool:
        for key, result in ahead.results(pool, make, sizes):
            seen.append(key)
            assert result == key * 2
            with lock:
                held.remove(key)
    assert seen == list(sizes)
    assert all(size <= 10 or count == 1 for size, count in most)
    assert max(count for _, count in most) <= ahead.THREADS + 1


def test_what_a_thread_raises_is_raised():
    def make(key):
        if key == 3:
            raise ValueError("three")
        return key

    with ahead.pool() as pool:
        found = ahead.results(pool, make, dict.fromkeys(range(9), 1))
        assert [next(found) for _ in range(3)] == [(0, 0), (1, 1), (2, 2)]
        with pytest.raises(ValueError, match="three"):
            next(found)
