import os
import subprocess
import sys
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import distill_jax
from distill_jax import folders
from distill_jax.audio import files

FORMATS = [
    ("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "FLOAT"), ("flac", "PCM_16"),
    ("ogg", "VORBIS"), ("ogg", "OPUS"), ("mp3", "MPEG_LAYER_III"), ("aiff", "PCM_16"),
]  # fmt: skip
RATE = 48000


@pytest.fixture(scope="module")
def audio_s():
    second_s = np.arange(2 * RATE) / RATE
    noise_s = np.random.default_rng(0).standard_normal(2 * RATE)
    return np.float32(0.4 * np.sin(2 * np.pi * 440 * second_s) + 0.02 * noise_s)


def sound(folder, audio_s, suffix, subtype):
    path = folder / f"{subtype.lower()}.{suffix}"
    soundfile.write(path, audio_s, RATE, subtype=subtype)
    return path


@pytest.mark.parametrize("suffix", [".wav", ".FLAC"])
def test_write_then_read_keeps_24_bits_and_settings(tmp_path, audio_s, suffix):
    path = tmp_path / f"a{suffix}"
    made_with = {"seed": 3, "axis": {"brightness": 2.0}, "name": "Öffnung", "on": None}
    files.write(path, audio_s, RATE, made_with)
    assert np.abs(files.read(path, RATE) - audio_s).max() <= 2.0**-24
    assert files.read_settings(path) == made_with
    info = soundfile.info(path)
    assert (info.subtype, info.samplerate, info.channels) == ("PCM_24", RATE, 1)
    assert os.listdir(tmp_path) == [path.name]


def test_full_scale_can_be_written(tmp_path):
    audio_s = np.float32([1.0, -1.0, 0.0])
    files.write(tmp_path / "a.wav", audio_s, RATE, {})
    assert np.abs(files.read(tmp_path / "a.wav", RATE) - audio_s).max() == 2.0**-23


@pytest.mark.parametrize(
    ("name", "audio", "message"),
    [
        ("a.mp3", [0.1], r"\.wav or \.flac, found '\.mp3'"),
        ("a", [0.1], r"found ''"),
        ("a.wav", [0.1, np.nan, np.inf], r"2 of 3 samples are NaN or infinite"),
        ("a.wav", [0.1, -1.25], r"peak 1\.250 is beyond full scale .* files\.limit"),
        ("a.flac", [], r"found shape \(0,\)"),
        ("a.flac", [[0.1, 0.1]], r"found shape \(1, 2\)"),
    ],
)
def test_write_refuses_and_leaves_nothing(tmp_path, name, audio, message):
    with pytest.raises(ValueError, match=message):
        files.write(tmp_path / name, np.array(audio, np.float32), RATE, {})
    assert not list(tmp_path.iterdir())


def test_long_settings_are_refused_by_wav_and_kept_by_flac(tmp_path, audio_s):
    long = {"text": "x" * 5000}
    with pytest.raises(ValueError, match=r"5,0\d\d bytes of JSON.*write \.flac"):
        files.write(tmp_path / "a.wav", audio_s, RATE, long)
    files.write(tmp_path / "a.flac", audio_s, RATE, long)
    assert files.read_settings(tmp_path / "a.flac") == long


def test_foreign_file_has_no_settings(tmp_path, audio_s):
    path = sound(tmp_path, audio_s, "wav", "PCM_16")
    with pytest.raises(ValueError, match="holds no settings"):
        files.read_settings(path)


def test_failed_write_keeps_the_old_file(tmp_path, audio_s):
    path = tmp_path / "a.wav"
    files.write(path, audio_s, RATE, {})
    before = path.read_bytes()
    with pytest.raises(RuntimeError), folders.replacing(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.wav"]


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(OSError, match=r"folder .*nowhere is missing, make it first"):
        files.write(tmp_path / "nowhere" / "a.wav", np.zeros(9), RATE, {})


def test_full_disk_is_said_and_nothing_half_written_stays(tmp_path):
    resource = pytest.importorskip("resource")
    program = (
        "import resource, sys, numpy\n"
        "from distill_jax.audio import files\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))\n"
        "files.write(sys.argv[1], numpy.zeros(48000), 48000, {})\n"
    )
    assert resource.RLIMIT_FSIZE is not None
    root = Path(distill_jax.__file__).parents[1]
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a.wav")],
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "bytes are free there: free some space" in result.stderr
    assert not list(tmp_path.iterdir())


@given(st.lists(st.floats(-50, 50, width=32), min_size=1), st.floats(0.1, 1))
def test_limit_never_exceeds_its_ceiling_nor_touches_quiet_audio(values, ceiling):
    ceiling = float(np.float32(ceiling))
    audio_s = np.array(values, np.float32)
    limited_s = files.limit(audio_s, ceiling)
    assert np.abs(limited_s).max() <= ceiling
    if np.abs(audio_s).max() <= ceiling:
        np.testing.assert_array_equal(limited_s, audio_s)


@pytest.mark.parametrize("rate_hz", [16000, 44100, 48000, 96000])
def test_read_mixes_and_resamples_like_librosa(tmp_path, rate_hz):
    audio_sc = np.random.default_rng(1).uniform(-0.5, 0.5, (44100, 2))
    soundfile.write(tmp_path / "a.wav", audio_sc, 44100, subtype="PCM_24")
    written_sc, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    want_s = librosa.resample(
        librosa.to_mono(written_sc.T), orig_sr=44100, target_sr=rate_hz
    )
    got_s = files.read(tmp_path / "a.wav", rate_hz)
    assert (got_s.dtype, len(got_s)) == (np.float32, rate_hz)
    # Where its length is rounded up in floating point, librosa adds a zero.
    np.testing.assert_allclose(got_s, want_s[:rate_hz], rtol=0, atol=1e-7)
    assert not want_s[rate_hz:].any()


@pytest.mark.parametrize("found_hz", [16000, 22050, 44100, 96000])
def test_resampled_sine_is_the_sine_at_the_new_rate(tmp_path, found_hz):
    def sine(rate_hz):
        return 0.5 * np.sin(2 * np.pi * 3000 * np.arange(rate_hz) / rate_hz + 1)

    files.write(tmp_path / "a.wav", sine(found_hz), found_hz, {})
    got_s = files.read(tmp_path / "a.wav", RATE)
    inner = slice(4800, -4800)
    np.testing.assert_allclose(got_s[inner], sine(RATE)[inner], atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 50000),
    st.sampled_from([8000, 11025, 22050, 44100, 96000]),
    st.sampled_from([16000, 44100, 48000]),
)
def test_length_is_known_before_reading(tmp_path_factory, frames, found_hz, rate_hz):
    path = tmp_path_factory.getbasetemp() / "length.wav"
    soundfile.write(path, np.full(frames, 0.1), found_hz)
    want = files.length(frames, found_hz, rate_hz)
    assert len(files.read(path, rate_hz)) == want
    assert 0 <= want - frames * rate_hz / found_hz < 1


@pytest.mark.parametrize(("suffix", "subtype"), FORMATS)
def test_every_format_is_decoded_completely(tmp_path, audio_s, suffix, subtype):
    path = sound(tmp_path, audio_s, suffix, subtype)
    found = files.probe(path)
    assert found.frames == len(audio_s)
    assert (found.rate_hz, found.channels, found.finite) == (RATE, 1, True)
    got_s = files.read(path, RATE)
    assert found.peak == np.abs(got_s).max()
    assert np.corrcoef(got_s, audio_s)[0, 1] > 0.99


def test_same_samples_in_another_container_have_the_same_hash(tmp_path, audio_s):
    files.write(tmp_path / "a.wav", audio_s, RATE, {"take": 1})
    files.write(tmp_path / "a.flac", audio_s, RATE, {"take": 2})
    other_s = audio_s.copy()
    other_s[-1] += 1e-5
    files.write(tmp_path / "b.wav", other_s, RATE, {"take": 1})
    wav, flac, other = (
        files.probe(tmp_path / name) for name in ("a.wav", "a.flac", "b.wav")
    )
    assert wav == flac
    assert wav.sha256 != other.sha256


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty file"), (b"no sound " * 99, "cannot be decoded")],
)
def test_other_content_is_refused(tmp_path, content, message):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        files.probe(path)


def test_nan_is_reported_and_does_not_hide_the_peak(tmp_path):
    audio_s = np.float32([0.0, np.nan, -0.5, np.inf] * 10)
    soundfile.write(tmp_path / "a.wav", audio_s, RATE, subtype="FLOAT")
    found = files.probe(tmp_path / "a.wav")
    assert (found.finite, found.peak) == (False, 0.5)


def test_the_header_promises_what_decodes(tmp_path, audio_s):
    for suffix, subtype in FORMATS[:5]:
        path = sound(tmp_path, audio_s, suffix, subtype)
        probe = files.probe(path)
        assert files.promised(path) == (probe.frames, probe.rate_hz)
