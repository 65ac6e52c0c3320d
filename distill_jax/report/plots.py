"""Figures in one style, for any job; matplotlib lives here.

Nothing here touches pyplot, so a notebook keeps its own backend and style.
"""

import contextlib
import itertools
import math
import textwrap
from typing import NamedTuple

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure

# Okabe & Ito 2008, distinct in every common kind of colour blindness.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", ":", "-.")
MARKERS = "os^DvPX"
POSITIVE, SIGNED, UNKNOWN = "magma", "RdBu_r", "#e4e4e4"
STYLE = {
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": matplotlib.cycler(color=COLOURS),
    "grid.color": "#dddddd",
    "legend.frameon": False,
}
TICKS_HZ = (200, 1000, 3000, 10_000, 20_000)
# A factor that a linear axis cannot show.
LOGARITHMIC = 30
MOST_NUMBERS = 150
# Letters of a label before it is broken.
LABEL = 14
# Points of a curve that is drawn thin.
CROWDED = 150


class Scale(NamedTuple):
    """What the axes and the colours of spectrograms mean.

    Attributes:
      title: of the figure.
      band_hz: centre of each row, [mels].
      frame_seconds: from one column to the next.
      unit: what the colour measures.
      limits: lowest and highest value that has a colour of its own; if None, those
        of the pictures. Limits on both sides of 0 make white the colour of 0.
    """

    title: str
    band_hz: np.ndarray
    frame_seconds: float
    unit: str
    limits: tuple | None = None


@contextlib.contextmanager
def _figure(path, width, height, title):
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(width, height))
        figure.suptitle(title, x=0.01, ha="left", fontsize=13, weight="bold")
        yield figure
        # Without the version of matplotlib equal figures are equal files.
        figure.savefig(path, format="png", metadata={"Software": None})


def lines(path, series, title, x_label, y_label):
    """Draws curves in one panel; see `panels`."""
    panels(path, {y_label: series}, title, x_label)


def panels(path, series, title, x_label):
    """Draws curves in panels side by side.

    Args:
      path: the PNG file.
      series: {label of the y axis: {name of a curve: (x_n, y_n)}}, a panel each.
        An axis whose values are positive and span a wide range is logarithmic.
      title: of the figure.
      x_label: of the x axes.
    """
    columns = 2 if len(series) == 4 else min(3, len(series))
    rows = math.ceil(len(series) / columns)
    width = 7.5 if columns == 1 else 4.2 * columns
    with _figure(path, width, 0.6 + 3.2 * rows, title) as figure:
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis, (y_label, curves_of) in zip(axes, series.items(), strict=False):
            _curves_in(axis, curves_of)
            axis.set(xlabel=x_label, ylabel=y_label)
        for axis in axes[len(series) :]:
            axis.remove()


def _curves_in(axis, curves_of):
    for (name, (x_n, y_n)), dash in zip(
        curves_of.items(), itertools.cycle(DASHES), strict=False
    ):
        marker = "o" if 2 < len(x_n) < 8 or len(x_n) == 1 else None
        width = 1.8 if len(x_n) < CROWDED else 1.0
        axis.plot(
            x_n, y_n, dash, label=name, marker=marker, markersize=4, linewidth=width
        )
    every_n = np.concatenate([np.ravel(y_n) for _, y_n in curves_of.values()])
    every_n = every_n[np.isfinite(every_n)]
    if every_n.size and every_n.min() > 0:
        if every_n.max() > LOGARITHMIC * every_n.min():
            axis.set_yscale("log")
        elif every_n.max() > 2 * every_n.min():
            axis.set_ylim(bottom=0)
    axis.legend()


def bars(path, values, labels, title, y_label):
    """Draws a bar for each value.

    Args:
      path: the PNG file.
      values: [n].
      labels: the name under each bar, [n]; empty counts them from 1.
      title: of the figure.
      y_label: what is measured.
    """
    values, place = np.asarray(values, float), np.arange(1, len(values) + 1)
    width = float(np.clip(1.3 * len(values), 6, 12))
    with _figure(path, width, 4, title) as figure:
        axis = figure.subplots()
        drawn = axis.bar(place, values, width=0.7, color=COLOURS[0])
        axis.grid(visible=False, axis="x")
        axis.set(ylabel=y_label)
        if len(values) <= 16:
            axis.bar_label(drawn, [f"{value:.3g}" for value in values], padding=2)
            axis.margins(y=0.12)
        if len(labels):
            long = LABEL * len(labels) > 12 * width
            turn = {"rotation": 35, "ha": "right"} if long else {}
            axis.set_xticks(place, map(_broken, labels), **turn)


def _broken(label):
    """A label in lines of at most LABEL letters; its own line breaks are kept."""
    return "\n".join(textwrap.fill(line, LABEL) for line in label.split("\n"))


