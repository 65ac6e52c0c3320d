import numpy as np

from distill_jax.word_report import scores


def test_triggers_are_a_second_apart():
    at_n = np.arange(0, 3, 0.1)
    heard = scores.Heard("x", "word", np.where(at_n < 1.25, 0.9, 0.1), at_n)
    assert scores.triggers(heard, 0.5) == [0.0, 1.0]
    assert scores.triggers(heard, 0.95) == []
