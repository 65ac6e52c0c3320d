import numpy as np
import pyroomacoustics
import pytest
import scipy.signal

from distill_jax.audio import augment, rooms

FEW = rooms.Settings(count=6)


@pytest.fixture(scope="module")
def response_nr(tmp_path_factory):
    return rooms.responses(tmp_path_factory.mktemp("rooms"), FEW)


def test_responses_begin_with_the_direct_sound_and_have_unit_energy(response_nr):
    assert response_nr.shape == (6, 4000) and response_nr.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(response_nr, axis=1), 1, rtol=1e-5)
    # A whole number of samples after the source: nothing before it, no smearing.
    np.testing.assert_array_equal(np.argmax(np.abs(response_nr), axis=1), 0)
    assert (response_nr[:, 0] > 0.2).all()
    assert np.abs(response_nr[:, -10:]).max() < 1e-4


def test_reflections_come_when_the_mirror_images_say():
    places_m = (1.0, 1.5, 1.2), (1.0 + 40 * 343 / 16_000, 1.5, 1.2)
    room = rooms.Room((4.0, 3.0, 2.5), *places_m, 0.2)
    response_r = rooms.simulate(room, FEW)
    source_m, microphone_m = np.array(room.source_m), np.array(room.microphone_m)
    direct_m = np.linalg.norm(source_m - microphone_m)
    mirrored_m = source_m * np.array([1, 1, -1])
    floor_m = np.linalg.norm(mirrored_m - microphone_m)
    late = (floor_m - direct_m) / 343 * 16_000
    # Amplitudes fall with the distance and by the root of what a wall leaves.
    want = response_r[0] * direct_m / floor_m * np.sqrt(1 - 0.2)
    around_r = response_r[round(late) - 3 : round(late) + 4]
    assert np.abs(around_r).max() == pytest.approx(want, rel=0.2)
    assert np.abs(response_r[5 : round(late) - 30]).max() < 0.02 * response_r[0]


def test_reverberation_lasts_as_long_as_sabine_and_eyring_say():
    """Both are right for even fields only, hence the margin."""
    for absorption in (0.15, 0.3, 0.5):
        size_m = np.array([5.0, 4.0, 3.0])
        room = rooms.Room(tuple(size_m), (1.3, 1.1, 1.4), (3.4, 2.7, 1.7), absorption)
        long = FEW._replace(seconds=1.0)
        response_r = rooms.simulate(room, long)[:12_000]
        walls_m2 = 2 * (size_m.prod() / size_m).sum()
        eyring_s = 0.161 * size_m.prod() / (-walls_m2 * np.log(1 - absorption))
        found_s = pyroomacoustics.measure_rt60(response_r, 16_000, decay_db=20)
        assert 0.7 < found_s / eyring_s < 1.6


def test_reverberated_audio_is_aligned_with_the_original(response_nr):
    audio_bs = np.random.default_rng(0).normal(size=(6, 8000)).astype(np.float32)
    only = augment.Settings(
        gain_db=0.0, shift_seconds=0.0, speed_probability=0.0, room_probability=1.0,
        noise_probability=0.0,
    )  # fmt: skip
    bank = augment.bank(np.zeros(0), response_nr, 8000)
    found_bs = np.array(
        augment.augment(audio_bs, np.arange(6, dtype=np.uint32), bank, only)
    )
    for audio_s, found_s in zip(audio_bs, found_bs, strict=True):
        match_n = scipy.signal.correlate(found_s, audio_s, "full", "fft")
        assert np.argmax(np.abs(match_n)) == 7999
        level = np.sqrt(np.mean(found_s**2) / np.mean(audio_s**2))
        assert 0.8 < level < 1.2


def test_rooms_are_read_again_and_depend_on_the_settings(tmp_path, response_nr):
    one = FEW._replace(count=1)
    first_nr = rooms.responses(tmp_path, one)
    (path,) = tmp_path.iterdir()
    stamp = path.stat().st_mtime_ns
    np.testing.assert_array_equal(rooms.responses(tmp_path, one), first_nr)
    assert path.stat().st_mtime_ns == stamp
    np.testing.assert_allclose(first_nr[0], response_nr[0], atol=1e-6)
    other_nr = rooms.responses(tmp_path, one._replace(seed=1))
    assert np.abs(other_nr - first_nr).max() > 0.01


def test_drawn_rooms_keep_to_the_settings():
    settings = rooms.Settings(count=200)
    for room in rooms.draw(settings):
        length_m, width_m, height_m = room.size_m
        assert min(length_m, width_m) >= 2.5 and max(length_m, width_m) <= 8
        assert 2.2 <= height_m <= 3.5 and 0.15 <= room.absorption <= 0.7
        places = np.array([room.source_m, room.microphone_m])
        assert (places > 0.29).all() and (places < np.array(room.size_m) - 0.29).all()
        samples = np.linalg.norm(places[0] - places[1]) / 343 * 16_000
        assert samples == pytest.approx(round(samples), abs=1e-6)
        assert 13.9 < samples < 140.1


def test_impossible_rooms_are_refused_with_every_reason(tmp_path):
    bad = rooms.Settings(count=0, distance_m=(0.3, 30.0), absorption=(0.0, 0.5))
    with pytest.raises(ValueError, match=r"distance_m.*absorption.*count"):
        rooms.responses(tmp_path, bad)
    assert not list(tmp_path.iterdir())
