import os
import time

import pytest

from benchmarks import racing


def short(work):
    return lambda: time.sleep(0.01 * work.batch)


def slow(work):
    return lambda: time.sleep(0.1 * work.batch)


def bound(work):
    assert len(os.sched_getaffinity(0)) == 1
    return lambda: None


def broken(work):
    raise RuntimeError("no such network")


def test_contenders_are_timed_each_in_a_process_of_its_own():
    paces = racing.race([short, slow, bound], racing.Work(batch=2), 3, threads=1)
    assert list(paces) == [short, slow, bound]
    for contender, least in ((short, 0.02), (slow, 0.2)):
        assert paces[contender].first >= least and paces[contender].median >= least
    assert all(10 < pace.host_mb < 10_000 for pace in paces.values())
    assert all(pace.device_mb == 0 for pace in paces.values())
    assert "MiB peak" in racing.memory(paces[short])


def test_a_contender_that_ends_ends_the_race(capfd):
    with pytest.raises(SystemExit, match="broken ended; its error is above"):
        racing.race([broken], racing.Work(batch=1), 1, threads=1)
    assert "no such network" in capfd.readouterr().err
