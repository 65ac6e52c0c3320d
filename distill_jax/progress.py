"""Progress bars for long work; plain lines where nobody watches a terminal."""

import contextlib
import logging
import sys
import time

from tqdm import tqdm


def bar(items, title, total=None, unit="it"):
    """Wraps an iterable in a progress bar with the time left.

    Args:
      items: what is walked through, or None for a bar moved with `update`.
      title: what is being done, in a few words.
      total: how many items there are, where `len` cannot tell.
      unit: what one item is called.

    Returns:
      A tqdm bar. Off a terminal it prints a line every 15 s at most.
    """
    seconds = 0.1 if sys.stderr.isatty() else 15.0
    return tqdm(
        items,
        desc=title,
        total=total,
        unit=unit,
        mininterval=seconds,
        maxinterval=max(10.0, seconds),
        dynamic_ncols=True,
    )


def shown(values):
    """The scalars of a record, for the end of a progress bar."""
    return {
        name: f"{value:.4g}"
        for name, value in values.items()
        if isinstance(value, float) and "/" not in name
    }


class _Above(logging.Handler):
    """Writes plain lines above the bars."""

    def emit(self, record):
        tqdm.write(self.format(record), file=sys.stderr)


@contextlib.contextmanager
def told():
    """Shows what the package logs for the time of the block."""
    log, handler = logging.getLogger("distill_jax"), _Above()
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


class Waiting:
    """How much of the time since it was made a loop waits for its data."""

    def __init__(self):
        """Time runs from here."""
        self._begun, self._waited = time.perf_counter(), 0.0

    def watch(self, start_at):
        """Measures an iterator.

        Args:
          start_at: (step) -> iterator, which is closed with the result.

        Returns:
          The same function.
        """

        def watched(step):
            batches = start_at(step)
            try:
                while True:
                    asked = time.perf_counter()
                    batch = next(batches, None)
                    self._waited += time.perf_counter() - asked
                    if batch is None:
                        return
                    yield batch
            finally:
                batches.close()

        return watched

    @property
    def share(self):
        """Of the time so far, from 0 to 1."""
        return self._waited / (time.perf_counter() - self._begun)
