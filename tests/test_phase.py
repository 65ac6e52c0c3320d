import functools

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from distill_jax.audio import distance, fourier, phase

SPEC = phase.Spectrogram()
CIRCULAR = phase.Spectrogram(frequency="circular")
BOTH = pytest.mark.parametrize(
    "spec", [SPEC, CIRCULAR], ids=lambda spec: spec.frequency
)


@pytest.fixture(scope="module")
def audio_bs():
    """A glide in noise, and quiet noise; half a second."""
    rng = np.random.default_rng(0)
    time_s = np.arange(24_000) / 48_000
    glide_s = np.sin(2 * np.pi * (200 * time_s + 4000 * time_s**2))
    noise_bs = rng.normal(size=(2, time_s.size)) * [[0.05], [0.003]]
    return (noise_bs + [[0.5], [0.0]] * glide_s).astype(np.float32)


def principal(angle):
    return (angle + np.pi) % (2 * np.pi) - np.pi


def spectrum_and_filters(audio_s):
    spectrum_kt = librosa.stft(audio_s.astype(np.float64), n_fft=2048, hop_length=512)
    filter_fk = librosa.filters.mel(
        sr=48_000, n_fft=2048, n_mels=128, htk=True, norm=None, dtype=np.float64
    )
    return spectrum_kt, filter_fk


def mel_centres_hz():
    edge_hz = librosa.mel_frequencies(130, fmin=0, fmax=24_000, htk=True)
    return edge_hz[1:-1], (edge_hz[2:] - edge_hz[:-2]) / 2


def reassigned_by_loops(audio_s):
    """Mean over the bins of each band of k sr/N + d sr/(2 pi H), weighted by power."""
    spectrum_kt, filter_fk = spectrum_and_filters(audio_s)
    centre_hz, half_width_hz = mel_centres_hz()
    bin_hz = 48_000 / 2048
    found_ft = np.zeros((128, spectrum_kt.shape[1]))
    angle_kt, power_kt = np.angle(spectrum_kt), np.abs(spectrum_kt) ** 2
    for t in range(spectrum_kt.shape[1]):
        hertz_k = np.arange(1025) * bin_hz
        if t:
            advance_k = angle_kt[:, t] - angle_kt[:, t - 1]
            excess_k = principal(advance_k - 2 * np.pi * 512 * np.arange(1025) / 2048)
            hertz_k = hertz_k + excess_k * 48_000 / (2 * np.pi * 512)
        for f in range(128):
            weight_k = filter_fk[f] * power_kt[:, t]
            mean = (weight_k @ hertz_k) / weight_k.sum() - centre_hz[f]
            reach = max(half_width_hz[f], bin_hz) + bin_hz
            found_ft[f, t] = np.clip(mean / reach, -1, 1)
    return found_ft


def circular_by_loops(audio_s):
    """Angle of the filtered sum of X[t] conj X[t - 1], less the centre's advance."""
    spectrum_kt, filter_fk = spectrum_and_filters(audio_s)
    centre_hz, _ = mel_centres_hz()
    found_ft = np.zeros((128, spectrum_kt.shape[1]))
    for t in range(1, spectrum_kt.shape[1]):
        band_f = filter_fk @ (spectrum_kt[:, t] * spectrum_kt[:, t - 1].conj())
        excess_f = np.angle(band_f) - 2 * np.pi * 512 * centre_hz / 48_000
        found_ft[:, t] = principal(excess_f) / np.pi
    return found_ft


def test_one_second_gives_94_frames():
    assert phase.frames(48_000, SPEC) == 94
    feature_bftc = jax.eval_shape(
        lambda x_bs: phase.encode(x_bs, SPEC),
        jax.ShapeDtypeStruct((3, 48_000), jnp.float32),
    )
    assert feature_bftc.shape == (3, 128, 94, 2)


def test_centres_equal_librosa():
    np.testing.assert_allclose(phase.centre_hz(SPEC), mel_centres_hz()[0], rtol=1e-9)


def test_level_equals_librosa(audio_bs):
    power_bft = librosa.feature.melspectrogram(
        y=audio_bs, sr=48_000, htk=True, norm=None
    )
    feature_bftc = phase.encode(audio_bs, SPEC)
    expected_bft = np.log1p(power_bft / 1e-3) / phase.LEVEL_NEPERS
    np.testing.assert_allclose(feature_bftc[..., 0], expected_bft, atol=5e-6)
    found_bft = phase.mel_power_bft(feature_bftc, SPEC)
    np.testing.assert_allclose(found_bft, power_bft, rtol=2e-5, atol=1e-9)


