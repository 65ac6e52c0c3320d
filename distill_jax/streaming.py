"""A wake-word network run over sound that does not end, frame by frame.

A frame of features is made for every `hop` samples, a score for every `step` frames
from the window of the newest ones. `Detector` does this as sound comes in; `scores`
gives the same numbers for a long recording, many at a time.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from distill_jax.audio import overlap

# Frames made at a time, and windows scored at a time: one shape, compiled once.
FRAMES, WINDOWS = 3000, 256
# Frames that a detector makes at a time, where so many have been heard.
AT_ONCE = 64


class Scorer(NamedTuple):
    """What a detector needs of a network.

    Attributes:
      features: audio_bs -> feature_btf; frame i is made of the samples from i·hop on,
        `frame` of them, and of no others.
      score: feature_btf -> probability of the word, [b].
      rate_hz: samples per second.
      frame: samples of a frame.
      hop: samples from one frame to the next.
      frames: frames of a window.
      along: feature_tf, step -> score_n of all windows of a long recording; None
        scores each window by itself.
    """

    features: Callable
    score: Callable
    rate_hz: int
    frame: int
    hop: int
    frames: int
    along: Callable | None = None


class Settings(NamedTuple):
    """How scores become triggers.

    Attributes:
      threshold: lowest smoothed score that triggers.
      step: frames from one window to the next.
      smooth: how many scores the mean is taken of.
      refractory_seconds: least time from one trigger to the next.
    """

    threshold: float
    step: int
    smooth: int = 5
    refractory_seconds: float = 1.0


class Heard(NamedTuple):
    """What a detector says of a moment.

    Attributes:
      at: how many samples had been heard.
      score: smoothed.
      trigger: whether the word has been heard now.
    """

    at: int
    score: float
    trigger: bool


def steps(front, seconds):
    """The whole number of frames nearest to that time, at least 1.

    Args:
      front: anything with `rate_hz` and `hop`.
      seconds: from one window to the next.
    """
    return max(1, round(seconds * front.rate_hz / front.hop))


def features(scorer, audio_s):
    """Features of a recording of any length, [frames that fit, features]."""
    count = max(0, 1 + (len(audio_s) - scorer.frame) // scorer.hop)
    size = (FRAMES - 1) * scorer.hop + scorer.frame
    blocks = overlap.windows(np.asarray(audio_s, np.float32), size, FRAMES * scorer.hop)
    parts = [np.asarray(scorer.features(block_s[None])[0]) for block_s in blocks]
    return np.concatenate(parts)[:count]


def scores(scorer, audio_s, step):
    """Scores of all windows of a recording.

    Args:
      scorer: the network.
      audio_s: [samples].
      step: frames from one window to the next.

    Returns:
      score_n, and at_n, how many samples each takes to have been heard; both are
      empty where the recording is shorter than a window.
    """
    feature_tf = features(scorer, audio_s)
    count = max(0, 1 + (len(feature_tf) - scorer.frames) // step)
    at_n = (np.arange(count) * step + scorer.frames - 1) * scorer.hop + scorer.frame
    if not count:
        return np.zeros(0), at_n
    along = scorer.along or (lambda x_tf, step: each_window(scorer, x_tf, step))
    return np.asarray(along(feature_tf, step), np.float64)[:count], at_n


def each_window(scorer, feature_tf, step):
    """Scores every window by itself, [windows]."""
    view_nft = np.lib.stride_tricks.sliding_window_view(feature_tf, scorer.frames, 0)
    view_nft, found = view_nft[::step], []
    for start in range(0, len(view_nft), WINDOWS):
        part_bft = view_nft[start : start + WINDOWS]
        missing = WINDOWS - len(part_bft)
        part_bft = np.pad(part_bft, ((0, missing), (0, 0), (0, 0)))
        score_b = np.asarray(scorer.score(part_bft.swapaxes(1, 2)))
        found.append(score_b[: WINDOWS - missing])
    return np.concatenate(found)


def smooth(score_n, count):
    """Mean of each score and those before it, `count` in all; 0 before the first."""
    padded_n = np.pad(np.asarray(score_n, np.float64), (count - 1, 0))
    return np.lib.stride_tricks.sliding_window_view(padded_n, count).mean(axis=1)


class Detector:
    """Listens to sound as it comes and says when the word was heard."""

    def __init__(self, scorer, settings):
        """Starts in silence.

        Args:
          scorer: `Scorer`.
          settings: `Settings`.
        """
        self._scorer, self._settings = scorer, settings
        self._audio_s, self._feature_tf = np.zeros(0, np.float32), None
        self._score_n = deque([0.0] * settings.smooth, maxlen=settings.smooth)
        self._windows, self._silent_until = 0, 0

    def feed(self, audio_s):
        """Takes the next samples, any number of them.

        Returns:
          A `Heard` for every window that they complete.
        """
        found, scorer = [], self._scorer
        self._audio_s = np.concatenate([self._audio_s, audio_s], dtype=np.float32)
        while len(self._audio_s) >= scorer.frame:
            # Two shapes, compiled once each.
            many = scorer.frame + (AT_ONCE - 1) * scorer.hop
            count = AT_ONCE if len(self._audio_s) >= many else 1
            found += self._heard(self._features(count))
        return found

    def _features(self, count):
        """Features of so many frames more, behind those of the last window."""
        scorer = self._scorer
        size = scorer.frame + (count - 1) * scorer.hop
        new_tf = np.asarray(scorer.features(self._audio_s[None, :size]))[0]
        self._audio_s = self._audio_s[count * scorer.hop :]
        known_tf = new_tf[:0] if self._feature_tf is None else self._feature_tf
        feature_tf = np.concatenate([known_tf, new_tf])
        self._feature_tf = feature_tf[max(0, len(feature_tf) - scorer.frames + 1) :]
        return feature_tf

    def _heard(self, feature_tf):
        """A `Heard` for every window of these frames."""
        found, frames = [], self._scorer.frames
        for end in range(frames, len(feature_tf) + 1):
            if self._windows % self._settings.step == 0:
                found.append(self._judge(feature_tf[end - frames : end]))
            self._windows += 1
        return found

    def _judge(self, feature_tf):
        scorer, settings = self._scorer, self._settings
        self._score_n.append(float(scorer.score(feature_tf[None])[0]))
        score = float(np.mean(self._score_n))
        at = (self._windows + scorer.frames - 1) * scorer.hop + scorer.frame
        trigger = score >= settings.threshold and at >= self._silent_until
        if trigger:
            gap = round(settings.refractory_seconds * scorer.rate_hz)
            self._silent_until = at + gap
        return Heard(at, score, trigger)
