import pytest

from distill_jax.audio import kaldi, normalise


@pytest.mark.parametrize("form", [kaldi, normalise])
def test_everything_that_is_not_handled_is_named(form):
    settings = {"dither": 1.0, "padding_side": "left", "sampling_rate": 16_000}
    settings |= {"feature_extractor_type": "WhisperFeatureExtractor"}
    with pytest.raises(ValueError, match=r"dither = 1\.0; .*Whisper.*'left'") as error:
        form.from_preprocessor(settings)
    assert "expected 'right'" in str(error.value)
    assert "sampling_rate = " not in str(error.value)


def test_the_preprocessor_of_another_family_is_refused():
    settings = {"feature_extractor_type": "SeamlessM4TFeatureExtractor"}
    assert kaldi.from_preprocessor(settings).stride == 2
    with pytest.raises(ValueError, match="expected 'Wav2Vec2FeatureExtractor'"):
        normalise.from_preprocessor(settings)
