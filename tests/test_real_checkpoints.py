"""Real checkpoints, where REAL_HF_DIR names a folder that holds them.

    REAL_HF_DIR/
      w2v-bert-2.0/              as save_pretrained writes it: config.json,
      hubert-large-ll60k/ …      safetensors, preprocessor_config.json; any names
      1272-141231-0000.flac      two utterances of LibriSpeech dev-clean, .flac or
      1272-141231-0001.flac      .wav; without them the recordings serve

    REAL_HF_DIR=~/models python -m pytest tests/test_real_checkpoints.py

Every folder is compared with `transformers`; w2v-bert-2.0, given the utterances, also
with the numbers that `transformers` holds it to.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from tiny_extraction import BERT, PREPROCESSOR, save_model, voice
from tiny_speech import WAVE

from distill_jax import semantic
from distill_jax.audio import files

# WavLM of transformers gives torch a mask and a bias of different types.
pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched")
RATE_HZ = 16_000
UTTERANCES = ("1272-141231-0000", "1272-141231-0001")
# last_hidden_state[:, 25:28, 4:10], test_inference_w2v2_bert of transformers 5.23.
PUBLISHED = [
    [
        [-0.0098, -0.0570, -0.1286, 0.0439, -0.1037, -0.0235],
        [-0.0767, 0.0574, -0.3224, 0.0482, 0.0440, -0.0193],
        [0.0220, -0.0878, -0.2027, -0.0028, -0.0666, 0.0721],
    ],
    [
        [-0.0348, -0.0521, -0.3036, 0.0285, -0.0715, -0.0453],
        [-0.0102, 0.0114, -0.3266, 0.0027, -0.0558, 0.0038],
        [0.0454, 0.0148, -0.2418, -0.0392, -0.0455, 0.0478],
    ],
]


@pytest.fixture
def real():
    """The folder that REAL_HF_DIR names."""
    if "REAL_HF_DIR" not in os.environ:
        pytest.skip("REAL_HF_DIR is not set: no real checkpoints to compare")
    return Path(os.environ["REAL_HF_DIR"]).expanduser()


def models_in(folder):
    return sorted(path.parent for path in folder.glob("*/config.json"))


def utterances_in(folder):
    """Audio of the two utterances, or as many of them as there are."""
    paths = [path for name in UTTERANCES for path in sorted(folder.glob(f"{name}.*"))]
    return [files.read(path, RATE_HZ) for path in paths]


def largest_difference(folder, clips):
    """From transformers, of the hidden state in the middle and the last."""
    torch, transformers = map(pytest.importorskip, ("torch", "transformers"))
    model, told = transformers.AutoModel.from_pretrained(
        folder, output_loading_info=True
    )
    # Only training reads it, and some files lack it.
    assert set(told["missing_keys"]) <= {"masked_spec_embed"}
    assert not told["mismatched_keys"]
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    encoder = semantic.load(folder, 0)
    count, largest = encoder.module.count, 0.0
    for clip_s in clips:
        inputs = extractor(clip_s, sampling_rate=RATE_HZ, return_tensors="pt")
        with torch.no_grad():
            states = model.eval()(**inputs, output_hidden_states=True).hidden_states
        for layer in (count // 2, count):
            (found_td,) = semantic.encode(encoder._replace(layer=layer), [clip_s])
            assert len(found_td) in (states[layer].shape[1], states[layer].shape[1] - 1)
            error_td = found_td - states[layer][0, : len(found_td)].numpy()
            largest = max(largest, np.abs(error_td).max())
    return largest


def differences(real, request):
    """{name of a folder: its largest difference}."""
    models, clips = models_in(real), utterances_in(real)
    assert models, f"{real} has no folder with a config.json"
    if not clips:
        paths = request.getfixturevalue("recordings") / "speech_commands_3/happy"
        clips = [files.read(path, RATE_HZ) for path in sorted(paths.glob("*.flac"))[:2]]
    return {folder.name: largest_difference(folder, clips) for folder in models}


def test_real_checkpoints_equal_transformers(real, request):
    apart = differences(real, request)
    assert max(apart.values()) < 1e-3, apart


def test_w2v_bert_gives_the_published_numbers(real):
    folder, clips = real / "w2v-bert-2.0", utterances_in(real)
    if not folder.is_dir() or len(clips) != 2:
        pytest.skip(f"{real} lacks w2v-bert-2.0 or {' or '.join(UTTERANCES)}")
    found = semantic.encode(semantic.load(folder, 24), clips)
    # The reference has 326 steps, the last of which may be half padding.
    assert max(map(len, found)) in (325, 326)
    slices = [feature_td[25:28, 4:10] for feature_td in found]
    np.testing.assert_allclose(slices, PUBLISHED, atol=1e-4)


@pytest.mark.parity
def test_a_folder_of_models_and_utterances_is_compared(tmp_path, monkeypatch, request):
    masked = {"return_attention_mask": True, "do_normalize": True}
    masked |= {"feature_extractor_type": "Wav2Vec2FeatureExtractor"}
    bert = {**PREPROCESSOR, "feature_extractor_type": "SeamlessM4TFeatureExtractor"}
    small = {"num_hidden_layers": 1}
    wave = {**WAVE, "feat_extract_norm": "layer", "conv_bias": True}
    save_model(tmp_path / "bert", BERT | small, bert)
    save_model(tmp_path / "wave", wave | small, masked)
    for number, name in enumerate(UTTERANCES):
        files.write(tmp_path / f"{name}.flac", voice(number, 9000), RATE_HZ, {})
    assert [len(clip_s) for clip_s in utterances_in(tmp_path)] == [9000, 9000]
    monkeypatch.setenv("REAL_HF_DIR", str(tmp_path))
    apart = differences(request.getfixturevalue("real"), request)
    assert apart.keys() == {"bert", "wave"} and max(apart.values()) < 1e-4
