"""Times contenders in turns, so that whatever slows the machine slows them all."""

import resource
import statistics
import sys
import time
from typing import NamedTuple


class Times(NamedTuple):
    """Seconds of one contender: of its first call, then over the rounds."""

    first: float
    median: float
    least: float
    most: float


def once(call, clock=time.perf_counter):
    """Seconds that one call takes; it must wait for its own result."""
    start = clock()
    call()
    return clock() - start


def in_turns(calls, rounds=9, clock=time.perf_counter):
    """Times every contender in every round.

    Args:
      calls: {name: function without arguments that waits for its result}.
      rounds: how often, after a first call that compiles; 0 leaves it at that.
      clock: `time.process_time` counts other work on the machine less, and all threads.

    Returns:
      {name: `Times`}.
    """
    first = {name: once(call, clock) for name, call in calls.items()}
    seconds = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            seconds[name].append(once(call, clock))
    seconds = {name: taken or [first[name]] for name, taken in seconds.items()}
    return {
        name: Times(first[name], statistics.median(taken), min(taken), max(taken))
        for name, taken in seconds.items()
    }


def peak_memory_mb():
    """Largest resident memory of this process so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def show(times, unit, amount):
    """Prints one line per contender.

    Args:
      times: {name: `Times`}.
      unit: what `amount` counts, such as "clip".
      amount: how much one call does.
    """
    print(f"{'':34} {'first s':>8} {'ms/' + unit:>9} {'least':>8} {'most':>8}")
    for name, taken in times.items():
        each = [1e3 * value / amount for value in taken[1:]]
        print(
            f"{name:34} {taken.first:8.2f} {each[0]:9.2f} {each[1]:8.2f} {each[2]:8.2f}"
        )


def matmul_rate(dtype="float32"):
    """Operations per second of large products of random matrices, in JAX."""
    import jax

    size = 2048 if jax.default_backend() == "cpu" else 8192
    square_nn = jax.random.normal(jax.random.key(0), (size, size), dtype)
    product = jax.jit(jax.numpy.matmul)

    def call():
        product(square_nn, square_nn).block_until_ready()

    return 2 * size**3 / min(once(call) for _ in range(12))
