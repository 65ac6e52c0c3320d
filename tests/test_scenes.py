"""Long recordings whose words are known."""

import itertools

import numpy as np
import pytest

from distill_jax.data import scenes

RATE_HZ = 1000
PLAN = scenes.Plan(RATE_HZ, seed=3)


def spoken(name, samples=600, level=0.5):
    """Silence, a tone from 0.1 to 0.4 s, silence."""
    audio_s = np.zeros(samples, np.float32)
    audio_s[100:400] = level * np.sin(np.arange(300))
    return scenes.Spoken(audio_s, name, name[:1])


WORDS = [spoken(f"a{n}") for n in range(3)]
OTHERS = [spoken(f"b{n}", 700) for n in range(4)]
NOISES = {
    "hum": np.full(3000, 0.1, np.float32),
    "hiss": np.random.default_rng(0).normal(0, 0.1, 2000).astype(np.float32),
}


def test_words_are_where_the_stream_says():
    scene = scenes.build(WORDS, OTHERS, {}, PLAN)
    assert len(scene.event_k2) == 3
    for start, end in scene.event_k2:
        # To the 20 ms of the level, with 5 ms of fade that the clips begin with.
        assert (end - start) == 300
        np.testing.assert_array_equal(
            scene.audio_s[start:end], WORDS[0].audio_s[100:400]
        )
    assert np.all(np.diff(scene.event_k2[:, 0]) > 0)


def test_every_clip_is_there_once_with_pauses_between():
    scene = scenes.build(WORDS, OTHERS, NOISES, PLAN)
    names = [part.name for part in scene.parts]
    assert sorted(names) == sorted(["a0", "a1", "a2", "b0", "b1", "b2", "b3", *NOISES])
    speech = scene.parts[:7]
    for before, after in itertools.pairwise(speech):
        assert 800 <= after.start - before.end <= 1600
    assert {part.source for part in scene.parts[7:]} == {scenes.NOISE}


def test_noise_follows_as_it_was_recorded():
    scene = scenes.build(WORDS, OTHERS, NOISES, PLAN)
    for part in scene.parts[7:]:
        np.testing.assert_array_equal(
            scene.audio_s[part.start : part.end], NOISES[part.name]
        )


@pytest.mark.parametrize("snr_db", [-5.0, 10.0])
def test_noise_lies_under_the_speech_at_the_ratio_asked_for(snr_db):
    clean = scenes.build(WORDS, OTHERS, NOISES, PLAN)
    noisy = scenes.build(WORDS, OTHERS, NOISES, PLAN._replace(snr_db=snr_db))
    assert noisy.event_k2.tolist() == clean.event_k2.tolist()
    assert len(noisy.audio_s) == clean.parts[7].start
    noise_s = noisy.audio_s - clean.audio_s[: len(noisy.audio_s)]
    clips = np.concatenate([clean.audio_s[p.start : p.end] for p in clean.parts[:7]])
    ratio = np.mean(clips.astype(float) ** 2) / np.mean(noise_s.astype(float) ** 2)
    assert 10 * np.log10(ratio) == pytest.approx(snr_db, abs=0.01)


def test_seed_decides_everything():
    first, again = (scenes.build(WORDS, OTHERS, NOISES, PLAN) for _ in range(2))
    other = scenes.build(WORDS, OTHERS, NOISES, PLAN._replace(seed=4))
    np.testing.assert_array_equal(first.audio_s, again.audio_s)
    assert first.parts != other.parts


def test_word_bounds_leave_quiet_ends_out():
    assert scenes.word_bounds(spoken("a").audio_s, RATE_HZ) == (100, 400)


def test_word_bounds_of_silence_are_the_clip():
    assert scenes.word_bounds(np.zeros(105, np.float32), RATE_HZ) == (0, 105)


def test_source_is_what_was_heard_last():
    scene = scenes.build(WORDS, OTHERS, NOISES, PLAN)
    second = scene.parts[1]
    assert scenes.source_at(scene, second.start - 1) == scene.parts[0]
    assert scenes.source_at(scene, second.start) == second
    assert scenes.source_at(scene, 0) == scene.parts[0]


def test_hours_of_all_sources_are_the_stream():
    scene = scenes.build(WORDS, OTHERS, NOISES, PLAN)
    found = scenes.hours(scene)
    assert sum(found.values()) == pytest.approx(len(scene.audio_s) / RATE_HZ / 3600)
    assert found[scenes.NOISE] == pytest.approx(5 / 3600)


def test_what_cannot_be_built_is_told():
    with pytest.raises(ValueError, match="spoken clips"):
        scenes.build([], [], NOISES, PLAN)
    with pytest.raises(ValueError, match="needs recordings of noise"):
        scenes.build(WORDS, [], {}, PLAN._replace(snr_db=5.0))
