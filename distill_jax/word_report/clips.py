"""How often single clips are told apart, at every level of every noise."""

import numpy as np

from distill_jax import detection, progress, report
from distill_jax.audio import augment
from distill_jax.word_report.job import CLEAN, shown


def accuracy(job, scenes, heard):
    """Accuracy, confusion and calibration of the test clips."""
    del scenes, heard
    scored = probabilities(job)
    figures = {key: _numbers(job, p_nc) for key, p_nc in scored.items()}
    noises = list(job.test.noises) if len(job.conditions) > 1 else []
    rows = [
        [
            noise or "no noise",
            *(
                _cell(figures[key]) if key in figures else ""
                for key in ((noise, snr_db) for snr_db in job.conditions)
            ),
        ]
        for noise in ["", *noises]
    ]
    clean = figures["", CLEAN]
    parts = [
        f"{len(job.test.label_n)} test clips, told apart as "
        f"{', '.join(job.labels)}; accuracy with its 95 % interval (Wilson).",
        report.Table(["noise", *map(shown, job.conditions)], rows),
        *_confusion(job, clean),
        f"Calibration error {clean['calibration_error']:.3f}: how far the probability "
        "of the answer is from how often it is right, without noise, in 15 bins.",
        *_det(job, scored),
    ]
    plain = {
        f"{noise or 'no noise'}, {shown(snr_db)}": each
        for (noise, snr_db), each in figures.items()
    }
    return {"clips": plain}, report.Section("Single clips", parts)


def probabilities(job):
    """{(name of the noise, level): probability_nc} of the test clips; "" is none."""
    audio_ns = job.test.audio_ns
    rng = np.random.default_rng(job.listening.seed)
    levels = [snr_db for snr_db in job.conditions if snr_db != CLEAN]
    todo = [(name, snr_db) for name in job.test.noises for snr_db in levels]
    found = {("", CLEAN): job.classify(audio_ns)}
    with progress.bar(todo, "clips in noise", unit="level") as bar:
        for name, snr_db in bar:
            noise_ns = _cut(job.test.noises[name], audio_ns.shape, rng)
            snr_db_n = np.full(len(audio_ns), snr_db, np.float32)
            mixed_ns = augment.mix_at_snr(audio_ns, noise_ns, snr_db_n)
            found[name, snr_db] = job.classify(np.asarray(mixed_ns))
    return found


def _cut(noise_s, shape, rng):
    """Stretches of noise from random places, [clips, samples]."""
    clips, samples = shape
    if len(noise_s) < samples:
        noise_s = np.resize(noise_s, samples)
    first_n = rng.integers(0, len(noise_s) - samples + 1, clips)
    return np.stack([noise_s[first : first + samples] for first in first_n])


def _numbers(job, probability_nc):
    label_n, said_n = job.test.label_n, probability_nc.argmax(axis=1)
    right = int(np.sum(said_n == label_n))
    return {
        "clips": len(label_n),
        "right": right,
        "accuracy": right / len(label_n),
        "interval": detection.wilson(right, len(label_n)),
        "calibration_error": detection.calibration_error(probability_nc, label_n),
        "confusion": detection.confusion(label_n, said_n, len(job.labels)),
    }


def _cell(each):
    low, high = each["interval"]
    return f"{each['accuracy']:.1%} ({low:.1%} to {high:.1%})"


def _confusion(job, clean):
    report.confusion(job.folder / "confusion.png", clean["confusion"], job.labels)
    caption = "Rows are what is said, with the number of clips; columns the answer."
    return [report.Image("confusion.png", caption)]


def _det(job, scored):
    """Word against everything else, the noises of a level together."""
    positive_n = job.test.label_n == job.word
    if positive_n.all():
        return ["There is no clip without the word, so that there is no DET curve."]
    curves = {}
    for level in job.conditions:
        parts = [
            p_nc[:, job.word] for (_, snr_db), p_nc in scored.items() if snr_db == level
        ]
        points = detection.det(np.concatenate(parts), np.tile(positive_n, len(parts)))
        curves[shown(level)] = points[1:]
    title = f"{job.labels[job.word]!r} against all else, clip by clip"
    report.det(job.folder / "det.png", curves, title, detection.probit)
    caption = "On these axes normally distributed scores give straight lines."
    return [report.Image("det.png", caption)]
