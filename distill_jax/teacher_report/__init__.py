"""How well a teacher tells words apart and how sure it may be, as a page to look at."""

from distill_jax import report
from distill_jax.teacher_report import calibrating, clips, history
from distill_jax.teacher_report.job import Answers, Job, load

CHAPTERS = (clips.accuracy, calibrating.sureness, history.training)

__all__ = ["Answers", "Job", "load", "write"]


def write(workdir):
    """Calibrates a trained teacher and writes `WORKDIR/report`.

    Prints how often it is right, what the temperature changes, and where the page is.

    Args:
      workdir: the folder of a run that has a checkpoint.

    Returns:
      The figures of `report.json`: `accuracy`, `calibration`, which is also what
      `WORKDIR/calibration.json` holds, and `run`.

    Raises:
      FileNotFoundError: there is no run in the folder, or its recordings are gone.
      ValueError: the recordings are not those of the run.
    """
    job = load(workdir)
    job.folder.mkdir(exist_ok=True)
    calibrated = calibrating.calibrate(job)
    done = [chapter(job, calibrated) for chapter in CHAPTERS]
    figures = {name: value for part, _ in done for name, value in part.items()}
    report.figures(job.folder / "report.json", figures)
    title = f"Teacher: {job.workdir.resolve().name}"
    page = job.folder / "index.html"
    report.page(page, title, [section for _, section in done])
    print("\n".join(_said(figures)))
    print(f"Look: {page}")
    return figures


def _said(figures):
    calibrated = figures["calibration"]
    yield f"temperature {calibrated['temperature']:.3g}"
    for split, each in figures["accuracy"].items():
        before, after = calibrated[split]["ece"]
        yield (
            f"{clips.NAMES[split]}: {each['right']} of {each['clips']} right "
            f"({each['accuracy']:.1%}), ECE {before:.3f} before, {after:.3f} after"
        )
