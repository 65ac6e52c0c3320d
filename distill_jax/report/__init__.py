"""What a run leaves to look at: plots, pages and figures, for any job."""

from distill_jax.report.errors import confusion, det, rejections
from distill_jax.report.page import Audio, Image, Link, Section, Table, page
from distill_jax.report.plots import (
    Scale,
    bars,
    heat,
    lines,
    panels,
    scatter,
    spectrograms,
)
from distill_jax.report.record import curves, figures, histograms, sides, time
from distill_jax.report.sureness import reliability
from distill_jax.report.tracks import Track, timeline, tracks

__all__ = [
    "Audio",
    "Image",
    "Link",
    "Scale",
    "Section",
    "Table",
    "Track",
    "bars",
    "confusion",
    "curves",
    "det",
    "figures",
    "heat",
    "histograms",
    "lines",
    "page",
    "panels",
    "rejections",
    "reliability",
    "scatter",
    "sides",
    "spectrograms",
    "time",
    "timeline",
    "tracks",
]
