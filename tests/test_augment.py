import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_jax.audio import augment, draws, motion

SAMPLES = 4000
STILL = augment.Settings(
    gain_db=0.0,
    shift_seconds=0.0,
    speed_probability=0.0,
    room_probability=0.0,
    noise_probability=0.0,
)
ALL = augment.Settings(
    speed_probability=0.5, room_probability=0.5, noise_probability=0.7
)
ROOMS = np.random.default_rng(7).normal(size=(5, 801)) * np.exp(-np.arange(801) / 100)
NOISE = np.random.default_rng(8).normal(size=20_000)


def clips(batch, samples=SAMPLES, seed=0):
    rng = np.random.default_rng(seed)
    audio_bs = rng.normal(size=(batch, samples)) * rng.uniform(0.01, 1, (batch, 1))
    return np.float32(audio_bs)


def seeds(batch, seed=0):
    return np.random.default_rng(seed).integers(0, 2**32, batch, np.uint32)


@pytest.fixture(scope="module")
def bank():
    return augment.bank(NOISE, ROOMS, SAMPLES)


def test_everything_off_is_the_identity(bank):
    audio_bs = clips(3)
    found_bs = augment.augment(audio_bs, seeds(3), bank, STILL)
    np.testing.assert_array_equal(found_bs, audio_bs)


def test_example_depends_on_its_own_seed_and_nothing_else_of_the_batch(bank):
    audio_bs, seed_b = clips(40), seeds(40)
    whole_bs = augment.augment(audio_bs, seed_b, bank, ALL)
    np.testing.assert_array_equal(
        augment.augment(audio_bs, seed_b, bank, ALL), whole_bs
    )
    order = np.random.default_rng(0).permutation(40)
    other_bs = augment.augment(audio_bs[order], seed_b[order], bank, ALL)
    np.testing.assert_array_equal(other_bs, whole_bs[order])
    # Sums over a clip are taken in another order for another size of the batch.
    alone_bs = [
        augment.augment(audio_bs[n : n + 1], seed_b[n : n + 1], bank, ALL)[0]
        for n in range(40)
    ]
    np.testing.assert_allclose(np.stack(alone_bs), whole_bs, rtol=0, atol=4e-6)
    changed_bs = augment.augment(audio_bs, seed_b + 1, bank, ALL)
    assert (np.abs(changed_bs - whole_bs).max(axis=1) > 0).all()


def test_measured_snr_is_the_one_asked_for():
    audio_bs, noise_bs = clips(50), clips(50, seed=1)
    snr_db_b = np.float32(np.random.default_rng(2).uniform(-20, 40, 50))
    mixed_bs = augment.mix_at_snr(audio_bs, noise_bs, snr_db_b)
    added_bs = np.float64(mixed_bs) - audio_bs
    power_b = np.mean(np.float64(audio_bs) ** 2, axis=1)
    found_db_b = 10 * np.log10(power_b / np.mean(added_bs**2, axis=1))
    np.testing.assert_allclose(found_db_b, snr_db_b, atol=0.01)


def test_silence_and_silent_noise_are_left_as_they_are():
    audio_bs = clips(3)
    audio_bs[0] = 0
    noise_bs = clips(3, seed=1)
    noise_bs[1] = 0
    mixed_bs = np.array(augment.mix_at_snr(audio_bs, noise_bs, np.zeros(3)))
    np.testing.assert_array_equal(mixed_bs[:2], audio_bs[:2])
    assert np.isfinite(mixed_bs).all() and np.abs(mixed_bs[2] - audio_bs[2]).max() > 0


