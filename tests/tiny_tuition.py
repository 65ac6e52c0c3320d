"""A student of two words with two tiny teachers, one of each kind."""

import tiny_teacher
import tiny_words

from distill_jax.teachers import calibration

KINDS = {"wav2vec2": 0.8, "wav2vec2_bert": 1.5}  # and their temperatures


def teachers(folder):
    """Runs of both kinds with random weights, calibrated; returns their folders."""
    found = []
    for kind, temperature in KINDS.items():
        run = tiny_teacher.untrained(folder, f"{kind},tiny").rename(folder / kind)
        calibration.write(run, {"temperature": temperature, "step": 2})
        found.append(str(run))
    return tuple(found)


def config(folder, found):
    """The tiny variant on `tiny_words`, taught by the runs of `teachers`."""
    values = tiny_words.config(folder, "dual,tiny")
    values.teachers, values.labels = found, ("high", "low")
    values.teacher_alignment_layers = ("0,last", "middle")
    values.distill.inner = 8
    return values
