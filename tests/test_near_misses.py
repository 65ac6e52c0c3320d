import numpy as np
import pytest

from distill_jax.data import near_misses, phonemes, speech, words

LINES = words.lines()[::6]


@pytest.mark.parametrize("text", ["hey jarvis", "alexa", "computer"])
def test_near_misses_are_near_and_never_the_phrase(text):
    found = speech.study(speech.Request(text, "x", "en", LINES, True, 0, "wav"))
    rng = np.random.default_rng(0)
    edits, nearest = set(), []
    for number in range(120):
        voice = (found.natives + found.accents)[number % len(found.material)]
        material = found.material[voice.name]
        phones, edit = near_misses.draw(material, found.phrases, rng)
        heard = phonemes.sounds(phones)
        assert heard and not any(said in heard for said in found.phrases)
        nearest.append(
            min(phonemes.distance(said, heard, True) for said in found.phrases)
        )
        edits.add(edit)
    assert edits == set(near_misses.EDITS) - (
        {"exchange"} if " " not in text else set()
    )
    assert min(nearest) >= near_misses.SAME and np.median(nearest) < 1.5


def test_what_has_no_near_miss_is_told():
    phone = phonemes.Phone("eI", "'", "eɪ", 0)
    material = near_misses.Material((phone,), frozenset({("eI", "eɪ")}), ())
    with pytest.raises(ValueError, match="take a longer phrase"):
        near_misses.draw(material, ("eɪ",), np.random.default_rng(0))
