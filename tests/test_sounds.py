import collections
import os
import shutil

import librosa
import numpy as np
import pytest

from distill_jax.audio import files
from distill_jax.data import manifest, sounds

RATE = 48000


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def folder(cache):
    return sounds.corpus(cache)


@pytest.fixture(scope="module")
def clips(folder):
    """Every sound of the corpus: {name: float32 [s]}."""
    return {path.name: files.read(path, RATE) for path in sorted(folder.iterdir())}


def files_air(name):
    """Level of the air in a sound of the corpus."""
    return sounds.recipes(0)[name]["room"]


def test_corpus_is_varied_and_within_its_limits(folder, clips, cache):
    found = manifest.require(manifest.scan(folder, cache))
    assert len(found) == 102
    assert all(2 <= clip.seconds <= 4 and clip.rate_hz == RATE for clip in found)
    assert all(clip.channels == 1 for clip in found)
    kinds = collections.Counter(name.split("_")[0] for name in clips)
    assert kinds.keys() == sounds.RANGES.keys()
    assert min(kinds.values()) >= 6
    peak_db = [20 * np.log10(np.abs(audio_s).max()) for audio_s in clips.values()]
    assert min(peak_db) > -30 and max(peak_db) < -1
    assert max(peak_db) - min(peak_db) > 18
    wanted_db = [files.read_settings(folder / name)["peak_db"] for name in clips]
    np.testing.assert_allclose(peak_db, wanted_db, atol=1.0)  # the air adds to it


def test_sounds_begin_and_end_without_clicks(clips):
    for name, audio_s in clips.items():
        air = 5 * files_air(name)
        assert np.abs(audio_s[: RATE // 100]).max() < air, name
        assert np.abs(audio_s[-48:]).max() < air, name
        assert abs(audio_s.mean()) < 5e-3 * np.abs(audio_s).max(), name


def test_no_half_second_is_empty(clips):
    for name, audio_s in clips.items():
        for start in range(0, len(audio_s) - RATE // 2, RATE // 4):
            rms = np.sqrt(np.mean(audio_s[start : start + RATE // 2] ** 2))
            assert 20 * np.log10(rms) > -80, name


def test_settings_in_a_file_make_it_again(folder):
    for path in sorted(folder.iterdir())[::9]:
        again_s = sounds.synthesise(files.read_settings(path), RATE)
        np.testing.assert_allclose(files.read(path, RATE), again_s, atol=2.0**-23)


def test_no_two_recipes_share_a_parameter():
    drawn = collections.defaultdict(list)
    for recipe in sounds.recipes(0).values():
        for name, value in recipe.items():
            if name not in ("kind", "seed"):
                drawn[name].append(value)
    for name, values in drawn.items():
        assert len(set(values)) == len(values), name


def test_another_seed_makes_other_sounds():
    one, two = sounds.recipes(0), sounds.recipes(1)
    shared = {recipe["pitch_hz"] for recipe in one.values()} & {
        recipe["pitch_hz"] for recipe in two.values()
    }
    assert not shared


def test_half_written_corpus_is_finished_and_the_rest_left_alone(folder, tmp_path):
    copy = tmp_path / folder.name
    shutil.copytree(folder, copy)
    names = sorted(path.name for path in copy.iterdir())
    want = {name: files.read(copy / name, RATE) for name in names}
    data = (copy / names[5]).read_bytes()
    (copy / names[3]).unlink()
    (copy / names[5]).write_bytes(data[: len(data) // 2])
    files.write(copy / names[7], want[names[7]][::2], RATE, {"not": "from here"})
    before = {
        name: os.stat(copy / name).st_mtime_ns for name in names if name != names[3]
    }
    assert sounds.corpus(tmp_path) == copy
    assert sorted(path.name for path in copy.iterdir()) == names
    for name in names:
        np.testing.assert_array_equal(files.read(copy / name, RATE), want[name])
    after = {name: os.stat(copy / name).st_mtime_ns for name in before}
    assert {name for name in before if after[name] != before[name]} == {
        names[5],
        names[7],
    }


@pytest.mark.parametrize(
    ("hz", "note"),
    [(440.0, "A4"), (261.63, "C4"), (65.41, "C2"), (466.16, "As4"), (450.0, "A4")],
)
def test_note_is_the_nearest(hz, note):
    assert sounds._note(hz) == note


@pytest.mark.parametrize("pitch_hz", [70.3, 123.4, 333.3, 871.7])
def test_plucked_string_is_in_tune(pitch_hz):
    recipe = {"pitch_hz": pitch_hz, "decay_s": 4.0, "damping": 0.3, "position": 0.3}
    recipe["cutoff_hz"] = 2000.0
    audio_s = sounds.pluck(recipe, 2 * RATE, RATE, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(audio_s * np.hanning(2 * RATE), 32 * RATE))
    hz = np.arange(len(spectrum)) / 32
    near = np.abs(1200 * np.log2(np.maximum(hz, 1) / pitch_hz)) < 100
    found_hz = hz[near][spectrum[near].argmax()]
    assert abs(1200 * np.log2(found_hz / pitch_hz)) < 3


def test_plucked_string_decays_as_long_as_it_should():
    recipe = {"pitch_hz": 220.0, "decay_s": 2.0, "damping": 0.04, "position": 0.4}
    recipe["cutoff_hz"] = 500.0
    audio_s = sounds.pluck(recipe, 2 * RATE, RATE, np.random.default_rng(0))
    level_db = librosa.power_to_db(
        librosa.feature.rms(y=audio_s, frame_length=4096)[0] ** 2, top_db=None
    )
    slope = np.polyfit(np.arange(60) * 512 / RATE, level_db[10:70], 1)[0]
    assert slope == pytest.approx(-30, rel=0.1)


def test_modes_equal_the_sum_of_sines():
    partial_n3 = np.array([[440.0, 1.0, 0.5], [1234.5, 0.2, 1.0], [55.0, 9.0, 2.0]])
    second_s = np.arange(20001) / RATE
    want_s = sum(
        level * np.sin(2 * np.pi * hz * second_s) * 10 ** (-3 * second_s / decay)
        for hz, decay, level in partial_n3
    )
    got_s = sounds.modes(partial_n3, 20001, RATE)
    np.testing.assert_allclose(got_s, want_s, rtol=0, atol=1e-10)


def test_partials_of_a_struck_string_are_stretched():
    recipe = {
        "kind": "string", "pitch_hz": 200.0, "decay_s": 20.0, "decay_slope": 0.4,
        "cutoff_hz": 9000.0, "knock": 0.005, "detune_cents": 0.2, "position": 0.09,
        "stiffness": 1e-3,
    }  # fmt: skip
    audio_s = sounds.struck(recipe, 2 * RATE, RATE, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(audio_s * np.hanning(2 * RATE), 16 * RATE))
    for number in (1, 4, 9):
        want_hz = 200 * number * np.sqrt(1 + 1e-3 * number**2)
        first = round(16 * want_hz) - 320
        found_hz = (first + spectrum[first : first + 640].argmax()) / 16
        assert abs(1200 * np.log2(found_hz / want_hz)) < 4


def test_other_rates_keep_partials_below_half_of_them():
    for recipe in list(sounds.recipes(0).values())[::7]:
        audio_s = sounds.synthesise(recipe, 16000)
        assert np.isfinite(audio_s).all()
        assert len(audio_s) == round(recipe["seconds"] * 16000)
