"""Progress bars for long work; plain lines where nobody watches a terminal."""

import sys
import time

from tqdm import tqdm

_quiet = False


def show(whether):
    """Says whether bars are seen: of several processes one shows them."""
    global _quiet
    _quiet = not whether


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
        disable=_quiet,
    )


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
