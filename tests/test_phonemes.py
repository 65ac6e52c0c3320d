import pytest

from distill_jax.data import phonemes


@pytest.mark.parametrize(
    ("nearer", "further"),
    [
        ("pb", "pz"),
        ("sʃ", "sk"),
        ("iɪ", "iɑ"),
        ("əɪ", "əi"),
        ("rɹ", "rn"),
        ("mn", "ma"),
    ],
)
def test_alike_sounds_differ_less(nearer, further):
    assert 0 < phonemes.difference(*nearer) < phonemes.difference(*further) <= 1
    assert phonemes.difference(*nearer) == phonemes.difference(*nearer[::-1])


def test_distance_by_hand():
    assert phonemes.distance("kæt", "kæt") == 0
    assert phonemes.distance("kæt", "kæts") == 1
    assert phonemes.distance("kæt", "ðəkæts") == pytest.approx(2.2)
    assert phonemes.distance("kæt", "ðəkæts", anywhere=True) == 0
    assert phonemes.distance("kæt", "ɡæt") == pytest.approx(0.3)
    assert phonemes.distance("kæt", "ðəɡæts", True, 0.2) >= 0.2
    assert phonemes.distance("heɪ", "eɪ") == pytest.approx(0.2)
