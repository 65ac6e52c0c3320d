import numpy as np
import pytest
import tiny_vae

from distill_jax import sound
from distill_jax.audio import overlap, phase

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def model():
    return tiny_vae.untrained(seed=0)


def rows(count, size=8):
    return RNG.standard_normal((count, size))


def test_slerp_ends_where_it_should():
    start_nz, end_nz = rows(5), rows(5)
    np.testing.assert_allclose(sound.slerp(start_nz, end_nz, np.zeros(5)), start_nz)
    np.testing.assert_allclose(sound.slerp(start_nz, end_nz, np.ones(5)), end_nz)


def test_slerp_changes_length_linearly_and_angle_evenly():
    start_nz, end_nz = rows(9), rows(9)
    for mix in (0.25, 0.5, 0.9):
        middle_nz = sound.slerp(start_nz, end_nz, np.full(9, mix))
        lengths = [np.linalg.norm(x, axis=1) for x in (start_nz, middle_nz, end_nz)]
        np.testing.assert_allclose(
            lengths[1], (1 - mix) * lengths[0] + mix * lengths[2], rtol=1e-9
        )
        np.testing.assert_allclose(
            angle(start_nz, middle_nz), mix * angle(start_nz, end_nz), rtol=1e-6
        )


def angle(left_nz, right_nz):
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (left_nz, right_nz)]
    return np.arccos(np.sum(unit[0] * unit[1], axis=1))


def test_slerp_of_parallel_opposite_and_zero_vectors_is_finite():
    one_nz = rows(1)
    half_n = np.full(1, 0.5)
    np.testing.assert_allclose(sound.slerp(one_nz, 3 * one_nz, half_n), 2 * one_nz)
    np.testing.assert_allclose(sound.slerp(one_nz, -one_nz, half_n), 0, atol=1e-6)
    assert np.isfinite(sound.slerp(one_nz, np.zeros((1, 8)), half_n)).all()


def prior(size=8):
    return sound.Prior(rows(1, size)[0], np.linalg.cholesky(np.cov(rows(40).T)).T)


def test_wander_at_temperature_zero_stays_at_the_mean():
    drawn = prior()
    path_nz = sound.wander(drawn, 7, seed=0, temperature=0.0)
    np.testing.assert_allclose(path_nz, np.tile(drawn.mean_z, (7, 1)))


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_a_longer_path_begins_as_a_shorter_one(count):
    drawn = prior()
    shorter_nz = sound.wander(drawn, count, seed=4)
    np.testing.assert_allclose(
        shorter_nz, sound.wander(drawn, 9, seed=4)[:count], rtol=1e-6
    )
    assert not np.allclose(shorter_nz, sound.wander(drawn, count, seed=5))


def test_wander_is_as_wide_between_two_draws_as_at_them():
    drawn = prior()
    paths = np.stack([sound.wander(drawn, 3, seed) for seed in range(4000)])
    at_draw, between = np.cov(paths[:, 0].T), np.cov(paths[:, 1].T)
    # In 8 dimensions normal draws are nearly, not quite, orthogonal.
    assert 0.85 < np.trace(between) / np.trace(at_draw) < 1.1


def saved_latents(workdir, step=7):
    (workdir / "report").mkdir()
    mean_nz = (rows(400) @ rows(8) + 2).astype(np.float32)
    log_var_nz = RNG.uniform(-3, 0, (400, 8)).astype(np.float32)
    posterior = {"mean_nz": mean_nz, "log_var_nz": log_var_nz, "step": step}
    np.savez(workdir / sound.LATENTS, **posterior)
    return mean_nz, log_var_nz


def test_fitted_prior_has_the_moments_of_the_aggregated_posterior(tmp_path):
    mean_nz, log_var_nz = saved_latents(tmp_path)
    fitted = sound.fitted_prior(tmp_path, step=7)
    noise_nz = rows(20_000) * np.exp(0.5 * np.tile(log_var_nz, (50, 1)))
    sample_nz = np.tile(mean_nz, (50, 1)) + noise_nz
    found_zz = fitted.factor_zz.T @ fitted.factor_zz
    np.testing.assert_allclose(fitted.mean_z, mean_nz.mean(axis=0), rtol=1e-5)
    scale = np.abs(found_zz).max()
    np.testing.assert_allclose(found_zz, np.cov(sample_nz.T), atol=0.02 * scale)
    drawn_nz = sound.draw(fitted, 50_000, seed=0)
    np.testing.assert_allclose(np.cov(drawn_nz.T), found_zz, atol=0.03 * scale)


def test_latents_that_are_missing_or_of_another_step_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="training command"):
        sound.fitted_prior(tmp_path)
    saved_latents(tmp_path, step=7)
    with pytest.raises(ValueError, match=r"step 7.*step 8"):
        sound.fitted_prior(tmp_path, step=8)


@pytest.mark.parametrize("count", [1, sound.BATCH, sound.BATCH + 1])
def test_batches_of_any_size_give_each_sound_what_it_gets_alone(model, count):
    audio_ns = tiny_vae.windows(0, count)
    mean_nz, log_var_nz = model.encode(audio_ns)
    assert mean_nz.shape == log_var_nz.shape == (count, 8)
    alone_nz = model.encode(audio_ns[-1:])[0]
    np.testing.assert_allclose(mean_nz[-1:], alone_nz, rtol=1e-4, atol=1e-6)
    feature_nftc = model.decode(mean_nz)
    assert feature_nftc.shape == (count, 64, model.frames, 2)


