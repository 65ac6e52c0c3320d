import numpy as np
import pytest

from distill_jax.audio import augment

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


def clips(batch, samples=SAMPLES, seed=0):
    rng = np.random.default_rng(seed)
    audio_bs = rng.normal(size=(batch, samples)) * rng.uniform(0.01, 1, (batch, 1))
    return np.float32(audio_bs)


def seeds(batch, seed=0):
    return np.random.default_rng(seed).integers(0, 2**32, batch, np.uint32)


@pytest.fixture(scope="module")
def bank():
    rng = np.random.default_rng(7)
    room_nr = rng.normal(size=(5, 800)) * np.exp(-np.arange(800) / 100)
    return augment.bank(rng.normal(size=20_000), room_nr, SAMPLES)


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
    alone_bs = [augment.augment(audio_bs[n : n + 1], seed_b[n : n + 1], bank, ALL)[0]
                for n in range(40)]  # fmt: skip
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
