import json
import subprocess
import sys
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from distill_jax import metrics, report
from distill_jax.report import plots

STEP_N = np.arange(1, 51)
SCALE = report.Scale("Level", np.geomspace(100, 20_000, 32), 0.01, "dB")


def pixels(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"), float) / 255


def drawn_in(picture_yxc, colour):
    """Rows and columns of the pixels that have a colour."""
    return np.nonzero(np.abs(picture_yxc - np.array(to_rgb(colour))).max(axis=2) < 0.02)


DRAW = {
    "lines": lambda path: report.lines(
        path,
        {"a": (STEP_N, 1 / STEP_N), "b": (STEP_N, 2 / STEP_N)},
        "Loss",
        "step",
        "y",
    ),
    "panels": lambda path: report.panels(
        path, {name: {"a": (STEP_N, STEP_N)} for name in "pqrst"}, "Five", "step"
    ),
    "bars": lambda path: report.bars(path, [1, 2, 3], ["a", "b", "c"], "Bars", "m"),
    "heat": lambda path: report.heat(
        path, [[1, -1], [np.nan, 0.5]], "ab", "cd", "Heat"
    ),
    "scatter": lambda path: report.scatter(
        path, np.random.default_rng(0).normal(size=(40, 2)), ["x", "y"] * 20, "Points"
    ),
    "spectrograms": lambda path: report.spectrograms(
        path,
        [[np.random.default_rng(0).uniform(size=(32, 20))] * 2] * 3,
        ["a", "b"],
        ["1", "2", "3"],
        SCALE,
    ),
}


@pytest.mark.parametrize("kind", DRAW)
def test_plot_is_a_large_enough_picture_that_is_not_blank(kind, tmp_path):
    DRAW[kind](tmp_path / "plot.png")
    picture_yxc = pixels(tmp_path / "plot.png")
    assert min(picture_yxc.shape[:2]) >= 200 and max(picture_yxc.shape[:2]) <= 2000
    assert picture_yxc.std() > 0.05
    assert len(np.unique(picture_yxc.reshape(-1, 3), axis=0)) > 30
    # Nothing runs into the edge, where it would be cut off.
    border = np.concatenate(
        [picture_yxc[[0, -1]].ravel(), picture_yxc[:, [0, -1]].ravel()]
    )
    assert np.all(border == 1.0)


@pytest.mark.parametrize("kind", DRAW)
def test_equal_plots_are_equal_files(kind, tmp_path):
    DRAW[kind](tmp_path / "a.png")
    DRAW[kind](tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_lines_rise_with_their_values(tmp_path):
    series = {"up": (STEP_N, STEP_N), "down": (STEP_N, 51 - STEP_N)}
    report.lines(tmp_path / "plot.png", series, "", "step", "y")
    picture_yxc = pixels(tmp_path / "plot.png")
    for colour, direction in zip(plots.COLOURS, (-1, 1), strict=False):
        row_n, column_n = drawn_in(picture_yxc, colour)
        slope = np.polyfit(column_n, row_n, 1)[0]
        assert direction * slope > 0  # rows count from the top


def test_lines_with_a_wide_range_are_logarithmic(tmp_path):
    series = {"decay": (STEP_N, 10.0 ** (-STEP_N / 10))}
    report.lines(tmp_path / "plot.png", series, "", "step", "y")
    row_n, column_n = drawn_in(pixels(tmp_path / "plot.png"), plots.COLOURS[0])
    legend_n = column_n > np.quantile(column_n, 0.5)
    straight = np.corrcoef(column_n[~legend_n], row_n[~legend_n])[0, 1]
    assert straight > 0.99  # a straight line; on a linear axis it would be bent


def test_lines_leave_a_gap_where_a_value_is_not_finite(tmp_path):
    value_n = np.where(np.abs(STEP_N - 25) < 10, np.nan, 1.0 + STEP_N / 50)
    report.lines(tmp_path / "plot.png", {"a": (STEP_N, value_n)}, "", "step", "y")
    _, column_n = drawn_in(pixels(tmp_path / "plot.png"), plots.COLOURS[0])
    assert np.diff(np.unique(column_n)).max() > 100


def test_bars_are_as_high_as_their_values(tmp_path):
    report.bars(tmp_path / "plot.png", [1, 2, 4], ["a", "b", "c"], "", "y")
    row_n, column_n = drawn_in(pixels(tmp_path / "plot.png"), plots.COLOURS[0])
    columns = np.unique(column_n)
    bars = np.split(columns, np.flatnonzero(np.diff(columns) > 5) + 1)
    height_n = [np.ptp(row_n[column_n == bar[len(bar) // 3]]) for bar in bars]
    np.testing.assert_allclose(np.divide(height_n, height_n[0]), [1, 2, 4], rtol=0.03)


def test_heat_of_one_sign_starts_at_zero_and_of_two_is_even_around_it():
    positive, limits = plots._colours(plots._extremes([np.array([[1.0, 4.0]])]))
    assert limits == (0, 4) and positive.name == plots.POSITIVE
    signed, limits = plots._colours(plots._extremes([np.array([[-1.0, 4.0, np.nan]])]))
    assert limits == (-4, 4) and signed.name == plots.SIGNED


def test_spectrogram_has_low_bands_at_the_bottom_and_late_frames_at_the_right(tmp_path):
    picture_ft = np.full((32, 40), np.nan)
    picture_ft[:4, 30:] = -40.0  # low and late
    scale = SCALE._replace(limits=(-80.0, 0.0))
    report.spectrograms(tmp_path / "plot.png", [[picture_ft]], [""], [""], scale)
    picture_yxc = pixels(tmp_path / "plot.png")
    colour = matplotlib.colormaps[plots.POSITIVE](0.5)[:3]
    _, blank_column_n = drawn_in(picture_yxc, plots.UNKNOWN)
    # The axes are grey from end to end; text is not, the colour bar lies beyond.
    column, counts = np.unique(blank_column_n, return_counts=True)
    tall = column[counts > 150]
    pieces = np.split(tall, np.flatnonzero(np.diff(tall) > 1) + 1)
    left, right = max(pieces, key=len)[[0, -1]]
    row_n, column_n = drawn_in(picture_yxc[:, left : right + 1], colour)
    bottom = np.flatnonzero(np.all(picture_yxc[:, left + 20] < 0.3, axis=1))[-1]
    height = np.ptp(row_n) / counts.max()
    assert 0.1 < height < 0.15 and bottom - 4 <= row_n.max() <= bottom
    assert column_n.min() / (right - left) == pytest.approx(0.75, abs=0.02)


def test_spectrograms_share_one_colour_scale(tmp_path):
    rows = [[np.full((32, 20), 1.0), np.full((32, 20), 0.5)]]
    report.spectrograms(tmp_path / "plot.png", rows, ["", ""], [""], SCALE)
    picture_yxc = pixels(tmp_path / "plot.png")
    for share in (1.0, 0.5):
        colour = matplotlib.colormaps[plots.POSITIVE](share)[:3]
        assert len(drawn_in(picture_yxc, colour)[0]) > 5000


def test_plots_leave_a_notebooks_backend_and_style_alone(tmp_path):
    code = f"""
import sys
import matplotlib
matplotlib.use("svg")
matplotlib.rcParams["axes.grid.axis"] = "x"
before = dict(matplotlib.rcParams)
from distill_jax import report
report.bars({str(tmp_path / "plot.png")!r}, [1, 2], "ab", "", "")
assert "matplotlib.pyplot" not in sys.modules
assert matplotlib.get_backend() == "svg", matplotlib.get_backend()
assert dict(matplotlib.rcParams) == before
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "plot.png").is_file()


def test_curves_are_what_was_logged(tmp_path):
    with metrics.Writer(tmp_path) as writer:
        writer.write(1, {"loss": 3.0})
        writer.write(2, {"loss": float("nan"), "valid/loss": 4.0})
        writer.write(3, {"loss": 1.0})
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 4, "spl')  # what a killed process leaves
    curves = report.curves(tmp_path)
    np.testing.assert_array_equal(curves["train/loss"], [[1, 2, 3], [3, np.nan, 1]])
    np.testing.assert_array_equal(curves["valid/loss"], [[2], [4]])


def test_curves_of_a_run_that_logged_nothing_are_none(tmp_path):
    assert report.curves(tmp_path) == {}


def test_figures_are_json_without_nan(tmp_path):
    values = {
        "nan": float("nan"),
        "array": np.array([[1.5, np.inf], [2.0, -np.inf]]),
        "scalar": np.float32(0.5),
        "integer": np.int64(7),
        "flag": np.bool_(True),
        "nested": [{"a": (1, np.nan)}, "text", None],
    }
    report.figures(tmp_path / "figures.json", values)

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    found = json.loads((tmp_path / "figures.json").read_text(), parse_constant=refuse)
    assert found == {
        "nan": None,
        "array": [[1.5, None], [2.0, None]],
        "scalar": 0.5,
        "integer": 7,
        "flag": True,
        "nested": [{"a": [1, None]}, "text", None],
    }
    assert [path.name for path in tmp_path.iterdir()] == ["figures.json"]


class Reader(HTMLParser):
    """Collects the text and the links, and checks that tags are balanced."""

    EMPTY = frozenset(("meta", "img"))

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.texts = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag not in self.EMPTY:
            self.open.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_page_escapes_text_and_shows_it_as_it_was(tmp_path):
    nasty = '<script>alert("x")</script> & Ü'
    table = report.Table([nasty], [[nasty], [3], [0.123456]])
    sections = [report.Section(nasty, [nasty, table])]
    report.page(tmp_path / "index.html", nasty, sections)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<script" not in text
    reader = Reader(text)
    assert reader.texts.count(nasty) == 6
    assert "3" in reader.texts and "0.123" in reader.texts
    assert not reader.links


def test_page_links_are_relative_and_lead_to_the_files(tmp_path):
    (tmp_path / "my sounds").mkdir()
    for name in ("my sounds/a#1?.wav", "b.png"):
        (tmp_path / name).write_bytes(b"x")
    parts = [
        report.Image(tmp_path / "b.png", "a <caption>"),
        report.Table([""], [[report.Audio("my sounds/a#1?.wav")]]),
    ]
    report.page(tmp_path / "index.html", "Page", [report.Section("", parts)])
    reader = Reader((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert reader.links == ["b.png", "my%20sounds/a%231%3F.wav"]


def test_page_names_every_missing_file(tmp_path):
    parts = [report.Image("a.png"), report.Table([""], [[report.Audio("b.wav")]])]
    with pytest.raises(FileNotFoundError, match=r"a\.png, b\.wav"):
        report.page(tmp_path / "index.html", "", [report.Section("", parts)])
    assert not (tmp_path / "index.html").exists()


def test_page_refuses_what_it_cannot_show(tmp_path):
    with pytest.raises(TypeError, match="expected text, Table, Image, Audio or Link"):
        report.page(tmp_path / "index.html", "", [report.Section("", [3.5])])


def test_tracks_show_each_value_in_its_place(tmp_path):
    path, picture_ft = tmp_path / "tracks.png", np.zeros((4, 6))
    picture_ft[0, 0] = 1.0
    row = report.Track(picture_ft, 1.0, "unit", (0.0, 1.0))
    report.tracks(path, {"row": row}, "title")
    light_yx = pixels(path).sum(axis=2)
    height, width = light_yx.shape
    # Inside of the axes the zeros are black; the one is at the bottom on the left.
    y, x = int(0.75 * height), int(0.12 * width)
    assert light_yx[y, x] > 2 and light_yx[y, width // 2] < 0.1
