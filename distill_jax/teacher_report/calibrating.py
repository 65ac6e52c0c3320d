"""The temperature of a teacher and what it changes."""

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