@pytest.mark.parametrize("extra", [-5000, -1, 0, 1, 4000, 12_345])
def test_latents_needed_are_those_a_sound_of_that_length_has(model, extra):
    samples = model.samples + extra
    latent_nz = sound.latents(model, tiny_vae.windows(0, 4).ravel()[:samples])
    assert len(latent_nz) == sound.latents_needed(model, samples)


@pytest.mark.parametrize("seconds", [0.3, 1.0, 7.7])
def test_generate_is_as_long_as_asked_and_repeatable(model, seconds):
    samples = round(seconds * tiny_vae.RATE_HZ)
    count = sound.latents_needed(model, samples)
    drawn = sound.standard_prior(model)
    first_s, again_s, other_s = (
        sound.generate(model, sound.wander(drawn, count, seed), samples, iterations=2)
        for seed in (1, 1, 2)
    )
    assert first_s.shape == (samples,)
    assert np.isfinite(first_s).all() and np.abs(first_s).max() > 0
    np.testing.assert_array_equal(first_s, again_s)
    assert not np.allclose(first_s, other_s)


@pytest.mark.parametrize("samples", [700, 8000, 8001, 30_000])
def test_reconstruction_is_as_long_as_the_sound(model, samples):
    audio_s = tiny_vae.windows(1, 4).ravel()[:samples]
    made_s = sound.reconstruct(model, audio_s, iterations=0)
    assert made_s.shape == (samples,) and np.isfinite(made_s).all()


def test_interpolation_begins_and_ends_as_the_reconstructions(model):
    start_s, end_s = tiny_vae.windows(2, 6).reshape(2, -1)
    end_s = end_s[:20_000]
    first_s, last_s, morph_s = (
        sound.interpolate(model, start_s, end_s, mix)
        for mix in ([0.0], [1.0], [0.0, 1.0])
    )
    assert first_s.shape == last_s.shape == morph_s.shape == end_s.shape
    assert near(last_s, sound.reconstruct(model, end_s))
    count = sound.latents_needed(model, len(end_s))
    start_nz = sound.latents(model, start_s)[:count]
    assert near(first_s, sound.render(model, start_nz, len(end_s)))
    assert not near(first_s, last_s) and not near(morph_s, last_s)


def near(left_s, right_s):
    """Within 5 %: Griffin-Lim makes much of the last digit."""
    return np.std(left_s - right_s) < 0.05 * np.std(right_s)


def banded(latent_bz):
    """A decoder whose windows differ much: steady noise in a band that moves."""
    band_f = np.arange(64)[None, :]
    centre_b = 32 + 10 * latent_bz[:, :1]
    level_bf = np.exp(-0.5 * ((band_f - centre_b) / 6) ** 2)
    feature_bftc = np.zeros((len(latent_bz), 64, 63, 2), np.float32)
    feature_bftc[..., 0] = 2.0 * level_bf[:, :, None]
    return feature_bftc


def flux(feature_ftc):
    """Energy of the change from each frame to the next."""
    return np.square(np.diff(feature_ftc[..., 0], axis=1)).sum(axis=0)


def test_joints_are_no_rougher_than_what_lies_between(model):
    moving = model._replace(decode=banded)
    latent_nz = RNG.standard_normal((12, 8))
    joined_ftc = sound.spectrogram(moving, latent_nz)
    hop = sound.hop_frames(moving)
    joints = hop * np.arange(1, 12) - 1
    smooth_t = flux(joined_ftc)
    elsewhere = np.setdiff1d(np.arange(hop, len(smooth_t) - hop), joints)
    assert smooth_t[joints].mean() <= smooth_t[elsewhere].mean() * 1.1
    # The same windows side by side, where every joint is heard.
    hard_t = flux(np.concatenate(list(banded(latent_nz)[:, :, :hop]), axis=1))
    assert hard_t[joints].mean() > 100 * smooth_t[joints].mean()


def test_joints_are_not_heard_in_the_waveform_either(model):
    moving = model._replace(decode=banded)
    samples = 4 * tiny_vae.RATE_HZ
    count = sound.latents_needed(moving, samples)
    audio_s = sound.render(moving, RNG.standard_normal((count, 8)), samples)
    hop, length = sound.hop_frames(moving) * moving.spec.hop, moving.spec.hop
    # Clicks lie above the bands that sound.
    rough_s = np.abs(np.diff(audio_s, n=4))
    at = np.array(
        [rough_s[j - length : j + length].mean() for j in range(hop, samples, hop)]
    )
    assert at.mean() < 1.5 * rough_s[hop:-hop].mean()


def test_prior_and_decoder_of_a_window_agree_on_size(model):
    latent_nz = sound.draw(sound.standard_prior(model), 3, seed=0)
    assert latent_nz.shape == (3, 8)
    assert model.frames == phase.frames(model.samples, model.spec)
    assert overlap.cross_fade(model.decode(latent_nz), 31).shape == (64, 125, 2)
