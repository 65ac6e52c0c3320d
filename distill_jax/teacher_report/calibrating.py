"""The temperature of a teacher and what it changes."""

from distill_jax import detection, report
from distill_jax.teacher_report.clips import NAMES
from distill_jax.teachers import calibration


def calibrate(job):
    """Chooses the temperature on the validation clips and keeps it with the run.

    Args:
      job: `Job`.

    Returns:
      What is written to `WORKDIR/calibration.json`: `temperature`, `step` and, of
      each split, `clips`, `nll` and `ece`, pairs of before and after.
    """
    valid = job.answers["valid"]
    temperature = calibration.fit(valid.logits_nc, valid.label_n)
    figures = {"temperature": temperature, "step": int(job.step)}
    for split, (logits_nc, label_n) in job.answers.items():
        measured = calibration.measure(logits_nc, label_n, temperature)
        figures[split] = {"clips": len(label_n), **measured}
    calibration.write(job.workdir, figures)
    return figures


def sureness(job, calibrated):
    """What the temperature does to the probabilities."""
    temperature, last = calibrated["temperature"], list(job.answers)[-1]
    answers = job.answers[last]
    kinds = {
        name: detection.reliability(
            calibration.probabilities(answers.logits_nc, each), answers.label_n
        )
        for name, each in (
            ("before", 1.0),
            (f"after, T = {temperature:.3g}", temperature),
        )
    }
    title = f"How sure the answers to {NAMES[last]} clips are"
    report.reliability(job.folder / "reliability.png", kinds, title)
    rows = [
        [NAMES[split], *calibrated[split]["nll"], *calibrated[split]["ece"]]
        for split in job.answers
    ]
    header = ["clips", "NLL before", "NLL after", "ECE before", "ECE after"]
    caption = (
        "Bars on the line: as often right as sure. Below it too sure, above it not "
        "sure enough. The lower row counts the clips, on a logarithmic axis."
    )
    parts = [
        f"Logits are divided by {temperature:.3g}, which makes the validation clips "
        "likeliest. NLL is in nats; ECE is the expected difference between confidence "
        "and accuracy, in 15 bins.",
        report.Table(header, rows),
        report.Image("reliability.png", caption),
    ]
    return {"calibration": calibrated}, report.Section("Calibration", parts)
