"""Pictures over time: what frames hold, what a detector scores."""

from typing import NamedTuple

import numpy as np

from distill_jax.report.plots import (
    COLOURS,
    DASHES,
    _colours,
    _extremes,
    _figure,
    _image_in,
)

# Scores nearer to 0 and to 1 are drawn there.
LEAST = 1e-6
ROOM = 3.0  # beyond the outermost scores, a factor of the odds


class Track(NamedTuple):
    """A picture of the frames of a sound.

    Attributes:
      picture_ft: [rows, frames].
      seconds: how long all frames last.
      unit: what the colour measures.
      limits: lowest and highest value with a colour of its own; None is as in `Scale`.
    """

    picture_ft: np.ndarray
    seconds: float
    unit: str
    limits: tuple | None = None


def tracks(path, tracks, title):
    """Draws pictures of the same sound below each other.

    Args:
      path: the PNG file.
      tracks: {what a row is: `Track`}.
      title: of the figure.
    """
    with _figure(path, 9, 0.6 + 2.6 * len(tracks), title) as figure:
        axes = figure.subplots(len(tracks), 1, squeeze=False, sharex=True)[:, 0]
        for axis, (name, track) in zip(axes, tracks.items(), strict=True):
            _track_in(axis, track)
            axis.set_ylabel(name)
        axes[-1].set_xlabel("seconds")


def _track_in(axis, track):
    limits = track.limits or _extremes([track.picture_ft])
    image = _image_in(axis, track.picture_ft, track.seconds, _colours(limits))
    axis.figure.colorbar(image, ax=axis, label=track.unit, pad=0.01)


def timeline(path, scores, threshold, spans, title):
    """Draws scores over time, on an axis of log-odds: sure ones differ there.

    Args:
      path: the PNG file.
      scores: {name: (seconds_n, score_n)}, shares.
      threshold: lowest score that triggers; a line.
      spans: (first second, last second) of what is to be heard, shaded.
      title: of the figure.
    """
    line = float(np.clip(threshold, LEAST, 1 - LEAST))
    drawn = [np.clip(score_n, LEAST, 1 - LEAST) for _, score_n in scores.values()]
    low, high = np.percentile([*np.concatenate(drawn), line], (0, 100))
    with _figure(path, 10, 3.6, title) as figure:
        axis = figure.subplots()
        for number, (name, score_n) in enumerate(zip(scores, drawn, strict=True)):
            look = {
                "color": COLOURS[number % len(COLOURS)],
                "linestyle": DASHES[number % len(DASHES)],
            }
            axis.plot(scores[name][0], score_n, label=name, linewidth=1.2, **look)
        for number, (first, last) in enumerate(spans):
            label = None if number else "said"
            axis.axvspan(first, last, color=COLOURS[4], alpha=0.3, label=label)
        axis.axhline(line, color=COLOURS[6], linewidth=0.9, label="threshold")
        axis.set_yscale("logit", one_half="0.5")
        axis.set(ylim=(low / ROOM, 1 - (1 - high) / ROOM))
        axis.set(xlabel="seconds", ylabel="score")
        axis.margins(x=0)
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
