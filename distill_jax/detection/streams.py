"""False rejects and false accepts of a stream, over every threshold.

The protocol for streams is that of MLPerf Tiny's streaming wake word: a word is
heard if the score reaches the threshold between its start and one second after its
end, and nothing in that time is a false accept; elsewhere every second in which the
score reaches the threshold counts as one. Here the second after a word ends early
where the next word starts, so that one trigger never answers for two words.

Source: mlcommons/tiny, `streaming_wakeword/str_ww_util.py`,
`get_true_and_false_detections`, with one second for both of its delays.
"""

from bisect import bisect_left
from typing import NamedTuple

import numpy as np


class Timeline(NamedTuple):
    """The scores of a stream, and where its words are.

    Attributes:
      score_n: after smoothing, [scores].
      at_n: how many samples had been heard when each was known, rising.
      event_k2: first sample and end of every word, in order of their starts.
      samples: length of the stream.
      rate_hz: samples per second.
      tail_seconds: how long after its end a word may still be heard.
      refractory_seconds: within this time after a false accept there is no other.
    """

    score_n: np.ndarray
    at_n: np.ndarray
    event_k2: np.ndarray
    samples: int
    rate_hz: int
    tail_seconds: float = 1.0
    refractory_seconds: float = 1.0


class Curve(NamedTuple):
    """False rejects against false accepts, from no trigger at all to every word.

    Attributes:
      threshold_n: falling, the first infinite.
      rejected_n: share of the words that are missed.
      accepts_n: number of false accepts.
      hours: of the stream that are not within reach of a word.
    """

    threshold_n: np.ndarray
    rejected_n: np.ndarray
    accepts_n: np.ndarray
    hours: float


def join(timelines):
    """Several streams one after the other as one `Timeline`, for counts over all."""
    offset_n = np.cumsum([0] + [each.samples for each in timelines])
    moved = list(zip(timelines, offset_n.tolist(), strict=False))
    return timelines[0]._replace(
        score_n=np.concatenate([each.score_n for each in timelines]),
        at_n=np.concatenate([each.at_n + offset for each, offset in moved]),
        event_k2=np.concatenate([each.event_k2 + offset for each, offset in moved]),
        samples=int(offset_n[-1]),
    )


def reach(timeline):
    """When each word may be heard: first sample and end, [events, 2].

    It begins with the word and ends `tail_seconds` after it, where the next word
    starts, or with the stream, whatever comes first.
    """
    start_k, end_k = np.asarray(timeline.event_k2, int).reshape(-1, 2).T
    tail = round(timeline.tail_seconds * timeline.rate_hz)
    next_k = np.append(start_k[1:], timeline.samples)
    return np.stack([start_k, np.minimum(end_k + tail, next_k)], axis=1)


def free_hours(timeline):
    """Length of what is not within reach of a word: where accepts are false."""
    start_k, end_k = reach(timeline).T
    taken = int((end_k - start_k).sum())
    return (timeline.samples - taken) / timeline.rate_hz / 3600


def _spans(timeline):
    """First score and end of the scores within reach of each word."""
    return np.searchsorted(timeline.at_n, reach(timeline))


def peaks(timeline):
    """Highest score within reach of each word; -inf where there is none."""
    return np.array(
        [
            timeline.score_n[first:end].max(initial=-np.inf)
            for first, end in _spans(timeline)
        ]
    )


def spaced(at_n, gap):
    """The first of rising times, and each next one at least `gap` after the last."""
    at_n, kept, place = np.asarray(at_n).tolist(), [], 0
    while place < len(at_n):
        kept.append(at_n[place])
        place = bisect_left(at_n, at_n[place] + gap, place + 1)
    return np.array(kept, int)


class _Free(NamedTuple):
    """The scores where no word is within reach, and the samples of the gap."""

    score_n: np.ndarray
    at_n: np.ndarray
    gap: int

    def accepts(self, threshold):
        return spaced(self.at_n[self.score_n >= threshold], self.gap)


