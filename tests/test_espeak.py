import threading

import numpy as np
import pytest

from distill_jax.data import espeak, phonemes


def voice_named(engine, name):
    return next(voice for voice in espeak.voices(engine) if voice.name == name)


def spoken(calls):
    """Samples of calls of a fresh synthesiser: (voice, variant, text)."""
    with espeak.opened() as engine:
        made = []
        for name, variant, text in calls:
            espeak.choose(engine, voice_named(engine, name), variant)
            prosody = espeak.Prosody(160)
            made.append(espeak.synthesise(engine, text, prosody, 7))
        return made


def test_library_has_many_voices_and_speakers():
    with espeak.opened() as engine:
        assert engine.rate_hz == 22050
        voices = espeak.voices(engine)
        assert len(voices) > 100 and len({voice.name for voice in voices}) == len(
            voices
        )
        english = {v.language for v in voices if v.language.startswith("en-")}
        assert {"en-gb", "en-us", "en-gb-scotland"} <= english
        variants = espeak.variants(engine)
        assert {"f3", "m3", "klatt"} <= set(variants) and len(variants) > 90
        with pytest.raises(ValueError, match="no voice gmw/xx"):
            espeak.choose(engine, espeak.Voice("xx", "gmw/xx", "xx"))


def test_same_calls_give_the_same_samples_and_others_do_not():
    calls = [("en-US", "f3", "hey jarvis"), ("en", "whisper", "hey jarvis")]
    first, again = spoken(calls), spoken(calls)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    # Flutter goes on from one call to the next: why the library is loaded anew.
    same = spoken([("en", "Alicia", "hey jarvis")] * 2)
    assert len(same[0]) != len(same[1]) or (same[0] != same[1]).any()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("en-US", "hey jarvis"),
        ("en-GB-x-rp", "measure the water"),
        ("fa-Latn", "hey jarvis"),
        ("gd", "computer"),
    ],
)
def test_a_transcription_is_spoken_as_the_text_is(name, text):
    with espeak.opened() as engine:
        espeak.choose(engine, voice_named(engine, name))
        sides = [espeak.transcribe(engine, text, ipa) for ipa in (False, True)]
    phones = phonemes.parse(*sides, espeak.SEPARATOR)
    (one,) = spoken([(name, "f3", text)])
    (other,) = spoken([(name, "f3", phonemes.written(phones))])
    assert len(one) > 10000
    np.testing.assert_array_equal(one, other)


def test_transcription_of_a_known_phrase():
    with espeak.opened() as engine:
        espeak.choose(engine, voice_named(engine, "en-US"))
        sides = [espeak.transcribe(engine, "hey jarvis", ipa) for ipa in (False, True)]
    phones = phonemes.parse(*sides, espeak.SEPARATOR)
    assert phonemes.written(phones) == "[[h|'eI dZ|'A@|v|I|s]]"
    assert phonemes.sounds(phones) == "heɪʤɑɹvɪs"
    assert [phone.vowel for phone in phones] == [False, True] * 2 + [False, True, False]
    assert phonemes.parse("(en)|h|'eI|(ru)", "(en)|h|ˈeɪ|(ru)", "|") is None


def test_two_threads_take_turns():
    def work():
        made.append(spoken([("en", "m1", "hello"), ("en", "f2", "goodbye")]))

    made = []
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    for other in made[1:]:
        for one, two in zip(made[0], other, strict=True):
            np.testing.assert_array_equal(one, two)
