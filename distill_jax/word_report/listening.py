"""Scenes with words, and what a network hears in them."""

import numpy as np

from distill_jax import detection, progress, streaming
from distill_jax.data import scenes
from distill_jax.word_report.job import scene, shown

# Marked on the curve and answered for, in false accepts per hour.
RATES = (0.1, 0.5, 1.0)


def scenes_of(job):
    """{"valid", "test": {level of noise: `Scene`}}.

    Raises:
      ValueError: a side holds no clip of the word, or nothing else.
    """
    sides = {"valid": job.valid, "test": job.test}
    empty = [name for name, side in sides.items() if not side.with_label(job.word)[0]]
    if empty:
        raise ValueError(
            f"no clip of {job.labels[job.word]!r} to {' and '.join(empty)} with; "
            "record some, or choose another word"
        )
    return {
        name: {snr_db: scene(job, side, snr_db) for snr_db in job.conditions}
        for name, side in sides.items()
    }


def timelines(job, found):
    """{"valid", "test": {level of noise: `Timeline`}} of the scenes of `scenes_of`."""
    step = streaming.steps(job.scorer, job.listening.step_seconds)
    made = {name: {} for name in found}
    todo = [(name, snr_db) for name in found for snr_db in found[name]]
    with progress.bar(todo, "listening", unit="scene") as bar:
        for name, snr_db in bar:
            bar.set_postfix_str(f"{name} {shown(snr_db)}")
            made[name][snr_db] = _timeline(job, found[name][snr_db], step)
    return made


def _timeline(job, heard_scene, step):
    score_n, at_n = streaming.scores(job.scorer, heard_scene.audio_s, step)
    return detection.Timeline(
        streaming.smooth(score_n, job.listening.smooth),
        at_n,
        heard_scene.event_k2,
        len(heard_scene.audio_s),
        job.scorer.rate_hz,
    )


def threshold(heard, per_hour):
    """The lowest with at most so many false accepts in all validation scenes."""
    return detection.threshold_at(_all(heard["valid"]), per_hour)


def _all(timeline_of):
    return detection.join(list(timeline_of.values()))


def hours(timeline_of):
    """How long the scenes are in which a false accept could happen."""
    return sum(map(detection.free_hours, timeline_of.values()))


def groups(heard_scene):
    """Who says the word, each time."""
    return [part.group for part in heard_scene.parts if part.source == scenes.WORD]


def outcome(heard_scene, timeline, threshold):
    """All numbers at one threshold.

    Args:
      heard_scene: a `Scene`.
      timeline: what was heard in it.
      threshold: of the smoothed score.

    Returns:
      A dictionary for `report.json`.
    """
    missed_k = detection.peaks(timeline) < threshold
    accepts = detection.false_accepts(timeline, threshold).tolist()
    free = detection.free_hours(timeline)
    heard_k, on_device = detection.on_device(timeline, threshold)
    missed, words = int(missed_k.sum()), len(missed_k)
    sources = [scenes.source_at(heard_scene, at).source for at in accepts]
    name, of_group, words_of_group, interval = detection.worst_group(
        missed_k, groups(heard_scene)
    )
    return {
        "words": words,
        "missed": missed,
        "missed_share": missed / words,
        "missed_interval": detection.wilson(missed, words),
        "hours": free,
        "false_accepts": len(accepts),
        "false_accepts_per_hour": len(accepts) / free,
        "false_accepts_per_hour_interval": [
            bound / free for bound in detection.poisson(len(accepts))
        ],
        "false_accepts_by_source": {each: sources.count(each) for each in set(sources)},
        "hours_by_source": scenes.hours(heard_scene),
        "latency_seconds": _latency(timeline, threshold),
        "worst_group": {
            "name": name,
            "missed": of_group,
            "words": words_of_group,
            "missed_interval": interval,
        },
        "on_device": {
            "missed": int(np.sum(~heard_k)),
            "false_accepts": on_device,
        },
    }


def _latency(timeline, threshold):
    late_k = detection.latencies(timeline, threshold)
    late_k = late_k[np.isfinite(late_k)]
    if not len(late_k):
        return {"median": np.nan, "percentile_95": np.nan, "words": 0}
    median, high = np.percentile(late_k, (50, 95)).tolist()
    return {"median": median, "percentile_95": high, "words": len(late_k)}


def outcome_line(each):
    """What `outcome` gave, as a line of text."""
    low, high = each["missed_interval"]
    least, most = each["false_accepts_per_hour_interval"]
    return (
        f"missed {each['missed']} of {each['words']}, {each['missed_share']:.1%} "
        f"({low:.1%} to {high:.1%}); {each['false_accepts']} false accepts in "
        f"{each['hours']:.2f} h, {each['false_accepts_per_hour']:.2f} per hour "
        f"({least:.2f} to {most:.2f})"
    )
