import numpy as np
import pytest

from distill_jax.audio import normalise

RNG = np.random.default_rng(0)
CLIPS = [np.float32(RNG.normal(0.3, 2.0, size)) for size in (4000, 2500, 1)]


@pytest.mark.parity
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("normalised", [True, False])
def test_waveforms_equal_transformers(masked, normalised):
    transformers = pytest.importorskip("transformers")
    settings = {"do_normalize": normalised, "return_attention_mask": masked}
    reference = transformers.Wav2Vec2FeatureExtractor(**settings)
    expected = reference(CLIPS, sampling_rate=16_000, padding=True, return_tensors="np")
    form = normalise.from_preprocessor(reference.to_dict())
    assert (form.masked, form.normalise) == (masked, normalised)
    found_bs, mask_bs = normalise.exact(CLIPS, form)
    np.testing.assert_allclose(found_bs, expected["input_values"], atol=2e-6)
    if masked:
        np.testing.assert_array_equal(mask_bs, expected["attention_mask"])


def test_each_clip_has_zero_mean_and_unit_variance():
    found_bs, mask_bs = normalise.exact(CLIPS[:2], normalise.Waveform())
    for row_s, mask_s in zip(found_bs, mask_bs, strict=True):
        np.testing.assert_allclose(row_s[mask_s].mean(), 0, atol=1e-6)
        np.testing.assert_allclose(row_s[mask_s].std(), 1, atol=1e-5)
        assert not row_s[~mask_s].any()


def test_silence_is_finite_and_clips_are_not_changed():
    silent_s = np.zeros(100, np.float32)
    before_s = CLIPS[0].copy()
    found_bs, _ = normalise.exact([silent_s, CLIPS[0]], normalise.Waveform())
    assert np.isfinite(found_bs).all() and not found_bs[0].any()
    np.testing.assert_array_equal(CLIPS[0], before_s)


def test_bad_clips_are_all_named():
    with pytest.raises(ValueError, match=r"clip 0 .*\(0,\).*clip 2"):
        normalise.exact([[], np.ones(4), np.ones((2, 4))], normalise.Waveform())
