import jax.numpy as jnp
import numpy as np
import pytest

from distill_jax.audio import files, kaldi

BANK = kaldi.Filterbank()


def speech(seed, samples):
    """Noise in bursts with pauses, coloured as a voice is; no tone, no silence."""
    rng = np.random.default_rng(seed)
    noise_s = rng.normal(size=samples + 200)
    voice_s = np.convolve(noise_s, np.exp(-np.arange(200) / 20), "valid")[:samples]
    loud_s = 0.02 + np.square(np.sin(np.arange(samples) / 2300 + seed))
    return (0.05 * voice_s * loud_s).astype(np.float32)


@pytest.fixture(scope="module")
def reference():
    transformers = pytest.importorskip("transformers")
    return transformers.SeamlessM4TFeatureExtractor(padding_value=1)


@pytest.mark.parity
def test_exact_equals_transformers(reference):
    clips = [speech(seed, 16_000 * 2 + 400 * seed) for seed in range(4)]
    clips.append(speech(9, 720))  # 3 frames: the last step is half
    expected = reference(clips, sampling_rate=16_000, return_tensors="np")
    found_btf, mask_bt = kaldi.exact(clips, BANK)
    assert found_btf.shape == expected["input_features"].shape == (5, 103, 160)
    np.testing.assert_array_equal(mask_bt, expected["attention_mask"])
    np.testing.assert_allclose(found_btf, expected["input_features"], atol=1e-5)


@pytest.mark.parity
def test_exact_equals_transformers_on_recordings(reference, recordings):
    paths = sorted((recordings / "speech_commands_3/cat").glob("*.flac"))[::100]
    paths += sorted((recordings / "esc10_4").rglob("*.ogg"))[::80]
    assert len(paths) > 15
    clips = [files.read(path, 16_000) for path in paths]
    expected = reference(clips, sampling_rate=16_000, return_tensors="np")
    found_btf, mask_bt = kaldi.exact(clips, BANK)
    np.testing.assert_array_equal(mask_bt, expected["attention_mask"])
    np.testing.assert_allclose(found_btf, expected["input_features"], atol=1e-5)


def test_exact_does_not_depend_on_how_many_frames_are_done_at_a_time(monkeypatch):
    clips = [speech(0, 60_000), 0.3 + speech(1, 9000)]
    expected_btf, _ = kaldi.exact(clips, BANK)
    monkeypatch.setattr(kaldi, "PART", 7)
    found_btf, _ = kaldi.exact(clips, BANK)
    np.testing.assert_allclose(found_btf, expected_btf, atol=1e-5)


@pytest.mark.parity
def test_fast_is_within_its_documented_error(reference):
    clips = [speech(seed, 48_000) for seed in range(4)]
    expected = reference(clips, sampling_rate=16_000, return_tensors="np")
    length_b = jnp.full(4, 48_000)
    found_btf, mask_bt = kaldi.fast(np.stack(clips), length_b, BANK)
    np.testing.assert_array_equal(mask_bt, expected["attention_mask"])
    error_btf = np.abs(found_btf - expected["input_features"])
    assert error_btf.max() < 2e-3 and np.quantile(error_btf, 0.999) < 2e-4


def test_fast_equals_exact_for_clips_of_several_lengths():
    clips = [speech(seed, samples) for seed, samples in enumerate((9000, 7003, 720))]
    padded_bs = np.stack([np.pad(x_s, (0, 9000 - len(x_s))) for x_s in clips])
    length_b = jnp.array([len(x_s) for x_s in clips])
    found_btf, found_bt = kaldi.fast(padded_bs, length_b, BANK)
    expected_btf, expected_bt = kaldi.exact(clips, BANK)
    np.testing.assert_array_equal(found_bt, expected_bt)
    np.testing.assert_allclose(found_btf, expected_btf, atol=2e-3)


def test_exact_is_the_same_in_a_batch_and_alone():
    clips = [speech(0, 9000), speech(1, 5000)]
    batch_btf, mask_bt = kaldi.exact(clips, BANK)
    for number, clip_s in enumerate(clips):
        alone_btf, alone_bt = kaldi.exact([clip_s], BANK)
        whole = alone_bt.sum()
        np.testing.assert_array_equal(batch_btf[number, :whole], alone_btf[0, :whole])
        assert mask_bt[number].sum() == whole == kaldi.steps(len(clip_s))


def test_odd_last_frame_is_masked_and_padded():
    feature_btf, mask_bt = kaldi.exact([speech(0, 720)], BANK)
    np.testing.assert_array_equal(mask_bt, [[True, False]])
    assert (feature_btf[0, 1, 80:] == BANK.padding_value).all()
    assert np.isfinite(feature_btf).all()


@pytest.mark.parity
def test_silence_gives_what_transformers_gives(reference):
    silent_s = np.zeros(16_000, np.float32)
    expected = reference([silent_s], sampling_rate=16_000, return_tensors="np")
    exact_btf, mask_bt = kaldi.exact([silent_s], BANK)
    np.testing.assert_allclose(exact_btf, expected["input_features"], atol=1e-5)
    assert mask_bt.all() and np.abs(exact_btf).max() < 0.01
    fast_btf, _ = kaldi.fast(silent_s[None], jnp.array([16_000]), BANK)
    np.testing.assert_allclose(fast_btf, 0, atol=0.01)


def test_too_short_and_stereo_clips_are_all_named():
    clips = [speech(0, 559), speech(0, 560), np.zeros((2, 4000))]
    with pytest.raises(ValueError, match=r"at least 560 .*clip 0 .*clip 2") as error:
        kaldi.exact(clips, BANK)
    assert "clip 1" not in str(error.value)


def test_settings_are_read_and_unknown_ones_refused():
    hub = {
        "feature_extractor_type": "SeamlessM4TFeatureExtractor",
        "feature_size": 80,
        "num_mel_bins": 80,
        "padding_side": "right",
        "padding_value": 1,
        "return_attention_mask": True,
        "sampling_rate": 16000,
        "stride": 2,
    }
    assert kaldi.from_preprocessor(hub) == BANK
    assert kaldi.from_preprocessor({}).padding_value == 0
