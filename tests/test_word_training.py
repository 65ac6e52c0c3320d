from types import SimpleNamespace

import numpy as np
import pytest

from distill_jax import metrics, report, timing, workdir
from distill_jax.word_report import training

COUNTS = np.array([0, 0, 1, 0, 0, 0, 0, 0, 0, 3])


@pytest.fixture
def job(tmp_path):
    run = tmp_path / "run"
    return SimpleNamespace(workdir=run, folder=run / "report")


def logged(job, teachers, values):
    workdir.keep_config(job.folder.parent, {"teachers": teachers}, resuming=False)
    with metrics.Writer(job.folder.parent) as writer:
        for step in (1, 2, 3):
            writer.write(step, {"loss": 1 / step, "valid/loss": 2 / step, **values})
    job.folder.mkdir()


def test_weights_of_teachers_are_drawn_from_their_histograms(job):
    logged(job, ["runs/wav/"], {"weight_wav": 0.75, "weight_wav_n": COUNTS})
    _, section = training.history(job, None, None)
    curves, weights = section.parts
    assert "its mean is 0.75" in weights.caption
    for part in (curves, weights):
        assert (job.folder / part.path).stat().st_size > 5000
    steps, counts = report.histograms(job.folder.parent, "weight_wav")
    assert steps.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(counts, [COUNTS] * 3)


def test_without_teachers_there_are_curves_alone(job):
    logged(job, [], {})
    _, section = training.history(job, None, None)
    assert [part.path for part in section.parts] == ["training.png"]


def test_a_run_that_logged_nothing_says_so(job):
    _, section = training.history(job, None, None)
    assert section.parts == ["Nothing was logged."]


def test_where_the_time_went_is_told(job):
    logged(job, [], {})
    clock = timing.Clock()
    with clock.spent("input"):
        pass
    clock.write(job.workdir)
    figures, section = training.history(job, None, None)
    assert set(figures["time"]) == {
        f"time_on_{part}" for part in (*timing.PARTS, "other")
    }
    names = [row[0] for row in section.parts[-1].rows]
    assert "time on input" in names and sum(figures["time"].values()) == pytest.approx(
        1
    )
