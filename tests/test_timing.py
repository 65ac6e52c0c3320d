import time

import jax
import pytest
import tiny_job

from distill_jax import report, timing, train


def test_time_is_shared_out_and_adds_up_over_the_starts_of_a_run(tmp_path):
    assert timing.shares(tmp_path) == report.time(tmp_path) == {}
    for part in ("input", "saving"):
        clock = timing.Clock()
        with clock.spent(part):
            time.sleep(0.05)
        shares = clock.write(tmp_path)
        assert shares[part] > 0.5 and shares["compute"] == 0
        assert sum(shares.values()) == pytest.approx(1)
    whole = timing.shares(tmp_path)
    assert 0.2 < whole["input"] < 0.8 and 0.2 < whole["saving"] < 0.8
    assert set(report.time(tmp_path)) == {f"time_on_{part}" for part in shares}
    assert timing.said({"input": 0.125, "other": 0.875}) == (
        "time: 12.5% input, 87.5% other"
    )


@pytest.mark.slow
def test_steps_asked_for_are_traced_and_all_parts_take_time(tmp_path, tmp_path_factory):
    settings = tiny_job.config(steps=6, save_every=3, eval_every=3)
    clock = timing.Clock(timing.trace("2:4", tmp_path / "profile"))
    data = tiny_job.data(settings)
    with tiny_job.compiled_once(tmp_path_factory.getbasetemp() / "xla"):
        list(train.train(settings, tiny_job.make(settings), data, tmp_path, clock))
    assert all(clock.seconds[part] > 0 for part in timing.PARTS)
    [path] = (tmp_path / "profile").rglob("*.xplane.pb")
    steps = [
        dict(event.stats)["step_num"]
        for plane in jax.profiler.ProfileData.from_file(str(path)).planes
        for line in plane.lines
        for event in line.events
        if event.name == "train" and "step_num" in dict(event.stats)
    ]
    assert steps == [2, 3, 4]


def test_a_trace_of_steps_that_are_not_done_is_told(tmp_path, caplog):
    clock = timing.Clock(timing.trace("7:9", tmp_path))
    clock.close()
    assert "none of the steps 7 to 9 was done" in caplog.text


@pytest.mark.parametrize("text", ["10", "5:3", "0:2", "a:b", ":", "1:2:3"])
def test_what_is_no_range_of_steps_is_refused(text, tmp_path):
    with pytest.raises(ValueError, match="expected FIRST:LAST"):
        timing.trace(text, tmp_path)
    assert timing.trace("", tmp_path) is None
