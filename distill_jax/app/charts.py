"""Curves and tables as HTML that needs no script and no network."""

import base64
import itertools
import math
from html import escape
from typing import NamedTuple

import numpy as np

# Okabe & Ito 2008, distinct in every common kind of colour blindness.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 300, 200, 52, 34, 26, 12
TICKS, MOST_POINTS = 5, 400


class Axis(NamedTuple):
    """A direction of a chart.

    Attributes:
      low: value at its beginning.
      high: value at its end.
      ticks: (value, text) each.
      label: what it measures.
    """

    low: float
    high: float
    ticks: tuple
    label: str = ""

    def place(self, value_n):
        """From 0 to 1 along it."""
        span = (self.high - self.low) or 1.0
        return np.clip((np.asarray(value_n, float) - self.low) / span, -0.05, 1.05)


def panels(series):
    """Charts side by side.

    Args:
      series: {title: {name of a curve: (x_n, y_n)}}.

    Returns:
      HTML; "" without a curve.
    """
    made = [chart(title, curves) for title, curves in series.items() if curves]
    return f'<div class="charts">{"".join(made)}</div>' if made else ""


def chart(title, curves, axes=None, marks=(), width=WIDTH):
    """A chart of curves, each `x_n, y_n`; what is not finite is left out.

    Args:
      title: above it.
      curves: {name: (x_n, y_n)}.
      axes: the two `Axis`; None fits them to the curves.
      marks: heights of horizontal lines.
      width: of the chart, pixels.

    Returns:
      SVG.
    """
    curves = {name: _finite(*curve) for name, curve in curves.items()}
    x_axis, y_axis = axes or (
        fitted([x_n for x_n, _ in curves.values()], "step"),
        fitted([y_n for _, y_n in curves.values()], ""),
    )
    right, low = width - RIGHT, HEIGHT - BOTTOM

    def at(x_n, y_n):
        return (
            LEFT + x_axis.place(x_n) * (right - LEFT),
            low - y_axis.place(y_n) * (low - TOP),
        )

    parts = [_text(LEFT, 15, title, "title"), *_grid(x_axis, y_axis, at, (right, low))]
    colours = list(zip(curves.items(), itertools.cycle(COLOURS), strict=False))
    for (_, (x_n, y_n)), colour in colours:
        parts.append(_line(*at(*_thinned(x_n, y_n)), colour))
    for height in marks:
        _, y = at(0, height)
        parts.append(
            f'<line class="mark" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
    body = "".join(parts)
    svg = (
        f'<svg viewBox="0 0 {width} {HEIGHT}" width="{width}" role="img" '
        f'aria-label="{escape(title)}">{body}</svg>'
    )
    style = f"width:{width}px"
    return f'<figure class="chart" style="{style}">{svg}{_legend(colours)}</figure>'


def fitted(arrays, label):
    """An `Axis` that all finite values have room on."""
    value_n = np.concatenate([np.ravel(each) for each in arrays] or [np.zeros(0)])
    if not value_n.size:
        return Axis(0.0, 1.0, ((0.0, "0"), (1.0, "1")), label)
    low, high = float(value_n.min()), float(value_n.max())
    if low > 0 and low < 0.6 * high:
        low = 0.0
    if high - low < 1e-9 * max(1.0, abs(high)):
        low, high = low - 0.5, high + 0.5
    step = _nice((high - low) / TICKS)
    first, last = math.floor(low / step), math.ceil(high / step)
    ticks = [(n * step, f"{n * step:.6g}") for n in range(first, last + 1)]
    return Axis(first * step, last * step, tuple(ticks), label)


def table(header, rows, links=None):
    """A table; all of it is text.

    Args:
      header: of the columns.
      rows: lists of cells.
      links: {text of a cell: where it leads}.
    """
    links = links or {}

    def cell(value):
        text = escape(str(value))
        if str(value) in links:
            return f'<a href="{escape(links[str(value)])}" target="_blank">{text}</a>'
        return text

    head = "".join(f"<th>{escape(str(name))}</th>" for name in header)
    body = "".join(
        f"<tr>{''.join(f'<td>{cell(value)}</td>' for value in row)}</tr>"
        for row in rows
    )
    return f'<table class="figures"><tr>{head}</tr>{body}</table>'


def bar(share, text):
    """A bar of progress with a line of text below it."""
    return (
        f'<div class="bar"><div style="width:{100 * min(max(share, 0), 1):.1f}%"></div>'
        f"</div><p>{escape(text)}</p>"
    )


def picture(content, caption):
    """A picture, bytes of a PNG file, within the page."""
    data = base64.b64encode(content).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{escape(caption)}">'


def note(text, kind="note"):
    """A paragraph; kinds are note, good and bad."""
    lines = escape(str(text)).replace("\n", "<br>")
    return f'<p class="{kind}">{lines}</p>'


def _nice(step):
    """The next of 1, 2 and 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9))


def _finite(x_n, y_n):
    x_n, y_n = np.asarray(x_n, float), np.asarray(y_n, float)
    good_n = np.isfinite(x_n) & np.isfinite(y_n)
    return x_n[good_n], y_n[good_n]


def _thinned(x_n, y_n):
    """Lowest and highest of each stretch, so that no peak is lost."""
    size = math.ceil(len(x_n) / MOST_POINTS)
    if size <= 1:
        return x_n, y_n
    kept = []
    for start in range(0, len(x_n), size):
        part_n = y_n[start : start + size]
        kept += sorted({start + int(part_n.argmin()), start + int(part_n.argmax())})
    return x_n[kept], y_n[kept]


def _grid(x_axis, y_axis, at, corner):
    right, low = corner
    for value, text in y_axis.ticks:
        _, y = at(x_axis.low, value)
        yield f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield _text(LEFT - 6, y + 4, text, "tick end")
    for value, text in x_axis.ticks:
        x, _ = at(value, y_axis.low)
        yield _text(x, low + 16, text, "tick middle")
    yield _text((LEFT + right) / 2, HEIGHT - 3, x_axis.label, "tick middle")


def _line(x_n, y_n, colour):
    if len(x_n) == 1:
        return f'<circle cx="{x_n[0]:.1f}" cy="{y_n[0]:.1f}" r="3" fill="{colour}"/>'
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(x_n, y_n, strict=True))
    return f'<polyline points="{points}" stroke="{colour}"/>'


def _text(x, y, text, kind):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(str(text))}</text>'


def _legend(colours):
    items = "".join(
        f'<span><i style="background:{colour}"></i>{escape(name)}</span>'
        for (name, _), colour in colours
    )
    return f"<figcaption>{items}</figcaption>"