@pytest.mark.parametrize(
    ("spec", "by_loops"), [(SPEC, reassigned_by_loops), (CIRCULAR, circular_by_loops)]
)
def test_frequency_equals_its_formula(audio_bs, spec, by_loops):
    found_bft = np.asarray(phase.encode(audio_bs, spec)[..., 1])
    assert np.abs(found_bft).max() <= 1
    for found_ft, audio_s in zip(found_bft, audio_bs, strict=True):
        # Where float32 and float64 land on two sides of half a turn, both are right.
        difference_ft = np.abs(found_ft - by_loops(audio_s))
        if spec is CIRCULAR:
            difference_ft = np.minimum(difference_ft, 2 - difference_ft)
        assert np.quantile(difference_ft, 0.999) < 2e-4
        assert difference_ft.max() < 2e-2


@BOTH
@pytest.mark.parametrize("hertz", [100.0, 440.0, 1234.5, 7000.0, 15_000.0])
def test_frequency_of_a_sine_is_its_own(spec, hertz):
    sine_bs = np.sin(2 * np.pi * hertz * np.arange(24_000)[None] / 48_000)
    feature_bftc = phase.encode(sine_bs.astype(np.float32), spec)
    frame_fc = np.asarray(feature_bftc[0, :, 20])
    band = frame_fc[:, 0].argmax()
    found = phase.centre_hz(spec)[band] + phase.reach_hz(spec)[band] * frame_fc[band, 1]
    # Circular frequencies are known but for whole turns per hop.
    turns = (found - hertz) * 512 / 48_000
    assert abs(turns - round(turns) * (spec is CIRCULAR)) < 2e-3


@BOTH
def test_phase_stays_precise_for_a_minute(spec):
    rng = np.random.default_rng(0)
    frequency_btf = rng.uniform(-1, 1, (1, 5626, 128)).astype(np.float32)
    hertz_btf = phase.centre_hz(spec) + phase.reach_hz(spec) * frequency_btf
    step_btf = hertz_btf * (512 / 48_000)
    step_btf[:, 0] = 0
    expected_btf = np.cumsum(step_btf, axis=1)
    found_btf = np.asarray(phase.band_turns(frequency_btf, spec))
    error_btf = (found_btf - expected_btf + 0.5) % 1 - 0.5
    assert found_btf.min() >= 0 and found_btf.max() <= 1
    assert np.abs(error_btf).max() < 1e-3


def test_a_long_sine_keeps_its_frequency():
    sine_bs = 0.5 * np.sin(2 * np.pi * 3000 * np.arange(48_000 * 60)[None] / 48_000)
    feature_bftc = phase.encode(sine_bs.astype(np.float32), SPEC)
    audio_bs = np.asarray(phase.decode(feature_bftc, SPEC, 0))
    last_s = audio_bs[0, -48_000 - 4096 : -4096]
    spectrum_k = np.abs(np.fft.rfft(last_s * np.hanning(48_000)))
    assert spectrum_k.argmax() == 3000
    assert (spectrum_k[2980:3021] ** 2).sum() > 0.98 * (spectrum_k**2).sum()


def test_work_and_memory_grow_linearly_with_length():
    def cost(frames):
        feature_bftc = jax.ShapeDtypeStruct((1, 128, frames, 2), jnp.float32)
        program = phase.decode.lower(feature_bftc, SPEC, 2).compile()
        memory = program.memory_analysis().temp_size_in_bytes
        return np.array([program.cost_analysis()["flops"], memory])

    ratio = cost(5626) / cost(563)
    assert (ratio > 9).all() and (ratio < 11).all()


@BOTH
@pytest.mark.parametrize("iterations", [0, 2])
def test_silence_stays_silent(spec, iterations):
    feature_bftc = phase.encode(jnp.zeros((1, 24_000)), spec)
    assert not feature_bftc.any()
    assert not phase.decode(feature_bftc, spec, iterations).any()


