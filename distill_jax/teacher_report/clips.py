"""How often a teacher is right, and what it takes for what."""

import numpy as np

from distill_jax import detection, report

NAMES = {"valid": "validation", "test": "test"}


def accuracy(job, calibrated):
    """Accuracy of every split, and the confusion of the last."""
    del calibrated
    labels = tuple(job.config.labels)
    figures = {split: _numbers(each, labels) for split, each in job.answers.items()}
    rows = [
        [NAMES[split], each["clips"], each["right"], _cell(each)]
        for split, each in figures.items()
    ]
    last = list(figures)[-1]
    report.confusion(job.folder / "confusion.png", figures[last]["confusion"], labels)
    caption = (
        f"Rows are what is said in the {NAMES[last]} clips, with their number; "
        "columns the answer."
    )
    parts = [
        f"Clips as they are, told apart as {', '.join(labels)}; accuracy with its 95 % "
        "interval (Wilson). The temperature changes no answer.",
        report.Table(["clips", "number", "right", "accuracy"], rows),
        report.Image("confusion.png", caption),
    ]
    return {"accuracy": figures}, report.Section("Right answers", parts)


def _numbers(answers, labels):
    said_n = answers.logits_nc.argmax(axis=1)
    right = int(np.sum(said_n == answers.label_n))
    return {
        "clips": len(said_n),
        "right": right,
        "accuracy": right / len(said_n),
        "interval": detection.wilson(right, len(said_n)),
        "confusion": detection.confusion(answers.label_n, said_n, len(labels)),
    }


def _cell(each):
    low, high = each["interval"]
    return f"{each['accuracy']:.1%} ({low:.1%} to {high:.1%})"
