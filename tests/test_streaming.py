"""Detectors over long sound, frame by frame and all at once."""

import numpy as np
import pytest

from distill_jax import streaming

RATE_HZ, FRAME, HOP, FRAMES = 1000, 30, 20, 5
SETTINGS = streaming.Settings(threshold=0.5, step=1, smooth=1)


def frames_of(audio_bs):
    """A feature that is the frame's own samples."""
    view_bnf = np.lib.stride_tricks.sliding_window_view(audio_bs, FRAME, 1)
    return view_bnf[:, ::HOP]


def loudest(feature_btf):
    """Score of a window: its largest sample."""
    return np.abs(feature_btf).max(axis=(1, 2))


SCORER = streaming.Scorer(frames_of, loudest, RATE_HZ, FRAME, HOP, FRAMES)
# Samples of a window of five frames.
WINDOW = 4 * HOP + FRAME


def noise(samples, seed=0):
    return np.random.default_rng(seed).uniform(0, 0.4, samples).astype(np.float32)


def feed(audio_s, settings=SETTINGS, sizes=(7,)):
    """What a detector says when it is given so many samples at a time in turn."""
    detector, found, at, turn = streaming.Detector(SCORER, settings), [], 0, 0
    while at < len(audio_s):
        size = sizes[turn % len(sizes)]
        found += detector.feed(audio_s[at : at + size])
        at, turn = at + size, turn + 1
    return found


def triggers(audio_s, settings=SETTINGS):
    return [heard.at for heard in feed(audio_s, settings) if heard.trigger]


@pytest.mark.parametrize("sizes", [(1,), (7, 300, 11), (5000,)])
@pytest.mark.parametrize("step", [1, 3])
def test_detector_gives_the_scores_of_the_whole_recording(sizes, step):
    audio_s = noise(2500)
    settings = streaming.Settings(threshold=2.0, step=step, smooth=4)
    found = feed(audio_s, settings, sizes)
    score_n, at_n = streaming.scores(SCORER, audio_s, step)
    assert [heard.at for heard in found] == at_n.tolist()
    np.testing.assert_allclose(
        [heard.score for heard in found], streaming.smooth(score_n, 4), atol=1e-7
    )


def test_score_is_of_the_window_that_has_just_been_heard():
    audio_s = noise(400)
    score_n, at_n = streaming.scores(SCORER, audio_s, 2)
    for score, at in zip(score_n, at_n, strict=True):
        assert score == audio_s[at - WINDOW : at].max()
    assert len(audio_s) - at_n[-1] < 2 * HOP


def test_features_in_blocks_equal_those_of_the_whole(monkeypatch):
    audio_s = noise(3000)
    monkeypatch.setattr(streaming, "FRAMES", 16)
    np.testing.assert_array_equal(
        streaming.features(SCORER, audio_s), frames_of(audio_s[None])[0]
    )


def test_windows_in_batches_equal_those_one_by_one(monkeypatch):
    feature_tf = noise(60).reshape(20, 3)
    monkeypatch.setattr(streaming, "WINDOWS", 4)
    found = streaming.each_window(SCORER, feature_tf, 1)
    expected = [feature_tf[start : start + FRAMES].max() for start in range(16)]
    np.testing.assert_array_equal(found, expected)


def test_along_is_asked_for_whole_recordings():
    scorer = SCORER._replace(along=lambda feature_tf, step: np.arange(500.0))
    assert streaming.scores(scorer, noise(WINDOW + 3 * HOP), 1)[0].tolist() == [
        0,
        1,
        2,
        3,
    ]


@pytest.mark.parametrize(("samples", "count"), [(0, 0), (WINDOW - 1, 0), (WINDOW, 1)])
def test_recording_shorter_than_a_window_has_no_score(samples, count):
    audio_s = noise(samples)
    score_n, at_n = streaming.scores(SCORER, audio_s, 1)
    assert len(score_n) == len(at_n) == len(feed(audio_s)) == count


def test_smoothing_is_the_mean_of_the_last_scores():
    assert streaming.smooth([3, 6, 0, 3], 3).tolist() == [1, 3, 3, 3]


def test_three_words_are_three_triggers():
    audio_s = noise(6000)
    audio_s[[1000, 3000, 5000]] = 0.9
    # A sample is in a window as soon as the frame that ends after it is whole.
    assert triggers(audio_s) == [1010, 3010, 5010]


def test_triggers_within_the_refractory_second_are_one():
    audio_s = noise(4000)
    audio_s[[1000, 1300, 1600]] = 0.9
    assert triggers(audio_s) == [1010]


def test_word_that_goes_on_triggers_every_second():
    audio_s = np.full(4000, 0.9, np.float32)
    assert triggers(audio_s) == [110, 1110, 2110, 3110]


def test_threshold_itself_triggers():
    audio_s = np.full(WINDOW, 0.5, np.float32)
    assert triggers(audio_s) == [WINDOW]


def test_steps_are_the_nearest_and_at_least_one():
    assert [streaming.steps(SCORER, s) for s in (0.02, 0.03, 0.05, 0.001)] == [
        1,
        2,
        2,
        1,
    ]
