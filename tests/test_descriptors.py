import librosa
import numpy as np
import pytest

from distill_jax.audio import descriptors, features

MEL = features.Mel()
RATE_HZ = MEL.rate_hz
TIME_S = np.arange(RATE_HZ) / RATE_HZ
CENTRE_F = features.band_edges_hz(RATE_HZ, MEL.mels)[1:-1]


def power(audio_ns):
    return np.asarray(features.mel_power(np.float32(audio_ns), MEL), np.float64)


def describe(audio_ns):
    audio_ns = np.float32(audio_ns)
    value_n5 = descriptors.describe(power(audio_ns), audio_ns, MEL)
    return dict(zip(descriptors.NAMES, value_n5.T, strict=True))


def noise(level=0.1):
    return level * np.random.default_rng(0).standard_normal(RATE_HZ)


def harmonics(pitch_hz, count=10, first=1):
    """A tone whose partials fall off by their number, with random phases."""
    partial_p = np.arange(first, first + count)
    partial_p = partial_p[partial_p * pitch_hz < RATE_HZ / 2][:, None]
    angle_ps = 2 * np.pi * pitch_hz * partial_p * TIME_S[None, :]
    angle_ps += np.random.default_rng(1).uniform(0, 2 * np.pi, partial_p.shape)
    return 0.1 * (np.sin(angle_ps) / partial_p).sum(axis=0)


def mixed():
    chirp_s = librosa.chirp(fmin=200, fmax=8000, sr=RATE_HZ, duration=1.0)
    return np.stack([noise(), harmonics(220), 0.3 * chirp_s, 0.01 * noise()])


def test_brightness_equals_librosas_centroid():
    power_nft = power(mixed())
    centroid_nt = librosa.feature.spectral_centroid(
        S=power_nft, freq=CENTRE_F[:, None]
    )[:, 0]
    energy_nt = power_nft.sum(axis=1)
    expected_n = (np.log2(centroid_nt) * energy_nt).sum(1) / energy_nt.sum(1)
    found_n = descriptors.brightness(power_nft, MEL)
    np.testing.assert_allclose(found_n, expected_n, rtol=1e-9)


def test_brightness_in_bands_is_near_that_of_the_full_spectrum():
    audio_ns = mixed()[:3]
    for audio_s, found in zip(audio_ns, describe(audio_ns)["brightness"], strict=True):
        power_kt = np.abs(librosa.stft(audio_s, pad_mode="constant")) ** 2
        centroid_t = librosa.feature.spectral_centroid(S=power_kt, sr=RATE_HZ)[0]
        weight_t = power_kt.sum(axis=0)
        expected = np.average(np.log2(centroid_t), weights=weight_t)
        assert abs(found - expected) < 0.05  # octaves


def test_brightness_rises_along_a_glide_of_sines():
    pitch_n1 = np.geomspace(100, 15_000, 12)[:, None]
    found_n = describe(0.1 * np.sin(2 * np.pi * pitch_n1 * TIME_S[None, :]))[
        "brightness"
    ]
    np.testing.assert_allclose(found_n, np.log2(pitch_n1[:, 0]), atol=0.05)


def test_noisiness_equals_librosas_flatness():
    power_nft = power(mixed())
    width_f = features.mel_filters(MEL).sum(axis=0)
    for power_ft, found in zip(
        power_nft, descriptors.noisiness(power_nft, MEL), strict=True
    ):
        density_ft = power_ft / width_f[:, None]
        flat_t = librosa.feature.spectral_flatness(
            S=density_ft, power=1.0, amin=density_ft.max() * 1e-8
        )[0]
        weight_t = power_ft.sum(axis=0)
        expected = np.average(10 * np.log10(flat_t), weights=weight_t)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_noise_is_noisy_and_tones_are_not():
    value = describe(np.stack([noise(), harmonics(440)]))["noisiness"]
    assert -1.5 < value[0] <= 0
    assert value[1] < -30