def test_decode_gives_the_length_asked_for(audio_bs):
    feature_bftc = phase.encode(audio_bs, SPEC)
    assert phase.decode(feature_bftc, SPEC, 0).shape == (2, 46 * 512)
    assert phase.decode(feature_bftc, SPEC, 0, 24_000).shape == (2, 24_000)


@BOTH
def test_iterations_make_the_spectrogram_agree(audio_bs, spec):
    feature_bftc = phase.encode(audio_bs, spec)
    draft_bs, good_bs = (
        phase.decode(feature_bftc, spec, iterations, audio_bs.shape[1])
        for iterations in (0, 16)
    )
    draft_b = distance.mrstft(audio_bs, draft_bs)
    assert (distance.mrstft(audio_bs, good_bs) < 0.9 * draft_b).all()


def test_phase_of_a_tone_starts_better_than_at_random(audio_bs):
    feature_bftc = phase.encode(audio_bs[:1], SPEC)
    spectrum_btk = fourier.stft(audio_bs[:1])
    shape = spectrum_btk.shape
    turns_btk = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    random_bs = fourier.istft(
        jnp.abs(spectrum_btk) * jnp.exp(2j * np.pi * turns_btk), 512, 24_000
    )
    decoded_bs = phase.decode(feature_bftc, SPEC, 0, 24_000)
    reference_bs = audio_bs[:1]
    found = distance.spectral_convergence(reference_bs, decoded_bs)[0]
    assert found < 0.8 * distance.spectral_convergence(reference_bs, random_bs)[0]


@functools.partial(jax.jit, static_argnames=("spec",))
def draft_gradient(feature_bftc, audio_bs, spec):
    def loss(feature_bftc):
        decoded_bs = phase.decode(feature_bftc, spec, 0, audio_bs.shape[1])
        return distance.mrstft(audio_bs, decoded_bs).mean()

    return jax.grad(loss)(feature_bftc)


@BOTH
@pytest.mark.parametrize("level", [0.0, 1e-6, 1.0])
def test_gradient_of_a_draft_is_finite(audio_bs, spec, level):
    feature_bftc = phase.encode(level * audio_bs, spec)
    grad_bftc = draft_gradient(feature_bftc, audio_bs, spec)
    assert np.isfinite(grad_bftc).all()
    if level == 1:
        assert (np.abs(grad_bftc).max((0, 1, 2)) > 0).all()


def test_gradient_of_a_draft_equals_a_difference(audio_bs):
    feature_bftc = phase.encode(audio_bs, SPEC)
    rng = np.random.default_rng(0)
    way_bftc = jnp.asarray(rng.normal(size=feature_bftc.shape), jnp.float32)
    way_bftc = way_bftc * (feature_bftc[..., :1] > 0.5)

    @jax.jit
    def loss(step):
        decoded_bs = phase.decode(feature_bftc + step * way_bftc, SPEC, 0, 24_000)
        return jnp.sum((decoded_bs - audio_bs) ** 2)

    slope = (loss(5e-4) - loss(-5e-4)) / 1e-3
    np.testing.assert_allclose(jax.grad(loss)(0.0), slope, rtol=0.02)


@BOTH
def test_gradient_of_encode_is_finite_in_silence(spec):
    grad_bs = jax.grad(lambda x_bs: phase.encode(x_bs, spec).sum())(
        jnp.zeros((1, 9600))
    )
    assert np.isfinite(grad_bs).all()


def test_wrong_settings_are_all_named():
    wrong = SPEC._replace(frequency="instantaneous", hop=500)
    with pytest.raises(ValueError, match=r"'instantaneous'.*reassigned.*hop 500"):
        phase.encode(np.zeros((1, 9600), np.float32), wrong)
    with pytest.raises(ValueError, match="fewer mels"):
        phase.check(SPEC._replace(mels=400))
    with pytest.raises(ValueError, match="positive"):
        phase.check(SPEC._replace(hop=0))


def test_features_of_another_shape_are_an_error():
    with pytest.raises(
        ValueError, match=r"\[batch, 128, 19, 2\].*found \(1, 80, 19, 2\)"
    ):
        phase.decode(np.zeros((1, 80, 19, 2), np.float32), SPEC)
    with pytest.raises(ValueError, match=r"for 12000 samples"):
        phase.decode(np.zeros((1, 128, 19, 2), np.float32), SPEC, 0, 12_000)