def test_noise_is_cut_from_the_bank_at_snrs_over_the_whole_range(bank):
    only = STILL._replace(noise_probability=0.75, snr_low_db=5.0, snr_high_db=15.0)
    audio_bs = clips(200)
    found_bs = np.float64(augment.augment(audio_bs, seeds(200), bank, only))
    added_bs = found_bs - audio_bs
    on_b = np.abs(added_bs).max(axis=1) > 0
    assert 130 < on_b.sum() < 170
    power_b = np.mean(np.float64(audio_bs[on_b]) ** 2, axis=1)
    snr_db_b = 10 * np.log10(power_b / np.mean(added_bs[on_b] ** 2, axis=1))
    assert 4.99 < snr_db_b.min() < 6 and 14 < snr_db_b.max() < 15.01
    firsts = set()
    for added_s in added_bs[on_b][:20]:
        match_s = scipy.signal.correlate(NOISE, added_s, "valid", "fft")
        first = int(np.argmax(match_s))
        likeness = np.corrcoef(NOISE[first : first + SAMPLES], added_s)[0, 1]
        assert likeness > 0.9999
        firsts.add(first)
    assert len(firsts) > 15


def test_gain_covers_its_range(bank):
    audio_bs = clips(200)
    found_bs = augment.augment(audio_bs, seeds(200), bank, STILL._replace(gain_db=6.0))
    gain_bs = np.array(found_bs) / audio_bs
    gain_db_b = 20 * np.log10(np.median(gain_bs, axis=1))
    np.testing.assert_allclose(
        gain_bs, np.median(gain_bs, axis=1)[:, None] + 0 * gain_bs, rtol=1e-5
    )
    assert -6.001 < gain_db_b.min() < -5.5 and 5.5 < gain_db_b.max() < 6.001


def test_shift_moves_by_whole_samples_up_to_its_most(bank):
    audio_bs = clips(300)
    only = STILL._replace(rate_hz=1000, shift_seconds=0.01)
    found_bs = np.array(augment.augment(audio_bs, seeds(300), bank, only))
    moves = []
    for before_s, after_s in zip(audio_bs, found_bs, strict=True):
        padded_s = np.pad(before_s, 10)
        at = [padded_s[10 - move :][:SAMPLES] for move in range(-10, 11)]
        (found,) = [n for n, want_s in enumerate(at) if np.array_equal(want_s, after_s)]
        moves.append(found - 10)
    assert set(moves) == set(range(-10, 11))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-410, 410), min_size=4, max_size=4))
def test_speed_is_the_cubic_through_the_nearest_samples(steps):
    audio_bs = clips(4, 500)
    change_b = np.float32(steps) / 4096
    found_bs = np.array(motion.change_speed(audio_bs, change_b))
    for audio_s, change, found_s in zip(audio_bs, change_b, found_bs, strict=True):
        if change == 0:
            np.testing.assert_array_equal(found_s, audio_s)
        time_s = np.arange(500)
        place_s = time_s + (time_s - 249.5) * np.float64(change)
        padded_s = np.pad(np.float64(audio_s), 60)
        for at in (0, 1, 100, 249, 250, 377, 498, 499):
            first = int(np.floor(place_s[at]))
            point_n = np.arange(first - 1, first + 3)
            values = padded_s[point_n + 60]
            cubic = np.polyfit(point_n - first, values, 3)
            want = np.polyval(cubic, place_s[at] - first)
            assert found_s[at] == pytest.approx(want, abs=1e-5)


def test_faster_means_higher_and_shorter():
    time_s = np.arange(16_000) - 7999.5
    tone_s = np.float32(np.sin(2 * np.pi * 1000 * time_s / 16_000))
    tone_s[np.abs(time_s) > 4000] = 0
    change_b = np.float32([0.1, -0.1])
    found_bs = np.array(motion.change_speed(np.stack([tone_s] * 2), change_b))
    for found_s, speed in zip(found_bs, 1 + change_b, strict=True):
        sounding = np.abs(found_s) > 1e-3
        assert sounding.sum() == pytest.approx(8000 / speed, abs=30)
        hz = np.argmax(np.abs(np.fft.rfft(found_s))) * 1.0
        assert hz == pytest.approx(1000 * speed, abs=1.5)


