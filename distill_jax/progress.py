"""Progress bars for long work; plain lines where nobody watches a terminal."""

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
