"""How sure answers are beside how often they are right."""

import numpy as np

from distill_jax.report.plots import COLOURS, _figure


def reliability(path, kinds, title):
    """Draws the share of right answers over their confidence, and how many there are.

    Args:
      path: the PNG file.
      kinds: {heading: (count_k, confidence_k, right_k)}, a panel each; of bins of
        equal width between 0 and 1, sums, as `detection.reliability` gives them.
      title: of the figure.
    """
    with _figure(path, 0.6 + 4.2 * len(kinds), 5.2, title) as figure:
        heights = {"height_ratios": (3, 1)}
        axes = figure.subplots(
            2, len(kinds), squeeze=False, sharex=True, sharey="row", gridspec_kw=heights
        )
        for (above, below), (heading, sums) in zip(axes.T, kinds.items(), strict=True):
            _panel(above, below, sums)
            above.set_title(heading)
        axes[0, 0].set(ylabel="right answers, %")
        axes[1, 0].set(ylabel="clips")


def _panel(above, below, sums):
    count_k, confidence_k, right_k = (np.asarray(each_k, float) for each_k in sums)
    width = 100 / len(count_k)
    middle_k, some_k = width * (np.arange(len(count_k)) + 0.5), count_k > 0
    percent_k = 100 * right_k[some_k] / count_k[some_k]
    above.plot((0, 100), (0, 100), color="#999999", linewidth=0.9, label="ideal")
    above.bar(middle_k[some_k], percent_k, 0.92 * width, color=COLOURS[0], alpha=0.5)
    mean_k = 100 * confidence_k[some_k] / count_k[some_k]
    look = {"color": COLOURS[1], "label": "mean of the bin", "clip_on": False}
    above.plot(mean_k, percent_k, "o", **look)
    above.set(xlim=(0, 100), ylim=(0, 100))
    above.legend(loc="upper left")
    below.bar(middle_k, count_k, 0.92 * width, color=COLOURS[0])
    # The surest bin holds nearly all clips of a good network.
    below.set_yscale("symlog", linthresh=1)
    below.set(xlabel="confidence, %", ylim=(0, None))
