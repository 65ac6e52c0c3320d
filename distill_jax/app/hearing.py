"""Listening with a run or an exported file, and what thresholds would do."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from distill_jax import export, exported, word_report
from distill_jax.app import charts, places, runs
from distill_jax.audio import files

# Scores are shown as log-odds: sure ones differ there.
LOWEST, HIGHEST = -8.0, 12.0
TICKS = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)
TASKS = ("distill", "qat")
FORMATS = (".tflite", ".onnx", ".npz")
SCENES_HEADER = ("noise", "words missed", "false accepts per hour")


class Judged(NamedTuple):
    """What `evaluate` found out about a run.

    Attributes:
      folder: of its report.
      figures: its `report.json`.
    """

    folder: Path
    figures: dict[str, Any]


def choices(root):
    """Runs and exported files that can listen, as names in the root."""
    written = [
        f"{name}/{path.name}"
        for name in places.folders(root, lambda folder: True)
        for path in sorted(places.inside(root, name).iterdir())
        if path.suffix in FORMATS and export.manifest_path(path).is_file()
    ]
    return [*runs.trained(root, *TASKS), *written]


def partner(root, name):
    """The integers beside floats, or the floats beside integers; None if neither.

    A wake word keeps them in student, qat and files; a run keeps its files in export.
    """
    path = places.inside(root, name)
    folder = path.parent if path.suffix in FORMATS else path
    if path.suffix in FORMATS:
        others = [folder.parent / "student", folder.parent]
    else:
        others = [folder / "export", folder.parent / "files"]
        others = [each / f"student{form}" for each in others for form in FORMATS]
    there = choices(root)
    shown = [places.shown(root, each) for each in others if each.exists()]
    return next((each for each in shown if each in there and each != name), None)


def judged(root, name):
    """The `Judged` of a run, or of the run that a file was made of; None if nobody is.

    A file of a wake word was judged as the run in `qat`, whose integers it has.
    """
    path = places.inside(root, name)
    folder = path.parent if path.suffix in FORMATS else path
    places_of = [folder / "report"]
    if path.suffix in FORMATS:
        places_of.insert(0, exported.report_folder(path))
        places_of += [folder.parent / "report", folder.parent / "qat" / "report"]
    for each in places_of:
        file = each / word_report.FILE
        if file.is_file():
            figures = json.loads(file.read_text("utf-8"))
            if "curves" in figures:
                return Judged(each, figures)
    return None


def at_threshold(figures, threshold):
    """What a threshold does on the test recordings.

    Args:
      figures: `report.json` of `evaluate`.
      threshold: lowest score that triggers.

    Returns:
      Rows with `SCENES_HEADER`. Misses are exact; the curve has false accepts at the
      scores of words only, so that between two of them a range is given.
    """
    return [[name, *_at(curve, threshold)] for name, curve in figures["curves"].items()]


def _at(curve, threshold):
    threshold_n = np.array(
        [np.inf if each is None else each for each in curve["threshold_n"]]
    )
    # Falling: the last that is not below.
    place = int(np.sum(threshold_n >= threshold)) - 1
    exact = threshold_n[place] == threshold or place + 1 == len(threshold_n)
    least = curve["accepts_n"][place] / curve["hours"]
    most = curve["accepts_n"][place + (not exact)] / curve["hours"]
    text = f"{least:.2f}" if least == most else f"{least:.2f} to {most:.2f}"
    if place + 1 == len(threshold_n) and threshold < threshold_n[-1]:
        text = f"{least:.2f} or more"
    return f"{curve['rejected_n'][place]:.1%}", text


def errors(root, found):
    """What went wrong at the threshold of `evaluate`, each to be played.

    Args:
      root: work directory.
      found: `Judged`.

    Returns:
      List of (kind, noise, seconds into the scene, name of the sound in the root).
    """
    rows = []
    for path in sorted((found.folder / "audio").glob("*.wav")):
        kind, noise, _ = path.stem.split("_")
        settings = files.read_settings(path)
        rate_hz = files.promised(path)[1]
        rows.append(
            (
                {"accept": "false accept", "missed": "missed word"}[kind],
                noise.replace("minus", "-").replace("dB", " dB"),
                settings["first_sample"] / rate_hz,
                places.shown(root, path),
            )
        )
    return rows


def timeline(all_heard, threshold):
    """A chart of scores with the threshold, SVG."""
    curves = {each.name: (each.at_n, odds(each.score_n)) for each in all_heard}
    ticks = tuple((float(odds(share)), f"{share:g}") for share in TICKS)
    longest = [each.at_n for each in all_heard]
    axes = (
        charts.fitted([np.zeros(1), *longest], "seconds"),
        charts.Axis(LOWEST, HIGHEST, ticks),
    )
    title = f"score of “{all_heard[0].word}”"
    return charts.chart(title, curves, axes, (float(odds(threshold)),), 660)


def odds(share):
    """Log-odds within what is shown."""
    share = np.clip(np.asarray(share, float), 1e-9, 1 - 1e-9)
    return np.clip(np.log(share / (1 - share)), LOWEST, HIGHEST)


def share(odds):
    """The score of log-odds."""
    return float(1 / (1 + np.exp(-odds)))
