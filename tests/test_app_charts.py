"""Curves as SVG."""

import xml.etree.ElementTree as tree

import numpy as np

from distill_jax.app import charts


def polylines(svg):
    page = tree.fromstring(svg)
    lines = [each.attrib["points"] for each in page.iter("polyline")]
    return [
        np.array([list(map(float, pair.split(","))) for pair in points.split()])
        for points in lines
    ]


def test_a_chart_is_drawn_within_its_borders_and_is_whole_xml():
    curves = {"a < b": (np.arange(5), np.array([1, 4, np.nan, 2, 3])), "c": ([1], [2])}
    svg = charts.chart("loss & more", curves)
    (line_n2,) = polylines(svg)
    assert len(line_n2) == 4 and svg.count("<circle") == 1
    assert line_n2[:, 0].min() >= charts.LEFT and line_n2[:, 0].max() <= charts.WIDTH
    assert line_n2[:, 1].min() >= charts.TOP
    assert line_n2[:, 1].max() <= charts.HEIGHT - charts.BOTTOM
    # Up is more.
    assert line_n2[1, 1] < line_n2[2, 1]


def test_no_peak_is_lost_where_there_are_many_points():
    value_n = np.zeros(50_000)
    value_n[31_415] = 1.0
    (line_n2,) = polylines(charts.chart("x", {"a": (np.arange(50_000), value_n)}))
    assert len(line_n2) < 3 * charts.MOST_POINTS
    assert np.sum(line_n2[:, 1] < charts.HEIGHT / 2) == 1
    assert np.all(np.diff(line_n2[:, 0]) >= 0)


def test_axes_fit_the_values_with_round_ticks():
    axis = charts.fitted([np.array([0.0, 97.0])], "step")
    assert [text for _, text in axis.ticks] == ["0", "20", "40", "60", "80", "100"]
    assert (axis.low, axis.high) == (0.0, 100.0)
    assert charts.fitted([np.array([3.0])], "").high > 3.0
    assert charts.fitted([], "").ticks
    assert charts.fitted([np.array([1e-12, 1e-12])], "").high > 0


def test_nothing_to_draw_gives_nothing():
    assert charts.panels({}) == charts.panels({"loss": {}}) == ""
    assert "<svg" in charts.chart("x", {"a": ([], [])})


def test_tables_and_notes_are_text():
    page = charts.table(["<a>"], [["<b>", 1]], {"<b>": '/x"y'})
    assert "&lt;a&gt;" in page and '<a href="/x&quot;y"' in page
    assert charts.note("a\n<b>") == '<p class="note">a<br>&lt;b&gt;</p>'