def test_loudness_is_the_level_of_the_mean_square():
    audio_ns = mixed()
    expected_n = 10 * np.log10(np.mean(audio_ns**2, axis=1))
    np.testing.assert_allclose(describe(audio_ns)["loudness"], expected_n, atol=0.3)


def test_gain_changes_loudness_and_nothing_else():
    before, after = describe(mixed()), describe(2 * mixed())
    gain_db = 20 * np.log10(2)
    np.testing.assert_allclose(
        after["loudness"] - before["loudness"], gain_db, atol=0.02
    )
    for name in ("brightness", "attack", "pitch"):
        np.testing.assert_allclose(after[name], before[name], atol=5e-3)


@pytest.mark.parametrize("rise", [0.1, 0.2, 0.4])
def test_attack_is_the_time_from_a_tenth_to_nine_tenths(rise):
    envelope_s = np.clip((TIME_S - 0.3) / rise, 0, 1)
    found = describe((harmonics(500) * envelope_s)[None])["attack"][0]
    assert abs(found - np.log10(0.8 * rise)) < 0.06


def test_attack_is_that_of_the_loudest_event():
    quiet_s = 0.3 * np.exp(-30 * TIME_S)
    swell_s = np.clip((TIME_S - 0.5) / 0.2, 0, 1)
    audio_s = harmonics(500) * (quiet_s + swell_s)
    found = describe(audio_s[None])["attack"][0]
    assert abs(found - np.log10(0.16)) < 0.1


def test_struck_sounds_have_short_attacks_and_swells_long_ones():
    envelope_ns = np.stack([np.exp(-5 * TIME_S), TIME_S**2])
    found_n = describe(harmonics(500)[None] * envelope_ns)["attack"]
    assert found_n[0] < -1.7 and found_n[1] > -0.3


@pytest.mark.parametrize("pitch_hz", [55.0, 110.3, 261.63, 880.0, 1790.0])
def test_pitch_is_that_of_the_tone_within_three_cents(pitch_hz):
    found = describe(harmonics(pitch_hz)[None])["pitch"][0]
    assert abs(found - np.log2(pitch_hz)) * 1200 < 3


def test_pitch_agrees_with_librosas_yin_on_a_voice_like_glide():
    pitch_s = 180 * 2 ** (0.5 * TIME_S)
    angle_s = 2 * np.pi * np.cumsum(pitch_s) / RATE_HZ
    audio_s = sum(np.sin(k * angle_s) / k for k in range(1, 12)) * 0.1
    yin_t = librosa.yin(audio_s, fmin=50, fmax=2000, sr=RATE_HZ)
    found = describe(audio_s[None])["pitch"][0]
    assert abs(found - np.median(np.log2(yin_t))) * 1200 < 15


def test_pitch_is_heard_where_the_fundamental_is_missing():
    found = describe(harmonics(200, first=2)[None])["pitch"][0]
    assert abs(found - np.log2(200)) * 1200 < 3


def test_noise_has_no_pitch_but_a_tone_in_some_noise_has():
    noisy_s = harmonics(300) + noise(0.01)
    found_n = describe(np.stack([noise(), noisy_s]))["pitch"]
    assert np.isnan(found_n[0])
    assert abs(found_n[1] - np.log2(300)) * 1200 < 5


def test_sounds_shorter_than_a_frame_are_described():
    value = describe(harmonics(300)[None, :1500])
    assert all(np.isfinite(value[name]).all() for name in descriptors.NAMES[:4])


def test_silence_has_a_loudness_and_nothing_else():
    value = describe(np.zeros((2, RATE_HZ)))
    assert (value.pop("loudness") == descriptors.SILENCE_DB).all()
    assert all(np.isnan(value_n).all() for value_n in value.values())


def test_each_sound_is_described_as_if_alone():
    together, alone = describe(mixed()), describe(mixed()[2:3])
    for name in descriptors.NAMES:
        np.testing.assert_allclose(together[name][2], alone[name][0], rtol=1e-6)


def test_a_rate_too_high_for_the_lowest_pitch_is_refused():
    with pytest.raises(ValueError, match="resample"):
        descriptors.pitch(np.zeros((1, 4096), np.float32), 96_000)
