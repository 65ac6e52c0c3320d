"""The runs in the work directory: what they are, how far, and their curves."""

from typing import NamedTuple

import numpy as np

from distill_jax import integrity, report, wakeword, workdir
from distill_jax.app import places, planning
from distill_jax.wakeword import stages

WORD = "wake word"
# What is drawn of a run, where it was logged.
CURVES = {
    "loss": "loss",
    "accuracy": "accuracy",
    "magnitude": "magnitude",
    "soft": "loss of the teachers' answers",
    "agreement": "agrees with the teachers",
}
HEADER = ("run", "task", "step or part", "of", "best held-out loss")


class Run(NamedTuple):
    """A folder of the work directory with something that was trained.

    Attributes:
      name: of the folder, as `places.shown` gives it.
      task: such as "vae", or "wake word".
      step: newest that was logged or saved; of a wake word, stages that are done.
      steps: how many there will be; None if that is not known.
      best: smallest held-out loss, None where none was measured.
      page: its report, as `name` is given; "" where there is none.
    """

    name: str
    task: str
    step: int
    steps: int | None
    best: float | None
    page: str


def found(root):
    """All runs in the root, by name."""
    names = places.folders(root, lambda folder: is_run(folder) or _is_word(folder))
    return [look(root, name) for name in names]


def is_run(folder):
    """Whether a folder is that of a training run."""
    return (folder / "config.json").is_file() and bool(_config(folder).get("task"))


def trained(root, *tasks):
    """Names of runs of these tasks that have a checkpoint."""

    def wanted(folder):
        good = is_run(folder) and _config(folder)["task"] in tasks
        return good and bool(integrity.steps(folder / "checkpoints"))

    return places.folders(root, wanted)


def look(root, name):
    """The `Run` of that name."""
    folder = places.inside(root, name)
    if _is_word(folder):
        done = sum("figures" in each for each in wakeword.read(folder).values())
        count = len(stages.of(planning.read(root, name)))
        page = f"{name}/index.html" * (folder / "index.html").is_file()
        return Run(name, WORD, done, count, None, page)
    config, logged = _config(folder), report.curves(folder)
    steps = [int(step_n[-1]) for step_n, _ in logged.values()]
    loss_n = logged.get("valid/loss", (None, np.zeros(0)))[1]
    loss_n = loss_n[np.isfinite(loss_n)]
    page = f"{name}/report/index.html"
    return Run(
        name,
        config["task"],
        max([*steps, *integrity.steps(folder / "checkpoints")], default=0),
        config.get("steps"),
        float(loss_n.min()) if loss_n.size else None,
        page if (folder / "report" / "index.html").is_file() else "",
    )


def rows(runs):
    """Cells of the table with `HEADER`."""
    return [
        [
            each.name,
            each.task,
            each.step,
            "–" if each.steps is None else each.steps,
            "–" if each.best is None else f"{each.best:.4g}",
        ]
        for each in runs
    ]


def curves(root, names):
    """{title: {curve: (step_n, value_n)}} of runs, side by side; of all that is drawn.

    Args:
      root: work directory.
      names: of runs.
    """
    panels = {}
    for name in names:
        logged = report.curves(places.inside(root, name))
        for value, title in CURVES.items():
            for side, curve in report.sides(logged, value).items():
                label = f"{name}, {side}" if len(names) > 1 else side
                panels.setdefault(title, {})[label] = curve
    return panels


def of_word(plan):
    """The same of all runs of a wake word that have begun."""
    panels = {}
    for run, folder in planning.plans.runs(plan).items():
        logged = report.curves(folder)
        for value in ("loss", "accuracy"):
            sides = report.sides(logged, value)
            if sides:
                panels[f"{run}: {CURVES[value]}"] = sides
    return panels


def _is_word(folder):
    return planning.is_word(folder)


def _config(folder):
    try:
        config = workdir.read_config(folder)
    except ValueError:
        return {}
    return config if isinstance(config, dict) else {}