def _free(timeline):
    free_n = np.ones(len(timeline.score_n), bool)
    for first, end in _spans(timeline):
        free_n[first:end] = False
    gap = round(timeline.refractory_seconds * timeline.rate_hz)
    return _Free(timeline.score_n[free_n], timeline.at_n[free_n], gap)


def false_accepts(timeline, threshold):
    """When there is a false accept, in samples, rising.

    No choice of moments that far apart has more of them than this, so a lower
    threshold never has fewer.
    """
    return _free(timeline).accepts(threshold)


def on_device(timeline, threshold):
    """What a device does that is deaf for a while after each trigger, right or wrong.

    There a false accept just before a word can hide it, and the order of events
    decides; the curve leaves that out, as the protocol does.

    Returns:
      heard_k, whether each word was, and the number of false accepts.
    """
    gap = round(timeline.refractory_seconds * timeline.rate_hz)
    trigger_n = spaced(timeline.at_n[timeline.score_n >= threshold], gap)
    first_k, end_k = np.searchsorted(trigger_n, reach(timeline)).T
    return end_k > first_k, len(trigger_n) - int((end_k - first_k).sum())


def curve(timeline):
    """Weighs false rejects against false accepts over every threshold there is.

    Between the highest scores of two words a lower threshold only adds false
    accepts, so that the thresholds of these scores, with an infinite one, are all
    that any other in the stream can be better than none of.

    Args:
      timeline: a `Timeline` with a word at least.

    Returns:
      A `Curve`.

    Raises:
      ValueError: there is no word in the stream.
    """
    peak_k = np.sort(peaks(timeline))
    if not len(peak_k):
        raise ValueError("the stream holds no word; false rejects need some")
    heard_k = np.unique(peak_k[np.isfinite(peak_k)])
    threshold_n = np.append(np.inf, heard_k[::-1])
    free = _free(timeline)
    accepts_n = np.array([len(free.accepts(threshold)) for threshold in threshold_n])
    rejected_n = np.searchsorted(peak_k, threshold_n) / len(peak_k)
    return Curve(threshold_n, rejected_n, accepts_n, free_hours(timeline))


def rejected_at(curve, per_hour):
    """Least share of words missed with at most so many false accepts per hour."""
    return float(curve.rejected_n[curve.accepts_n <= per_hour * curve.hours].min())


def resolves(hours, per_hour):
    """Whether a stream is long enough for one false accept at that rate."""
    return hours * per_hour >= 1


def area(curve, per_hour=2.0):
    """Mean share of words missed, over rates from 0 to `per_hour`; 0 is perfect."""
    rate_n = np.clip(curve.accepts_n / max(curve.hours, 1e-9), 0, per_hour)
    width_n = np.diff(np.append(rate_n, per_hour))
    return float((width_n * curve.rejected_n).sum() / per_hour)


def threshold_at(timeline, per_hour):
    """Lowest score in the stream with at most so many false accepts per hour.

    Returns:
      The threshold; infinite where even the highest score has more.
    """
    free, most = _free(timeline), per_hour * free_hours(timeline)
    score_n = np.unique(timeline.score_n)
    low, high = 0, len(score_n)
    while low < high:
        middle = (low + high) // 2
        if len(free.accepts(score_n[middle])) <= most:
            high = middle
        else:
            low = middle + 1
    return float(score_n[low]) if low < len(score_n) else float("inf")


def latencies(timeline, threshold):
    """Seconds from the end of each word to its first trigger; NaN where missed.

    Below 0 where the word was known before it had ended.
    """
    found = []
    for (first, end), word_end in zip(
        _spans(timeline), timeline.event_k2[:, 1], strict=True
    ):
        over_n = np.flatnonzero(timeline.score_n[first:end] >= threshold)
        at = timeline.at_n[first + over_n[0]] if len(over_n) else np.nan
        found.append((at - word_end) / timeline.rate_hz)
    return np.array(found, float)
