"""Curves of a detector's errors, on the axes they are read on."""

import itertools

import numpy as np

from distill_jax.report.plots import COLOURS, DASHES, _figure, heat

TICKS = (0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999)


def confusion(path, count_cc, labels):
    """Draws which class is taken for which, in % of each row.

    Args:
      path: the PNG file.
      count_cc: examples, [right class, answer].
      labels: names of the classes.
    """
    share_cc = 100 * count_cc / np.maximum(count_cc.sum(axis=1, keepdims=True), 1)
    names = [
        f"{label} ({total})"
        for label, total in zip(labels, count_cc.sum(axis=1), strict=True)
    ]
    heat(path, share_cc, names, labels, "What is taken for what, % of each row")


def det(path, curves, title, axis_of):
    """Draws misses against false alarms, so that normal scores give straight lines.

    Args:
      path: the PNG file.
      curves: {name: (false_accept_m, false_reject_m)}, shares.
      title: of the figure.
      axis_of: share -> place on the axis, such as the normal quantile.
    """
    low, high = axis_of(TICKS[0] / 2), axis_of(1 - TICKS[0] / 2)
    with _figure(path, 6, 5.4, title) as figure:
        axis = figure.subplots()
        for (name, points), dash in zip(
            curves.items(), itertools.cycle(DASHES), strict=False
        ):
            x_m, y_m = (np.clip(axis_of(np.asarray(s)), low, high) for s in points)
            axis.plot(x_m, y_m, dash, label=name, drawstyle="steps-post")
        axis.plot((low, high), (low, high), color="#999999", linewidth=0.7)
        labels = [f"{100 * tick:g}" for tick in TICKS]
        axis.set_xticks(axis_of(np.array(TICKS)), labels)
        axis.set_yticks(axis_of(np.array(TICKS)), labels)
        axis.set(xlim=(low, high), ylim=(low, high))
        axis.set(xlabel="clips without the word accepted, %")
        axis.set(ylabel="clips with the word rejected, %")
        axis.legend()


def rejections(path, curves, title, rates):
    """Draws the share of missed words against false accepts per hour.

    Args:
      path: the PNG file.
      curves: {name: (per_hour_n, rejected_n, hours)}, both rising and falling in
        steps; `hours` is how long the stream is.
      title: of the figure.
      rates: false accepts per hour to mark.
    """
    longest = max(hours for _, _, hours in curves.values())
    least = 0.3 * min(1 / longest, *rates)
    most = max(max(rate_n[-1] for rate_n, _, _ in curves.values()), 2 * max(rates))
    with _figure(path, 7.5, 4.6, title) as figure:
        axis = figure.subplots()
        for number, (name, (rate_n, rejected_n, _)) in enumerate(curves.items()):
            x_n = np.append(np.maximum(rate_n, least), most)
            y_n = 100 * np.append(rejected_n, rejected_n[-1])
            look = {
                "color": COLOURS[number % len(COLOURS)],
                "linestyle": DASHES[number % len(DASHES)],
            }
            axis.plot(x_n, y_n, drawstyle="steps-post", label=name, **look)
        axis.axvspan(
            least, 1 / longest, color="#eeeeee", label="less than one in the stream"
        )
        for rate in rates:
            axis.axvline(rate, color="#999999", linewidth=0.7)
        axis.set_xscale("log")
        axis.set(xlim=(least, most), ylim=(0, 101))
        axis.set(xlabel="false accepts per hour (left edge: none)")
        axis.set(ylabel="words missed, %")
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
