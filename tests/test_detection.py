"""Numbers of detectors, against scipy, scikit-learn and hand-worked streams."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as oracle

from distill_jax import detection

RATE_HZ = 10


def timeline(scores, events=(), rate_hz=RATE_HZ):
    """A score at every sample; times are in tenths of a second."""
    return detection.Timeline(
        np.array(scores, float),
        np.arange(len(scores)),
        np.array(events, int).reshape(-1, 2),
        len(scores),
        rate_hz,
    )


def spikes(length, **scores):
    """Zeros, but for `at30=0.9`."""
    made = np.zeros(length)
    for name, score in scores.items():
        made[int(name.removeprefix("at"))] = score
    return made


@pytest.mark.parametrize(("count", "total"), [(0, 7), (3, 7), (7, 7), (1, 522)])
def test_wilson_interval_equals_scipy(count, total):
    expected = stats.binomtest(count, total).proportion_ci(method="wilson")
    found = detection.wilson(count, total)
    np.testing.assert_allclose(found, [expected.low, expected.high], atol=1e-12)


def test_wilson_interval_of_nothing_says_nothing():
    assert detection.wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("count", [0, 1, 4, 120])
def test_poisson_interval_leaves_the_tails_it_says(count):
    low, high = detection.poisson(count)
    # So few are that improbable at the upper end, so many at the lower one.
    assert stats.poisson.cdf(count, high) == pytest.approx(0.025)
    assert count == low == 0 or stats.poisson.sf(count - 1, low) == pytest.approx(0.025)


def test_poisson_interval_of_none_ends_at_3_69():
    assert detection.poisson(0)[1] == pytest.approx(3.6889, abs=1e-4)


def test_confusion_matrix_equals_scikit_learn():
    rng = np.random.default_rng(0)
    true_n, predicted_n = rng.integers(0, 4, (2, 200))
    np.testing.assert_array_equal(
        detection.confusion(true_n, predicted_n, 4),
        oracle.confusion_matrix(true_n, predicted_n),
    )


def test_calibration_error_of_two_bins_is_worked_by_hand():
    # Confidence 0.9, 0.9 (one right) and 0.6 (right): gaps |0.9 - 0.5| of two thirds
    # of the examples and |0.6 - 1| of one third.
    probability_nc = np.array([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4]])
    error = detection.calibration_error(probability_nc, [0, 0, 0])
    assert error == pytest.approx(0.4)


def test_calibration_error_of_certain_and_right_is_zero():
    assert detection.calibration_error(np.eye(3), [0, 1, 2]) == 0


def test_det_equals_scikit_learn():
    rng = np.random.default_rng(1)
    positive_n = np.arange(60) < 25
    score_n = np.round(rng.normal(size=60) + positive_n, 1)
    threshold_m, accept_m, reject_m = detection.det(score_n, positive_n)
    accept_o, reject_o, threshold_o = oracle.det_curve(positive_n, score_n)
    ours = {t: (a, r) for t, a, r in zip(threshold_m, accept_m, reject_m, strict=True)}
    for threshold, *expected in zip(threshold_o, accept_o, reject_o, strict=True):
        np.testing.assert_allclose(ours[threshold], expected, atol=1e-12)
    assert (accept_m[0], reject_m[0], accept_m[-1], reject_m[-1]) == (1, 0, 0, 1)


def test_probit_of_a_half_is_zero():
    np.testing.assert_allclose(detection.probit([0.5, 0.975]), [0, 1.959964], atol=1e-6)


def test_three_events_are_three_false_accepts():
    # Three bursts of six scores, further apart than the refractory second.
    scores = np.zeros(100)
    for start in (10, 40, 70):
        scores[start : start + 6] = 0.9
    assert detection.false_accepts(timeline(scores), 0.5).tolist() == [10, 40, 70]


def test_within_a_second_there_is_one_false_accept():
    line = timeline(spikes(60, at10=0.9, at19=0.9, at20=0.9, at29=0.9))
    assert detection.false_accepts(line, 0.5).tolist() == [10, 20]


def test_score_that_stays_high_is_a_false_accept_each_second():
    assert len(detection.false_accepts(timeline(np.ones(100)), 0.5)) == 10


@pytest.mark.parametrize(
    ("at", "heard"), [(19, False), (20, True), (34, True), (35, False)]
)
def test_word_is_heard_from_its_start_to_a_second_after_its_end(at, heard):
    # From 2.0 to 2.5 s; its reach ends before 3.5 s.
    line = timeline(spikes(60, **{f"at{at}": 0.9}), [(20, 25)])
    assert (detection.peaks(line)[0] >= 0.5) == heard
    assert len(detection.false_accepts(line, 0.5)) == (not heard)


def test_second_trigger_of_a_word_is_no_false_accept():
    line = timeline(spikes(60, at21=0.9, at33=0.9), [(20, 25)])
    assert not len(detection.false_accepts(line, 0.5))
    assert detection.latencies(line, 0.5).tolist() == [-0.4]


def test_one_trigger_does_not_answer_for_two_close_words():
    # The second starts 0.3 s after the first has ended; the trigger is after it.
    line = timeline(spikes(60, at29=0.9), [(20, 25), (28, 33)])
    assert detection.reach(line).tolist() == [[20, 28], [28, 43]]
    assert (detection.peaks(line) >= 0.5).tolist() == [False, True]


def test_overlapping_words_are_heard_apart():
    line = timeline(spikes(60, at22=0.9, at27=0.8), [(20, 30), (25, 35)])
    assert detection.peaks(line).tolist() == [0.9, 0.8]


def test_reach_of_the_last_word_ends_with_the_stream():
    assert detection.reach(timeline(np.zeros(30), [(20, 28)])).tolist() == [[20, 30]]


def test_hours_leave_out_what_is_within_reach_of_a_word():
    line = timeline(np.zeros(36_000), [(0, 100), (200, 300)])
    assert detection.free_hours(line) == pytest.approx((36_000 - 220) / 36_000)


def test_curve_is_worked_by_hand():
    # Words peak at 0.9 and 0.6; false accepts are at 0.95 and, 2 s later, 0.7.
    scores = spikes(100, at10=0.9, at30=0.6, at60=0.95, at80=0.7)
    curve = detection.curve(timeline(scores, [(10, 12), (30, 32)]))
    assert curve.threshold_n.tolist() == [np.inf, 0.9, 0.6]
    assert curve.rejected_n.tolist() == [1, 0.5, 0]
    assert curve.accepts_n.tolist() == [0, 1, 2]


def hour_long():
    """One hour; words peak at 0.9 and 0.5, false accepts at 0.8, 0.7, 0.6."""
    scores = spikes(36_000, at100=0.9, at200=0.5, at400=0.8, at500=0.7, at600=0.6)
    return timeline(scores, [(100, 105), (200, 205)])


def test_rejects_at_a_rate_are_the_fewest_that_it_allows():
    curve = detection.curve(hour_long())
    assert detection.rejected_at(curve, 0.5) == 0.5
    assert detection.rejected_at(curve, 3) == 0.5
    assert detection.rejected_at(curve, 4) == 0


def test_area_is_the_mean_of_the_staircase():
    # Three false accepts in an hour but for 30 samples: half the words missed before.
    curve = detection.curve(hour_long())
    step = 3 / curve.hours
    assert detection.area(curve, 4) == pytest.approx(0.5 * step / 4)
    assert detection.area(curve, 2) == 0.5


def test_threshold_is_the_lowest_that_keeps_the_rate():
    assert detection.threshold_at(hour_long(), 1.5) == 0.8
    assert detection.threshold_at(hour_long(), 0.5) == 0.9
    assert detection.threshold_at(timeline(np.ones(100)), 0) == np.inf


def test_short_stream_does_not_resolve_a_low_rate():
    assert not detection.resolves(0.5, 0.1)
    assert detection.resolves(10, 0.1)


def test_curve_without_a_word_is_refused():
    with pytest.raises(ValueError, match="no word"):
        detection.curve(timeline(np.zeros(9)))


streams = st.lists(st.integers(0, 9), min_size=40, max_size=90)
starts = st.lists(st.integers(0, 38), min_size=1, max_size=4, unique=True)


@settings(max_examples=60, deadline=None)
@given(streams, starts)
def test_curve_leaves_no_better_threshold_out(scores, starts):
    events = [(start, start + 2) for start in sorted(starts)]
    line = timeline(scores, events, rate_hz=4)
    curve, peak_k = detection.curve(line), detection.peaks(line)
    assert np.all(np.diff(curve.accepts_n) >= 0)
    assert np.all(np.diff(curve.rejected_n) <= 0)
    for threshold in np.unique(scores):
        accepts = len(detection.false_accepts(line, threshold))
        rejected = np.mean(peak_k < threshold)
        allowed = curve.rejected_n[curve.accepts_n <= accepts]
        assert allowed.min() <= rejected


@settings(max_examples=60, deadline=None)
@given(streams, st.integers(0, 6))
def test_threshold_at_a_rate_equals_trying_all(scores, most):
    line = timeline(scores, rate_hz=4)
    per_hour = most / detection.free_hours(line)
    good = [
        score
        for score in np.unique(scores)
        if len(detection.false_accepts(line, score)) <= most + 1e-9
    ]
    found = detection.threshold_at(line, per_hour * (1 + 1e-12))
    assert found == min(good, default=np.inf)


def test_worst_group_needs_evidence():
    # "a" missed 1 of 1, "b" 3 of 4, "c" 0 of 3: the interval of "b" begins highest.
    missed_k = [1, 1, 1, 1, 0, 0, 0, 0]
    name, missed, words, (low, _) = detection.worst_group(missed_k, list("abbbbccc"))
    assert (name, missed, words) == ("b", 3, 4)
    assert low > detection.wilson(1, 1)[0]


def test_joined_streams_count_as_both():
    first = timeline(spikes(60, at10=0.9, at41=0.8), [(40, 45)])
    second = timeline(spikes(50, at20=0.7, at45=0.6), [(18, 20)])
    both = detection.join([first, second])
    assert detection.peaks(both).tolist() == [0.8, 0.7]
    assert detection.false_accepts(both, 0.5).tolist() == [10, 105]
    hours = detection.free_hours(first) + detection.free_hours(second)
    assert detection.free_hours(both) == pytest.approx(hours)


def test_device_may_miss_a_word_right_after_a_false_accept():
    line = timeline(spikes(80, at18=0.9, at22=0.9, at60=0.9), [(20, 25)])
    assert detection.peaks(line)[0] >= 0.5
    heard_k, accepts = detection.on_device(line, 0.5)
    assert (heard_k.tolist(), accepts) == ([False], 2)


def test_device_hears_a_word_once_more_after_its_second():
    line = timeline(spikes(80, at20=0.9, at31=0.9), [(20, 25)])
    heard_k, accepts = detection.on_device(line, 0.5)
    assert (heard_k.tolist(), accepts) == ([True], 0)
