import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from distill_jax.audio import distance

MEASURES = (
    distance.mrstft,
    distance.log_spectral_distance_db,
    distance.spectral_convergence,
    distance.log_mel_l1,
)


@pytest.fixture(scope="module")
def pair():
    """Loud noise, and a filtered copy of it with a little of its own."""
    rng = np.random.default_rng(0)
    reference_bs = rng.normal(size=(2, 20_000)) * 0.1
    estimate_bs = 0.8 * reference_bs + 0.1 * np.roll(reference_bs, 1, axis=1)
    estimate_bs += 0.01 * rng.normal(size=reference_bs.shape)
    return reference_bs.astype(np.float32), estimate_bs.astype(np.float32)


def magnitude(audio_bs, n_fft):
    audio_bs = audio_bs.astype(np.float64)
    return np.abs(librosa.stft(audio_bs, n_fft=n_fft, hop_length=n_fft // 4))


def norm(x_bkt):
    return np.sqrt((x_bkt**2).sum((1, 2)))


def test_mrstft_equals_its_formula(pair):
    expected_b = 0
    for n_fft in (512, 1024, 2048):
        x_bkt, y_bkt = (magnitude(audio_bs, n_fft) for audio_bs in pair)
        log_bkt = np.log(np.maximum(x_bkt, 1e-4)) - np.log(np.maximum(y_bkt, 1e-4))
        expected_b += norm(x_bkt - y_bkt) / norm(x_bkt) + np.abs(log_bkt).mean((1, 2))
    np.testing.assert_allclose(distance.mrstft(*pair), expected_b / 3, rtol=1e-5)


def test_spectral_convergence_equals_its_formula(pair):
    x_bkt, y_bkt = (magnitude(audio_bs, 2048) for audio_bs in pair)
    expected_b = norm(x_bkt - y_bkt) / norm(x_bkt)
    found_b = distance.spectral_convergence(*pair)
    np.testing.assert_allclose(found_b, expected_b, rtol=1e-5)


def test_log_spectral_distance_equals_its_formula_with_librosa_db(pair):
    reference_bs = pair[0] * np.hanning(pair[0].shape[1]).astype(np.float32) ** 8
    found_b = distance.log_spectral_distance_db(reference_bs, pair[1])
    for row in range(2):
        x_kt = magnitude(reference_bs[row : row + 1], 2048)[0] ** 2
        y_kt = magnitude(pair[1][row : row + 1], 2048)[0] ** 2
        floor = 1e-8 * x_kt.max()
        db_kt = librosa.power_to_db(x_kt, amin=floor, top_db=None)
        db_kt -= librosa.power_to_db(y_kt, amin=floor, top_db=None)
        expected = np.sqrt((db_kt**2).mean(0)).mean()
        np.testing.assert_allclose(found_b[row], expected, rtol=1e-4)


def test_log_mel_l1_equals_its_formula(pair):
    x_bft, y_bft = (
        librosa.feature.melspectrogram(y=x_bs, sr=48_000, htk=True, norm=None)
        for x_bs in pair
    )
    expected_b = np.abs(np.log(np.maximum(x_bft, 1e-5) / np.maximum(y_bft, 1e-5)))
    found_b = distance.log_mel_l1(*pair)
    np.testing.assert_allclose(found_b, expected_b.mean((1, 2)), rtol=1e-5)


def test_half_the_level_is_known_by_hand(pair):
    reference_bs = pair[0]
    half_bs = reference_bs / 2
    for measure, expected in (
        (distance.spectral_convergence, 0.5),
        (distance.mrstft, 0.5 + np.log(2)),
        (distance.log_spectral_distance_db, 20 * np.log10(2)),
        (distance.log_mel_l1, 2 * np.log(2)),
    ):
        np.testing.assert_allclose(measure(reference_bs, half_bs), expected, rtol=1e-4)


@pytest.mark.parametrize("measure", MEASURES)
def test_equal_waveforms_are_at_distance_zero(pair, measure):
    np.testing.assert_allclose(measure(pair[0], pair[0]), 0.0, atol=1e-6)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_pair_does_not_depend_on_its_batch(pair, measure):
    together_b = measure(*pair)
    alone_b = [measure(pair[0][i : i + 1], pair[1][i : i + 1])[0] for i in range(2)]
    np.testing.assert_allclose(together_b, alone_b, rtol=1e-5)


def test_a_silent_estimate_has_convergence_one(pair):
    found_b = distance.spectral_convergence(pair[0], np.zeros_like(pair[0]))
    np.testing.assert_allclose(found_b, 1.0, rtol=1e-4)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("levels", [(0, 0), (0, 1), (1, 0), (1, 1), (1e-6, 1e-6)])
def test_values_and_gradients_are_finite_in_silence(pair, measure, levels):
    reference_bs, estimate_bs = (
        jnp.asarray(audio_bs * level)
        for audio_bs, level in zip(pair, levels, strict=True)
    )
    value, grad_bs = jax.value_and_grad(lambda x_bs: measure(reference_bs, x_bs).sum())(
        estimate_bs
    )
    assert np.isfinite(value) and np.isfinite(grad_bs).all()
    if levels == (1, 1):
        assert np.abs(grad_bs).max() > 0


def test_a_silent_reference_does_not_drown_the_batch(pair):
    quiet_bs = 1e-3 * pair[1]
    assert distance.spectral_convergence(np.zeros_like(quiet_bs), quiet_bs).max() < 1


@pytest.mark.parametrize("measure", MEASURES)
def test_different_lengths_are_an_error(pair, measure):
    with pytest.raises(ValueError, match="one shape"):
        measure(pair[0], pair[1][:, :-1])
