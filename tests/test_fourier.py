import itertools

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.signal

from distill_jax.audio import fourier


@pytest.fixture(scope="module")
def audio_bs():
    """Noise under a glide, louder and softer, 0.7 s at 48 kHz."""
    rng = np.random.default_rng(0)
    time_s = np.arange(33_717) / 48_000
    glide_s = np.sin(2 * np.pi * (200 * time_s + 4000 * time_s**2))
    noise_bs = rng.normal(size=(2, time_s.size)) * [[0.1], [0.001]]
    return (noise_bs + [[0.5], [0.02]] * glide_s).astype(np.float32)


def test_hann_equals_scipy():
    for n_fft in (512, 2048):
        expected_s = scipy.signal.get_window("hann", n_fft)
        np.testing.assert_allclose(fourier.hann(n_fft), expected_s, atol=1e-7)


@pytest.mark.parametrize("pad", ["constant", "reflect"])
@pytest.mark.parametrize(("n_fft", "hop"), [(2048, 512), (512, 128), (400, 160)])
def test_stft_equals_librosa(audio_bs, n_fft, hop, pad):
    expected_bkt = librosa.stft(audio_bs, n_fft=n_fft, hop_length=hop, pad_mode=pad)
    found_btk = fourier.stft(audio_bs, n_fft, hop, pad)
    scale = np.abs(expected_bkt).max()
    np.testing.assert_allclose(
        found_btk / scale, expected_bkt.swapaxes(1, 2) / scale, atol=2e-7
    )


def test_stft_of_a_cosine_by_hand():
    # cos(2 pi 5 n / 16) through a Hann window of 16: N/4 in its bin, half beside it.
    audio_bs = np.cos(2 * np.pi * 5 * np.arange(64) / 16)[None].astype(np.float32)
    spectrum_k = np.abs(fourier.stft(audio_bs, 16, 4)[0, 8])
    np.testing.assert_allclose(spectrum_k[3:8], [0, 2, 4, 2, 0], atol=1e-5)


def test_stft_shifts_with_the_signal(audio_bs):
    shifted_btk = fourier.stft(audio_bs[:, 3 * 512 :])
    found_btk = fourier.stft(audio_bs)[:, 3:]
    np.testing.assert_allclose(shifted_btk[:, 2:], found_btk[:, 2:], atol=2e-5)


@pytest.mark.parametrize("length", [None, 33_717, 33_000])
def test_istft_equals_librosa_for_any_spectrum(audio_bs, length):
    rng = np.random.default_rng(1)
    spectrum_btk = np.asarray(fourier.stft(audio_bs))
    spectrum_btk = spectrum_btk * np.exp(1j * rng.uniform(0, 6, spectrum_btk.shape))
    # The imaginary parts of the first and the last bin mean nothing.
    spectrum_btk[..., [0, -1]] = spectrum_btk[..., [0, -1]].real
    spectrum_btk = spectrum_btk.astype(np.complex64)
    found_bs = fourier.istft(spectrum_btk, 512, length)
    expected_bs = librosa.istft(
        spectrum_btk.swapaxes(1, 2), hop_length=512, n_fft=2048, length=length
    )
    np.testing.assert_allclose(found_bs, expected_bs, atol=5e-6)


@pytest.mark.parametrize("samples", [700, 1600, 4096, 33_717])
def test_istft_inverts_stft(samples):
    rng = np.random.default_rng(samples)
    audio_bs = rng.normal(size=(2, samples)).astype(np.float32)
    found_bs = fourier.istft(fourier.stft(audio_bs), 512, samples)
    np.testing.assert_allclose(found_bs, audio_bs, atol=2e-6)


def test_frames_are_as_many_as_stft_makes():
    for samples, hop in itertools.product((4096, 4097, 5119, 5120), (256, 512)):
        spectrum_btk = jax.eval_shape(
            lambda x_bs, hop=hop: fourier.stft(x_bs, 2048, hop),
            jax.ShapeDtypeStruct((1, samples), jnp.float32),
        )
        assert spectrum_btk.shape[1] == fourier.frames(samples, hop)


def test_angle_equals_numpy_and_has_a_finite_gradient():
    rng = np.random.default_rng(0)
    part_n2 = rng.normal(size=(1000, 2)) * 10.0 ** rng.integers(-8, 8, size=(1000, 1))
    axes_n2 = np.array([[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [-1, -1], [0, 0]])
    number_n = (np.concatenate([part_n2, axes_n2]) @ [1, 1j]).astype(np.complex64)
    found_n = fourier.angle(number_n)
    np.testing.assert_allclose(found_n, np.angle(number_n), atol=5e-7)
    grad = jax.grad(lambda x, y: fourier.angle(jax.lax.complex(x, y)), (0, 1))
    np.testing.assert_allclose(grad(0.3, -0.4), [1.6, 1.2], rtol=1e-5)
    assert grad(0.0, 0.0) == (0.0, 0.0)


def test_long_audio_leaves_no_long_constant_in_the_program():
    spectrum_btk = jax.ShapeDtypeStruct((1, 5626, 1025), jnp.complex64)
    text = fourier.istft.lower(spectrum_btk, 512).compile().as_text()
    assert len(text) < 1e6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fourier.stft(np.zeros(4096)), r"found \(4096,\)"),
        (lambda: fourier.stft(np.zeros((1, 4096)), 2048, 441), "choose a hop such as"),
        (lambda: fourier.istft(np.zeros((1, 9, 1025), "c8"), 500), "divides n_fft"),
        (
            lambda: fourier.istft(np.zeros((1, 9, 1025), "c8"), 512, 9000),
            "at most 5120",
        ),
    ],
)
def test_impossible_settings_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