def test_reverberation_is_the_convolution_with_a_room_of_the_bank(bank):
    audio_bs = clips(40)
    only = STILL._replace(room_probability=0.5)
    found_bs = np.array(augment.augment(audio_bs, seeds(40), bank, only))
    used = []
    for before_s, after_s in zip(audio_bs, found_bs, strict=True):
        if np.array_equal(before_s, after_s):
            used.append(-1)
            continue
        want_ns = [np.convolve(before_s, room_r)[:SAMPLES] for room_r in ROOMS]
        error_n = np.abs(np.array(want_ns) - after_s).max(axis=1)
        used.append(int(np.argmin(error_n)))
        assert error_n.min() < 1e-5 * np.abs(want_ns).max()
    assert 10 < used.count(-1) < 30 and len(set(used)) == 6


def test_computing_all_and_choosing_gives_the_same(monkeypatch):
    audio_bs, on_b = jnp.asarray(clips(40)), jnp.arange(40) % 3 == 0
    change_b = jnp.linspace(-0.1, 0.1, 40)
    some_bs = draws.where_drawn(on_b, motion.change_speed, audio_bs, change_b)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    all_bs = draws.where_drawn(on_b, motion.change_speed, audio_bs, change_b)
    np.testing.assert_allclose(some_bs, all_bs, rtol=0, atol=1e-6)
    none_bs = draws.where_drawn(on_b & False, motion.change_speed, audio_bs, change_b)
    np.testing.assert_array_equal(none_bs, audio_bs)


def test_bank_that_lacks_what_is_asked_for_is_refused():
    empty = augment.bank(np.zeros(0), np.zeros((0, 0)), SAMPLES)
    with pytest.raises(ValueError, match=r"needs 4000 samples of noise.*needs rooms"):
        augment.augment(clips(1), seeds(1), empty, ALL)
    short = augment.bank(np.ones(10), ROOMS, 500)
    with pytest.raises(ValueError, match="shorter windows than 4000"):
        augment.augment(clips(1), seeds(1), short, STILL._replace(room_probability=1.0))
    augment.augment(clips(1), seeds(1), empty, STILL)


def test_short_noise_is_repeated():
    short = augment.bank(np.arange(3), np.zeros((0, 0)), 7)
    np.testing.assert_array_equal(short.noise_s, [0, 1, 2, 0, 1, 2, 0])


def test_spec_augment_hides_stretches_behind_the_mean():
    feature_btf = np.random.default_rng(0).normal(size=(300, 50, 40)).astype(np.float32)
    masks = augment.Masks(times=1, frames=10, bands=1, width=5)
    found_btf = np.array(augment.spec_augment(feature_btf, seeds(300), masks))
    widths = {0: [], 1: []}
    for before_tf, after_tf in zip(feature_btf, found_btf, strict=True):
        hidden_tf = before_tf != after_tf
        np.testing.assert_allclose(after_tf[hidden_tf], before_tf.mean(), atol=1e-6)
        lines = hidden_tf.all(axis=1), hidden_tf.all(axis=0)
        np.testing.assert_array_equal(hidden_tf, lines[0][:, None] | lines[1][None])
        for axis, line in enumerate(lines):
            assert np.abs(np.diff(np.pad(line.astype(int), 1))).sum() <= 2
            widths[axis].append(int(line.sum()))
    assert set(widths[0]) == set(range(11)) and set(widths[1]) == set(range(6))
    same_btf = augment.spec_augment(feature_btf[5:9], seeds(300)[5:9], masks)
    np.testing.assert_allclose(same_btf, found_btf[5:9], atol=1e-6)
    nothing = augment.Masks(times=0, frames=5, bands=0, width=5)
    off_btf = augment.spec_augment(feature_btf, seeds(300), nothing)
    np.testing.assert_array_equal(off_btf, feature_btf)


def test_spec_augment_draws_other_numbers_than_the_audio():
    audio_nb = draws.uniform(seeds(5), "audio", 3)
    feature_nb = draws.uniform(seeds(5), "features", 3)
    assert (np.abs(audio_nb - feature_nb) > 0).all()


def test_bank_is_an_argument_of_the_compiled_program(bank):
    lowered = augment.augment.lower(clips(2), seeds(2), bank, ALL).as_text()
    assert len(lowered) < 200_000
