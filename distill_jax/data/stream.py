"""Examples drawn, batched and handed over by threads or processes, by step."""

import functools
import os
import threading
import time
from typing import NamedTuple

import grain
import numpy as np
from absl import flags

# Nothing but slices of memory maps is read: two threads hide the disk.
THREADS = 2
AHEAD = 4
# More steps than are ever taken.
ENDLESS = 1 << 62


class Loading(NamedTuple):
    """How batches are made; only gain_db changes what is in them.

    Attributes:
      gain_db: training windows are made louder or softer by up to so many
        decibels; 0 keeps the levels.
      workers: processes that make batches; 0 makes them in threads.
      process: number of this process in a distributed job.
      processes: how many processes share every batch.
    """

    gain_db: float = 0.0
    workers: int = 0
    process: int = 0
    processes: int = 1


ALONE = Loading()


def endless(count, example, batch_seed, loading=ALONE):
    """Endless shuffled batches, each a function of the seed and its step alone.

    Args:
      count: how many examples there are; every epoch has them in another order.
      example: (index, rng) -> dictionary of arrays.
      batch_seed: (examples per step over all processes, int).
      loading: Loading.

    Returns:
      (start) -> iterator over the batches of step start, start + 1, …. Close it to
      stop its threads and workers.

    Raises:
      ValueError: the batch cannot be shared equally by the processes.
    """
    batch, seed = batch_seed
    local = local_batch(batch, loading)
    examples = grain.MapDataset.range(count).seed(seed).shuffle()
    # Sliced after batching: augmentation and batches are the same for any number
    # of processes. Repeated before: the corpus may be smaller than a batch.
    batches = examples.repeat().random_map(example).batch(local, drop_remainder=True)

    def start_at(start):
        first = start * loading.processes + loading.process
        return _iterate(batches[first :: loading.processes], loading.workers)

    return start_at


def once(count, example, batch, loading=ALONE):
    """All examples once and in order.

    Args:
      count: how many there are.
      example: (index, weight) -> dictionary of arrays. The last batch is filled up
        with the last example and a weight of 0; all others have 1.
      batch: examples per step over all processes.
      loading: Loading; its gain and workers are not used.

    Returns:
      () -> iterator over the batches.

    Raises:
      ValueError: the batch cannot be shared equally by the processes.
    """
    local = local_batch(batch, loading)
    examples = grain.MapDataset.range(-(-count // batch) * batch)
    filled = functools.partial(_filled, example, count)
    mine = examples.map(filled).batch(local)[loading.process :: loading.processes]
    return lambda: _iterate(mine, workers=0)


def by_step(make, steps=ENDLESS, workers=0):
    """Batches that are made whole, which is quicker than one example at a time.

    Args:
      make: (step) -> dictionary of arrays.
      steps: how many there are.
      workers: processes that make batches; 0 makes them in threads.

    Returns:
      (start=0) -> iterator over the batches of step start, start + 1, …. Close it to
      stop its threads and workers.
    """
    batches = grain.MapDataset.range(steps).map(make)
    return lambda start=0: _iterate(batches[start:], workers)


def _filled(example, count, index):
    return example(min(index, count - 1), float(index < count))


def local_batch(batch, loading):
    """How many examples of a batch are this process's.

    Raises:
      ValueError: the batch cannot be shared equally by the processes.
    """
    if batch < 1 or batch % loading.processes:
        raise ValueError(
            f"a batch of {batch} cannot be shared by {loading.processes} process(es); "
            "make it a positive multiple of that"
        )
    return batch // loading.processes


def _iterate(batches, workers):
    """Runs a dataset and closes its threads and processes with the generator."""
    threads = 1 if workers else THREADS
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=AHEAD)
    stream = batches.to_iter_dataset(options)
    if workers:
        # Grain reads a flag, which fails where no absl application parsed any.
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()
        # Inherited: pools of threads in every worker slow each other down.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        stream = stream.mp_prefetch(
            grain.MultiprocessingOptions(workers, per_worker_buffer_size=AHEAD),
            worker_init_fn=functools.partial(_live_with, os.getpid()),
        )
    iterator = iter(stream)
    try:
        for batch in iterator:
            # Workers hand over shared memory that would be held as long as the
            # batch, and beyond the end of the program.
            yield {k: np.array(v) for k, v in batch.items()} if workers else batch
    finally:
        iterator.close()


def _live_with(parent, worker, workers):
    """Ends a worker whose parent is gone; killed parents cannot do it."""
    del worker, workers

    def watch():
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
