import numpy as np
import pytest

from distill_jax.audio import features, fourier, magnitude

MEL = features.Mel()
EDGES = features.band_edges_hz(MEL.rate_hz, MEL.mels) * MEL.n_fft / MEL.rate_hz


@pytest.fixture(scope="module")
def power_btk():
    """A smooth spectrum with a peak, [1, 3, 1025], at three levels."""
    bin_k = np.arange(1025)
    power_k = 50 * np.exp(-0.5 * ((bin_k - 300) / 40) ** 2) + 1 / (1 + bin_k / 100)
    return (power_k * np.array([[[1.0], [1e-4], [1e3]]])).astype(np.float32)


def moments(power_btk):
    """Power of each band and its mean in bins from the centre, numpy float64."""
    filter_kf = features.mel_filters(MEL).astype(np.float64)
    mel_btf = power_btk @ filter_kf
    offset_kf = filter_kf * (np.arange(1025)[:, None] - EDGES[1:-1])
    return mel_btf, power_btk @ offset_kf / mel_btf


@pytest.mark.parametrize("widest_bins", [np.inf, 4.0, 0.0])
def test_halves_add_up_to_the_mel_filters(widest_bins):
    half_kn = magnitude.halves(MEL, widest_bins).filter_kn
    assert half_kn.min() >= 0
    both_kf = half_kn[:, 0::2] + half_kn[:, 1::2]
    np.testing.assert_allclose(both_kf, features.mel_filters(MEL), atol=1e-6)


@pytest.mark.parametrize("widest_bins", [np.inf, 4.0, 0.0])
def test_blocks_hold_every_filter(widest_bins):
    half_kn = magnitude.halves(MEL, widest_bins).filter_kn
    found_kn, start = np.zeros_like(half_kn), 1
    for block in magnitude.blocks(MEL, widest_bins):
        stop = start + len(block.filter_kn)
        found_kn[start:stop, block.halves] = block.filter_kn
        np.testing.assert_allclose(block.spread_nk.sum(0), 1.0, rtol=1e-5)
        start = stop
    assert start == 1024
    np.testing.assert_array_equal(found_kn, half_kn)


def test_smooth_spectrum_comes_back(power_btk):
    mel_btf, offset_btf = moments(power_btk)
    found_btk = magnitude.from_bands(
        mel_btf.astype(np.float32), offset_btf.astype(np.float32), MEL
    )
    ratio_btk = np.asarray(found_btk)[..., 8:-8] / np.sqrt(power_btk[..., 8:-8])
    np.testing.assert_allclose(ratio_btk, 1.0, atol=0.05)


def test_power_of_the_bands_is_kept():
    rng = np.random.default_rng(0)
    audio_bs = rng.normal(size=(1, 9600)).astype(np.float32)
    power_btk = fourier.power(fourier.stft(audio_bs))
    mel_btf, offset_btf = moments(np.asarray(power_btk, np.float64))
    mel_btf = mel_btf.astype(np.float32)
    found_btk = magnitude.from_bands(mel_btf, offset_btf.astype(np.float32), MEL)
    ratio_btf = features.to_mel(found_btk**2, MEL) / mel_btf
    # The lowest bands hold one or two bins, whose moments noise contradicts.
    assert np.abs(np.log(ratio_btf)).mean() < 0.02
    np.testing.assert_allclose(ratio_btf[..., 40:], 1.0, atol=0.05)


def test_mean_frequency_sharpens_noise():
    rng = np.random.default_rng(1)
    audio_bs = rng.normal(size=(1, 24_000)).astype(np.float32)
    spectrum_btk = np.asarray(fourier.stft(audio_bs))
    mel_btf, offset_btf = moments(np.abs(spectrum_btk).astype(np.float64) ** 2)
    mel_btf, offset_btf = mel_btf.astype(np.float32), offset_btf.astype(np.float32)

    def error(widest_bins):
        found_btk = magnitude.from_bands(mel_btf, offset_btf, MEL, widest_bins)
        return np.linalg.norm(np.abs(spectrum_btk) - found_btk)

    assert error(np.inf) < 0.95 * error(0.0)


@pytest.mark.parametrize("hertz", [0.0, 6.0, 12.0, 20.0])
def test_bin_zero_follows_the_lobe_of_the_window(hertz):
    """A complex tone between bins 0 and 1, whose lobe scipy computes."""
    tone_s = np.exp(2j * np.pi * hertz / 48_000 * np.arange(2048)) * fourier.hann(2048)
    lobe_k = np.abs(np.fft.fft(tone_s)[:1025])
    power_btk = lobe_k[None, None, 1:-1] ** 2
    offset_bt = np.full((1, 1), hertz * 2048 / 48_000, np.float32)
    found_btk = magnitude._fill_ends(power_btk.astype(np.float32), offset_bt)
    np.testing.assert_allclose(found_btk[0, 0, 0], lobe_k[0] ** 2, rtol=2e-3)


def test_silence_has_no_magnitude():
    zero_btf = np.zeros((1, 2, 128), np.float32)
    assert not magnitude.from_bands(zero_btf, zero_btf, MEL).any()
