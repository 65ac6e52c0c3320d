"""Makes arrays in threads ahead of their use, no more than the host should hold."""

import collections
import concurrent.futures
import os

THREADS = min(4, os.cpu_count() or 1)
MOST_BYTES = 1 << 26


def pool():
    """Threads for `results`; as a context, waits for them."""
    return concurrent.futures.ThreadPoolExecutor(THREADS)


def results(pool, make, sizes):
    """Yields (key, make(key)) in order, the next ones being made meanwhile.

    Args:
      pool: from `pool`.
      make: (key) -> result.
      sizes: {key: bytes of the result}, in the order in which they are made. Results
        ahead take `MOST_BYTES` together, or one is made at a time.

    Raises:
      What `make` raises.
    """
    waiting = collections.deque()
    for key, size in sizes.items():
        while waiting and (
            len(waiting) > THREADS
            or sum(sizes[other] for other, _ in waiting) + size > MOST_BYTES
        ):
            first, future = waiting.popleft()
            yield first, future.result()
            del future
        waiting.append((key, pool.submit(make, key)))
    while waiting:
        first, future = waiting.popleft()
        yield first, future.result()
        del future
