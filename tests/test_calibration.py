import math

import numpy as np
import pytest

from distill_jax.teachers import calibration

# Ten clips of one class, of which the teacher is sure by 4 nats; eight are right. The
# likelihood is greatest where it is as sure as it is right: sigmoid(4 / T) = 0.8.
LOGITS_NC = np.tile([4.0, 0.0], (10, 1))
LABEL_N = np.array([0] * 8 + [1] * 2)
BEST = 4 / math.log(4)


def test_temperature_makes_a_teacher_as_sure_as_it_is_right():
    assert calibration.fit(LOGITS_NC, LABEL_N) == pytest.approx(BEST, rel=1e-3)


def test_figures_before_and_after_are_those_worked_by_hand():
    found = calibration.measure(LOGITS_NC, LABEL_N, BEST)
    sure = 1 / (1 + math.exp(-4))
    before = -0.8 * math.log(sure) - 0.2 * math.log(1 - sure)
    after = -0.8 * math.log(0.8) - 0.2 * math.log(0.2)
    assert found["nll"] == pytest.approx([before, after])
    assert found["ece"] == pytest.approx([sure - 0.8, 0.0], abs=1e-12)


def test_calibration_lowers_the_nll_and_keeps_the_answers():
    rng = np.random.default_rng(0)
    logits_nc = rng.normal(size=(300, 4))
    odds_nc = np.exp(logits_nc)
    odds_nc /= odds_nc.sum(axis=1, keepdims=True)
    label_n = np.array([rng.choice(4, p=odds_c) for odds_c in odds_nc])
    wild_nc = 3 * logits_nc
    temperature = calibration.fit(wild_nc, label_n)
    assert temperature == pytest.approx(3, rel=0.2)
    assert calibration.nll(wild_nc, label_n, temperature) < calibration.nll(
        wild_nc, label_n
    )
    sure_nc = calibration.probabilities(wild_nc, temperature)
    np.testing.assert_array_equal(sure_nc.argmax(axis=1), wild_nc.argmax(axis=1))
    np.testing.assert_allclose(sure_nc.sum(axis=1), 1)


def test_clips_that_are_all_right_are_said_to_be_too_easy(caplog):
    assert calibration.fit(LOGITS_NC, 0 * LABEL_N) == 0.1
    assert "too few, too easy or too hard" in caplog.text


def test_extreme_logits_stay_finite():
    logits_nc = np.array([[1e4, 0.0], [0.0, 1e4]])
    assert calibration.nll(logits_nc, [1, 1]) == pytest.approx(5e3)
