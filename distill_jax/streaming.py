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


def steps(scorer, seconds):
    """The whole number of frames nearest to that time, at least 1."""
    return max(1, round(seconds * scorer.rate_hz / scorer.hop))


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
        self._audio_s = np.zeros(0, np.float32)
        self._feature_tf = deque(maxlen=scorer.frames)
        self._score_n = deque([0.0] * settings.smooth, maxlen=settings.smooth)
        self._made, self._silent_until = 0, 0

    def feed(self, audio_s):
        """Takes the next samples, any number of them.

        Returns:
          A `Heard` for every window that they complete.
        """
        found, scorer = [], self._scorer
        self._audio_s = np.concatenate([self._audio_s, audio_s], dtype=np.float32)
        while len(self._audio_s) >= scorer.frame:
            frame_bs = self._audio_s[None, : scorer.frame]
            self._feature_tf.append(np.asarray(scorer.features(frame_bs))[0, 0])
            self._audio_s = self._audio_s[scorer.hop :]
            self._made += 1
            extra = self._made - scorer.frames
            if extra >= 0 and extra % self._settings.step == 0:
                found.append(self._judge())
        return found

    def _judge(self):
        scorer, settings = self._scorer, self._settings
        feature_btf = np.stack(self._feature_tf)[None]
        self._score_n.append(float(scorer.score(feature_btf)[0]))
        score = float(np.mean(self._score_n))
        at = (self._made - 1) * scorer.hop + scorer.frame
        trigger = score >= settings.threshold and at >= self._silent_until
        if trigger:
            gap = round(settings.refractory_seconds * scorer.rate_hz)
            self._silent_until = at + gap
        return Heard(at, score, trigger)
