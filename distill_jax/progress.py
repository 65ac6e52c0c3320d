"""Progress bars for long work; plain lines where nobody watches a terminal."""

import contextlib
import logging
import sys

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
def told(least=logging.INFO):
    """Shows what the package logs, from that level on, for the time of the block."""
    log, handler = logging.getLogger("distill_jax"), _Above()
    before = log.level, log.propagate
    log.setLevel(least)
    log.propagate = False  # Some packages write what reaches the root once more.
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before[0])
        log.propagate = before[1]
