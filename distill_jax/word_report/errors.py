"""Every false accept and every missed word, to listen to."""

import numpy as np

from distill_jax import detection, report
from distill_jax.audio import files
from distill_jax.data import scenes as data
from distill_jax.word_report.job import shown
from distill_jax.word_report.listening import threshold

# What is cut out: so long before a false accept and after it, and around a word.
BEFORE_SECONDS, AFTER_SECONDS, AROUND_SECONDS = 1.5, 0.3, 0.5


def to_hear(job, scenes, heard):
    """Writes the sounds at the threshold of `streams.operation`; tables of players."""
    chosen = threshold(heard, job.listening.per_hour)
    accepts, missed = [], []
    for old in (job.folder / "audio").glob("*.wav"):
        old.unlink()
    for snr_db, timeline in heard["test"].items():
        accepts += _accepts(job, (scenes[snr_db], timeline), chosen, snr_db)
        missed += _missed(job, (scenes[snr_db], timeline), chosen, snr_db)
    header = ["sound", "noise", "at, s", "highest score", "source", "who"]
    parts = [
        f"False accepts: {len(accepts)}, the surest first."
        + " Each ends shortly after the moment of the trigger." * bool(accepts),
        *([report.Table(header, _by_score(accepts)[::-1])] if accepts else []),
        f"Missed words: {len(missed)}, the least heard first.",
        *([report.Table(header, _by_score(missed))] if missed else []),
    ]
    return {}, report.Section("Listen to what went wrong", parts)


def _by_score(rows):
    return sorted(rows, key=lambda row: row[3])


def _accepts(job, seen, chosen, snr_db):
    scene, timeline = seen
    rate_hz, rows = scene.rate_hz, []
    gap = round(timeline.refractory_seconds * rate_hz)
    for number, at in enumerate(detection.false_accepts(timeline, chosen).tolist()):
        here_n = (timeline.at_n >= at) & (timeline.at_n < at + gap)
        start = at - round(BEFORE_SECONDS * rate_hz)
        span = start, at + round(AFTER_SECONDS * rate_hz)
        part = data.source_at(scene, at)
        score = timeline.score_n[here_n].max()
        player = _player(job, scene, span, f"accept_{_tag(snr_db)}_{number:03d}")
        rows.append(_row(player, snr_db, (at / rate_hz, score), part))
    return rows


def _missed(job, seen, chosen, snr_db):
    scene, timeline = seen
    around, rows = round(AROUND_SECONDS * scene.rate_hz), []
    words = [part for part in scene.parts if part.source == data.WORD]
    peak_k = detection.peaks(timeline)
    for number in np.flatnonzero(peak_k < chosen).tolist():
        start, end = scene.event_k2[number].tolist()
        span = start - around, end + around
        player = _player(job, scene, span, f"missed_{_tag(snr_db)}_{number:03d}")
        place = start / scene.rate_hz, peak_k[number]
        rows.append(_row(player, snr_db, place, words[number]))
    return rows


def _row(player, snr_db, place, part):
    at, score = place
    source = f"{part.source}: {part.name}"
    return [player, shown(snr_db), f"{at:.1f}", float(score), source, part.group]


def _tag(snr_db):
    return shown(snr_db).replace(" ", "").replace("-", "minus")


def _player(job, scene, span, name):
    start, end = max(0, span[0]), min(len(scene.audio_s), span[1])
    path = job.folder / "audio" / f"{name}.wav"
    settings = {"run": job.name, "first_sample": start, "last_sample": end}
    files.write(path, files.limit(scene.audio_s[start:end]), scene.rate_hz, settings)
    return report.Audio(path.relative_to(job.folder))
