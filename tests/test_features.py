import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from distill_jax.audio import features

MEL = features.Mel()


@pytest.mark.parametrize(
    "mel",
    [
        MEL,
        features.Mel(16_000, 512, 128, 40),
        features.Mel(44_100, 4096, 1024),
        features.Mel(16_000, 512, 160, 40, 60.0, 7600.0),
    ],
)
def test_mel_filters_equal_librosa(mel):
    expected_fk = librosa.filters.mel(
        sr=mel.rate_hz,
        n_fft=mel.n_fft,
        n_mels=mel.mels,
        fmin=mel.low_hz,
        fmax=mel.high_hz,
        htk=True,
        norm=None,
    )
    np.testing.assert_allclose(features.mel_filters(mel), expected_fk.T, atol=1e-7)


@pytest.mark.parametrize("mel", [MEL, features.Mel(8000, 128, 64, 64)])
def test_to_mel_equals_one_product_with_the_filters(mel):
    filter_kf = features.mel_filters(mel)
    power_btk = np.random.default_rng(0).gamma(0.2, size=(2, 3, len(filter_kf)))
    # Of the second, some bands lie between two bins.
    assert (filter_kf.sum(axis=0) == 0).any() == (mel is not MEL)
    found_btf = features.to_mel(power_btk.astype(np.float32), mel)
    np.testing.assert_allclose(found_btf, power_btk @ filter_kf, rtol=1e-5, atol=1e-6)


def test_log_mel_equals_librosa():
    # Noise: beside a loud tone the rounding of both FFTs shows in the quiet bands.
    rng = np.random.default_rng(2)
    audio_bs = (rng.normal(size=(2, 33_717)) * [[0.3], [0.01]]).astype(np.float32)
    expected_bft = librosa.feature.melspectrogram(
        y=audio_bs, sr=48_000, htk=True, norm=None
    )
    expected_bft = np.log1p(expected_bft / 1e-3)
    found_bft = features.log_mel(audio_bs, MEL)
    assert found_bft.shape == (2, 128, 66)
    np.testing.assert_allclose(found_bft, expected_bft, atol=1e-5, rtol=1e-6)


def test_few_at_a_time_equals_all_at_once(monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    audio_bs = np.random.default_rng(0).normal(size=(7, 3000)).astype(np.float32)
    sizes = []

    def function(audio_bs):
        sizes.append(len(audio_bs))
        return jnp.cumsum(audio_bs, axis=1)[:, ::100]

    found_bs = features.few_at_a_time(function, audio_bs, clips=3)
    assert max(sizes) == 1  # mapped over clips, not handed the batch
    np.testing.assert_allclose(found_bs, function(audio_bs), rtol=1e-5, atol=1e-5)
    features.few_at_a_time(function, audio_bs, clips=7)
    assert sizes[-1] == 7
