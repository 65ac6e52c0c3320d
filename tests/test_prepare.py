import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import distill_jax
from distill_jax.audio import files
from distill_jax.data import manifest, pipeline

RATE = 16000


@pytest.fixture
def clips(tmp_path):
    """Three sounds of which one is there twice, and none at the wanted rate."""
    root, rng = tmp_path / "sounds", np.random.default_rng(0)
    root.mkdir()
    for name, rate_hz, seconds in (
        ("a", 22050, 0.5),
        ("b", 8000, 1.2),
        ("c", 44100, 0.3),
    ):
        audio_sc = rng.uniform(-0.5, 0.5, (round(seconds * rate_hz), 2))
        soundfile.write(root / f"{name}.wav", audio_sc, rate_hz)
    (root / "d.wav").write_bytes((root / "a.wav").read_bytes())
    return manifest.require(manifest.scan(root, tmp_path / "cache"))


def test_prepared_audio_is_what_read_gives(clips, tmp_path):
    paths = pipeline.prepare(clips, RATE, tmp_path / "cache")
    for clip, path in zip(clips, paths, strict=True):
        audio_s = np.load(path, mmap_mode="r")
        assert audio_s.dtype == np.float32
        np.testing.assert_array_equal(audio_s, files.read(clip.path, RATE))
    assert paths[0] == paths[3]
    assert len(set(paths)) == 3
    others = pipeline.prepare(clips, 8000, tmp_path / "cache")
    assert not set(others) & set(paths)


def test_second_preparation_needs_no_recordings(clips, tmp_path):
    paths = pipeline.prepare(clips, RATE, tmp_path / "cache")
    times = [os.stat(path).st_mtime_ns for path in paths]
    for clip in clips:
        Path(clip.path).unlink()
    assert pipeline.prepare(clips, RATE, tmp_path / "cache") == paths
    assert [os.stat(path).st_mtime_ns for path in paths] == times


def test_damaged_cache_is_made_again(clips, tmp_path):
    paths = pipeline.prepare(clips, RATE, tmp_path / "cache")
    want = [np.load(path) for path in paths]
    data = Path(paths[0]).read_bytes()
    Path(paths[0]).write_bytes(data[:-4])
    Path(paths[1]).write_bytes(b"")
    Path(paths[2]).write_bytes(bytes(len(data)))
    assert pipeline.prepare(clips, RATE, tmp_path / "cache") == paths
    for path, audio_s in zip(paths, want, strict=True):
        np.testing.assert_array_equal(np.load(path), audio_s)


def test_file_changed_after_the_check_is_refused(clips, tmp_path):
    soundfile.write(clips[1].path, np.full(4000, 0.1), 8000)
    with pytest.raises(ValueError, match=r"b\.wav changed since it was checked"):
        pipeline.prepare(clips, RATE, tmp_path / "cache")


def test_too_little_space_is_said_beforehand(clips, tmp_path):
    long = clips[0]._replace(seconds=1e9, sha256="long")
    with pytest.raises(
        OSError, match=r"64,000,000,000,128 bytes .* another cache folder"
    ):
        pipeline.prepare([long], RATE, tmp_path / "cache")


def test_disk_that_fills_up_is_said_and_leaves_nothing_half_written(clips, tmp_path):
    pytest.importorskip("resource")
    program = (
        "import resource, sys\n"
        "from distill_jax.data import manifest, pipeline\n"
        "clips = manifest.scan(sys.argv[1], sys.argv[2])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40000, 40000))\n"
        "pipeline.prepare(clips, 16000, sys.argv[2])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "sounds", tmp_path / "cache"],
        env=os.environ | {"PYTHONPATH": str(Path(distill_jax.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "bytes are free there: free some space" in result.stderr
    left = list((tmp_path / "cache" / "audio_16000").iterdir())
    assert all(len(np.load(path)) in (8000, 4800) for path in left)


def test_real_recordings_reach_batches_at_their_own_level(recordings, tmp_path):
    clips = manifest.require(
        manifest.scan(recordings / "esc10_4" / "dog_bark", tmp_path)
    )
    train, valid = manifest.split(clips, 0.2, seed=0)
    paths = pipeline.prepare(valid, 48000, tmp_path)
    source = pipeline.source(paths, 48000, 24000)
    assert (source.length_n > 4.9 * 48000).all()
    want = sum(-(-(length - 48000) // 24000) + 1 for length in source.length_n)
    assert len(source.window_nk) == want
    peak_n = np.zeros(len(valid))
    for batch in pipeline.valid_batches(source, 16)():
        np.maximum.at(peak_n, batch["clip_b"], np.abs(batch["audio_bs"]).max(axis=1))
    for clip, peak in zip(valid, peak_n, strict=True):
        # Resampling moves a peak a little; a normalised window would have peak 1.
        assert peak == pytest.approx(files.probe(clip.path).peak, rel=0.1)
    assert peak_n.min() < 0.8
    assert {clip.sha256 for clip in train}.isdisjoint(clip.sha256 for clip in valid)
