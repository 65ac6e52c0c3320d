import itertools
import logging
import time

import pytest

from distill_jax import progress


def test_waiting_is_the_share_of_time_between_asking_and_getting():
    closed = []

    def start_at(step):
        try:
            for number in itertools.count(step):
                time.sleep(0.02)
                yield number
        finally:
            closed.append(step)

    waiting = progress.Waiting()
    batches = waiting.watch(start_at)(5)
    assert [next(batches) for _ in range(3)] == [5, 6, 7]
    much = waiting.share
    time.sleep(0.3)
    assert 0 < waiting.share < much <= 1
    batches.close()
    assert closed == [5]


def test_the_end_of_the_data_is_the_end():
    batches = progress.Waiting().watch(lambda step: (n for n in range(step)))(2)
    assert list(batches) == [0, 1]
    with pytest.raises(StopIteration):
        next(batches)


def test_what_is_logged_is_shown_for_a_while(capsys):
    log = logging.getLogger("distill_jax.any")
    with progress.told():
        log.info("of interest")
    log.info("not any more")
    assert capsys.readouterr().err == "of interest\n"
