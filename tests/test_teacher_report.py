import json
import re

import numpy as np
import pytest
import tiny_teacher

from distill_jax import checkpoints, detection, teacher_report, teachers, workdir


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    run = tiny_teacher.untrained(tmp_path_factory.mktemp("teacher"))
    return run, teacher_report.write(run)


def test_page_shows_every_picture(written):
    run, _ = written
    html = (run / "report" / "index.html").read_text(encoding="utf-8")
    pictures = {path.name for path in (run / "report").glob("*.png")}
    assert set(re.findall(r'src="([^"]+)"', html)) == pictures
    assert pictures >= {"confusion.png", "reliability.png"}


def test_calibration_is_kept_with_the_run(written):
    run, figures = written
    stored = json.loads((run / "calibration.json").read_text())
    assert stored == json.loads(json.dumps(figures["calibration"]))
    assert stored["step"] == 2
    before, after = stored["valid"]["nll"]
    assert after < before
    assert stored["test"].keys() == {"clips", "nll", "ece"}


def test_accuracy_is_that_of_the_answers(written):
    run, figures = written
    job = teacher_report.load(run)
    for split, (logits_nc, label_n) in job.answers.items():
        each = figures["accuracy"][split]
        assert each["right"] == np.sum(logits_nc.argmax(axis=1) == label_n)
        assert each["clips"] == len(label_n) == np.sum(each["confusion"])


def test_a_run_without_test_clips_is_reported_on_validation(written, tmp_path):
    run, _ = written
    config = checkpoints.read_config(run)
    config.data.test_fraction = 0.0
    (tmp_path / "checkpoints").symlink_to(run / "checkpoints")
    workdir.keep_config(tmp_path, config.to_dict(), resuming=False)
    figures = teacher_report.write(tmp_path)
    assert figures["accuracy"].keys() == {"valid"}
    html = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "How sure" not in html and "validation" in html
    assert teachers.load(tmp_path, ("high", "low")).temperature > 0


def test_recordings_of_other_words_are_refused(written, tmp_path):
    run, _ = written
    config = checkpoints.read_config(run)
    config.labels = ("high", "middle")
    workdir.keep_config(tmp_path, config.to_dict(), resuming=False)
    (tmp_path / "checkpoints").symlink_to(run / "checkpoints")
    with pytest.raises(ValueError, match=r"holds high, low, but .* on high, middle"):
        teacher_report.load(tmp_path)


def test_reliability_counts_by_confidence():
    probability_nc = np.array([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4]])
    count_k, sure_k, right_k = detection.reliability(probability_nc, [0, 0, 0], 5)
    np.testing.assert_array_equal(count_k, [0, 0, 1, 0, 2])
    np.testing.assert_allclose(sure_k, [0, 0, 0.6, 0, 1.8])
    np.testing.assert_array_equal(right_k, [0, 0, 1, 0, 1])
