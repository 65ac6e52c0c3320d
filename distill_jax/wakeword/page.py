"""The page of a wake word that is made: what it can do, its files, its making."""

from pathlib import Path

import distill_jax
from distill_jax import report

FILE = "index.html"
# Beside it.
CURVES = "qat/report/rejections.png"
LISTENING, LEDGER, FILES = "qat/report/index.html", "qat/report/ledger.html", "files"


def write(plan, stages, record):
    """Writes WORKDIR/index.html.

    Args:
      plan: `plan.Plan`.
      stages: list of `stages.Stage`.
      record: {name of a stage: {"seconds", "figures"}}, all done.

    Returns:
      Path of the page.
    """
    figures_of = {name: each["figures"] for name, each in record.items()}
    sections = [
        _heard(plan, figures_of["listening"]),
        _files(plan, figures_of["files"]),
        _costs(figures_of["costs"]),
        _stages(stages, record),
    ]
    page = plan.workdir / FILE
    report.page(page, f"Wake word “{plan.text}”", sections)
    return page


def lines(plan, record):
    """The page in a few lines of text."""
    listening, files = (record[name]["figures"] for name in ("listening", "files"))
    yield f"“{plan.text}”: {files['weights']:,} weights. {_threshold(plan, listening)}"
    for name, each in listening["streaming"].items():
        yield f"{name:>7}: {_missed(each)} missed, {_false(each)}"
    if plan.data is None:
        yield _near(listening)
    for form, path in _paths(files).items():
        yield f"{plan.workdir / path}: {files['bytes'][form]:,} bytes"
    yield from files["checked"]
    seconds = sum(each["seconds"] for each in record.values())
    yield f"{_time(seconds)} in all. Look and listen: {plan.workdir / FILE}"


def _heard(plan, figures):
    rows = [
        [name, _missed(each), _false(each)]
        for name, each in figures["streaming"].items()
    ]
    said = (
        "The integer network over long sound that it was not trained with: how often "
        "the word is missed, and how often something else is taken for it. "
        f"{_threshold(plan, figures)}"
    )
    parts = [said, report.Table(["noise", "missed", "false accepts"], rows)]
    if plan.data is None:
        parts.append(
            f"{_near(figures)} All of it is synthetic speech, and people sound "
            "otherwise: these figures say that training worked, and not how well a "
            "person will be heard. Add recordings, if only a few, with --data."
        )
    if plan.makes_noise:
        parts.append(
            "The noise is made, too: coloured, in gusts, with hum and crackle. "
            "Recordings of where the device will be are better: --noise."
        )
    parts.append(report.Image(CURVES, "Words missed against false accepts per hour."))
    parts.append(report.Link(LISTENING, "Every threshold, every error to listen to"))
    return report.Section("Is the word heard, and nothing else?", parts)


def _near(figures):
    near = figures["near_misses"]
    return (
        f"Of {near['clips']} phrases a sound or two away from it, by voices not "
        f"trained with, {near['taken']} are taken for it; the long sound has none."
    )


def _threshold(plan, figures):
    heard = (
        f"{plan.per_hour:g} false accepts an hour in "
        f"{figures['validation_hours']:.2f} h of other sound"
    )
    if figures["threshold"] is None:
        return f"No threshold was found for at most {heard}: train for longer."
    return f"The threshold, {figures['threshold']:.4g}, is for at most {heard}."


def _files(plan, figures):
    rows = [
        [
            report.Link(path, path.name),
            figures["bytes"][form],
            figures["sha256"][form][:16],
        ]
        for form, path in _paths(figures).items()
    ]
    model = plan.workdir / _paths(figures)["tflite"]
    return report.Section(
        "Files",
        [
            f"{figures['weights']:,} weights of 8 bits. A manifest beside each file "
            "has the labels, the front end and the threshold.",
            report.Table(["file", "bytes", "SHA-256"], rows),
            *figures["checked"],
            f"Listen with it: distill-jax detect --microphone --model {model}",
        ],
    )


def _paths(figures):
    """{format: path of the file beside the page}."""
    return {form: Path(FILES) / name for form, name in figures["files"].items()}


def _costs(figures):
    table = report.Table(figures["header"], figures["rows"])
    link = report.Link(LEDGER, "The table by itself, with what it means")
    return report.Section("What 8 bits cost", [table, link])


def _stages(stages, record):
    rows = []
    for stage in stages:
        each = record[stage.name]
        link = report.Link(stage.page, "report") if stage.page else ""
        rows.append(
            [stage.title, _time(each["seconds"]), _right(each["figures"]), link]
        )
    total = sum(each["seconds"] for each in record.values())
    rows.append(["in all", _time(total), "", ""])
    header = ["stage", "time", "test clips right", "more"]
    text = f"Made by distill_jax {distill_jax.__version__}, seed and settings in "
    return report.Section(
        "How it came about",
        [report.Table(header, rows), f"{text}settings.json and the run folders."],
    )


def _right(figures):
    if "test" in figures:
        return f"{figures['test']['accuracy']:.1%}"
    if "right" in figures:
        return ", ".join(f"{name} {x:.1%}" for name, x in figures["right"].items())
    return ""


def _missed(each):
    low, high = each["missed_interval"]
    return (
        f"{each['missed']} of {each['words']}, {each['missed_share']:.1%} "
        f"({low:.1%} to {high:.1%})"
    )


def _false(each):
    low, high = each["false_accepts_per_hour_interval"]
    return (
        f"{each['false_accepts']} in {each['hours']:.2f} h, "
        f"{each['false_accepts_per_hour']:.2f} per hour ({low:.2f} to {high:.2f})"
    )


def _time(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds:02d} s"