def heat(path, matrix, row_labels, column_labels, title):
    """Draws a table as colours, with the numbers where there is room.

    Args:
      path: the PNG file.
      matrix: [rows, columns]; NaN is left grey. With negative values the colours
        are those of a signed quantity, white at 0.
      row_labels: names, [rows].
      column_labels: names, [columns].
      title: of the figure.
    """
    matrix = np.asarray(matrix, float)
    rows, columns = matrix.shape
    colours, (low, high) = _colours(_extremes([matrix]))
    size = (2.5 + 0.75 * columns, 1.4 + 0.38 * rows)
    with _figure(path, *size, title) as figure:
        axis = figure.subplots()
        axis.grid(visible=False)
        image = axis.imshow(matrix, colours, vmin=low, vmax=high, aspect="auto")
        figure.colorbar(image, ax=axis)
        axis.set_xticks(range(columns), column_labels, rotation=35, ha="right")
        axis.set_yticks(range(rows), row_labels)
        if matrix.size <= MOST_NUMBERS:
            _numbers_in(axis, matrix, image)


def _numbers_in(axis, matrix, image):
    top = np.nanmax(np.abs(matrix), initial=1e-6)
    digits = max(0, 2 - math.ceil(math.log10(top)))
    for (row, column), value in np.ndenumerate(matrix):
        if np.isfinite(value):
            red, green, blue, _ = image.cmap(image.norm(value))
            # Rec. 601 luma decides which of black and white can be read.
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
            axis.text(
                column,
                row,
                f"{round(value, digits) + 0.0:.{digits}f}",
                ha="center",
                va="center",
                color="white" if dark else "black",
            )


def scatter(path, xy_n2, groups, title):
    """Draws points.

    Args:
      path: the PNG file.
      xy_n2: [points, 2].
      groups: the name of each point's group, [points]; groups differ in colour and
        in shape.
      title: of the figure.
    """
    xy_n2, groups = np.asarray(xy_n2), np.asarray(groups)
    kinds = itertools.cycle(zip(COLOURS, MARKERS, strict=True))
    with _figure(path, 7, 5, title) as figure:
        axis = figure.subplots()
        for name, (colour, marker) in zip(dict.fromkeys(groups), kinds, strict=False):
            part_n2 = xy_n2[groups == name]
            axis.scatter(
                *part_n2.T, s=18, alpha=0.7, c=colour, marker=marker, label=name
            )
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def spectrograms(path, rows, column_titles, row_titles, scale):
    """Draws a grid of mel spectrograms on one colour scale, low bands at the bottom.

    Args:
      path: the PNG file.
      rows: pictures [mels, frames], a list of them per row; NaN is left blank.
      column_titles: what each column shows.
      row_titles: what each row shows.
      scale: a `Scale`.
    """
    shape = (len(rows), len(column_titles))
    pictures = [picture for row in rows for picture in row]
    colours, limits = _colours(scale.limits or _extremes(pictures))
    size = (1.6 + 3.3 * shape[1], 1.0 + 1.7 * shape[0])
    with _figure(path, *size, scale.title) as figure:
        axes = figure.subplots(*shape, squeeze=False, sharey=True)
        for (row, column), axis in np.ndenumerate(axes):
            image = _picture_in(axis, rows[row][column], scale, (colours, limits))
            if row == 0:
                axis.set_title(column_titles[column])
        for axis, row_title in zip(axes[:, 0], row_titles, strict=True):
            axis.set_ylabel(f"{_broken(row_title)}\n\nHz")
        for axis in axes[-1]:
            axis.set_xlabel("seconds")
        aspect = min(40, 15 * shape[0])
        figure.colorbar(image, ax=axes, label=scale.unit, aspect=aspect, pad=0.01)


def _picture_in(axis, picture_ft, scale, colours_and_limits):
    mels, frames = picture_ft.shape
    seconds = frames * scale.frame_seconds
    image = _image_in(axis, picture_ft, seconds, colours_and_limits)
    ticks_hz = [hz for hz in TICKS_HZ if hz <= scale.band_hz[-1]]
    place = np.interp(ticks_hz, scale.band_hz, np.arange(mels))
    axis.set_yticks(place, [f"{hz:,}" for hz in ticks_hz])
    return image


def _image_in(axis, picture_ft, seconds, colours_and_limits):
    colours, (low, high) = colours_and_limits
    axis.grid(visible=False)
    return axis.imshow(
        picture_ft,
        colours,
        vmin=low,
        vmax=high,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(0, seconds, -0.5, len(picture_ft) - 0.5),
    )


def _extremes(arrays):
    """Lowest and highest finite value; a scale of values above 0 begins at 0."""
    values = np.concatenate([np.ravel(array) for array in arrays])
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if values.size else (0.0, 1.0)
    return min(low, 0.0), high


def _colours(limits):
    """The colour map that fits, and the limits, even around 0 if it is within."""
    low, high = limits
    signed = low < 0 < high
    top = max(-low, high)
    name = SIGNED if signed else POSITIVE
    colours = matplotlib.colormaps[name].with_extremes(bad=UNKNOWN)
    return colours, (-top, top) if signed else (low, high if high > low else low + 1)
