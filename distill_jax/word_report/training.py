"""How the network was trained, and what its teachers said."""

import numpy as np

from distill_jax import checkpoints, report

CURVES = {
    "loss": "loss",
    "accuracy": "right",
    "hard": "loss of the labels",
    "soft": "loss of the teachers' answers",
    "align": "distance of the layers",
    "agreement": "agrees with the teachers",
}
MOST_STEPS = 12  # columns of a histogram over time


def history(job, scenes, heard):
    """Curves of the run; with teachers, how they were weighed against each other."""
    del scenes, heard
    logged = report.curves(job.workdir)
    series = {title: report.sides(logged, name) for name, title in CURVES.items()}
    series = {title: curves for title, curves in series.items() if curves}
    if not series:
        return {}, report.Section("Training", ["Nothing was logged."])
    report.panels(job.folder / "training.png", series, "Training", "step")
    caption = f"What was logged while {job.workdir.resolve().name} was trained."
    parts = [report.Image("training.png", caption)]
    for path in checkpoints.read_config(job.workdir).get("teachers", ()):
        parts += _weights(job, path.rstrip("/").rpartition("/")[2], logged)
    spent = report.time(job.workdir)
    if spent:
        rows = [[name.replace("_", " "), share] for name, share in spent.items()]
        parts.append(report.Table(["", "share"], rows))
    return {"time": spent}, report.Section("Training", parts)


def _weights(job, name, logged):
    """How often a teacher had which weight, over the run."""
    steps, counts = report.histograms(job.workdir, f"weight_{name}")
    if not len(steps):
        return []
    chosen = np.unique(np.linspace(0, len(steps) - 1, MOST_STEPS).round().astype(int))
    share_bt = (counts / counts.sum(axis=1, keepdims=True))[chosen].T
    bins = len(share_bt)
    labels = [f"{bin / bins:.1f}–{(bin + 1) / bins:.1f}" for bin in range(bins)]
    file = f"weight_{name}.png"
    report.heat(
        job.folder / file,
        share_bt[::-1],
        labels[::-1],
        [str(steps[at]) for at in chosen],
        f"Weight of {name}",
    )
    _, mean_n = logged[f"train/weight_{name}"]
    caption = (
        f"Share of the examples of a step (columns) that gave teacher {name} which "
        f"weight (rows); over the run its mean is {np.nanmean(mean_n):.2f}. All at "
        "both ends: teachers are chosen and not weighed; raise distill.tau."
    )
    return [report.Image(file, caption)]
