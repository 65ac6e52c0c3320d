import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

import distill_jax
from distill_jax.data import manifest

RATE = 22050


def tone(hz, seconds=0.5, level=0.3):
    second_s = np.arange(round(seconds * RATE)) / RATE
    return np.float32(level * np.sin(2 * np.pi * hz * second_s))


def write(path, audio_s, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio_s, RATE, **options)


@pytest.fixture
def good(tmp_path):
    """A folder with one file of every kind that is read."""
    root = tmp_path / "sounds"
    names = ("a.wav", "b.FLAC", "deep/er/c.ogg", "d.Mp3", "deep/e.aiff")
    for number, name in enumerate(names):
        write(root / name, tone(200 + 50 * number))
    write(root / "f.aif", tone(600), format="AIFF")
    return root


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def records(cache):
    (path,) = cache.glob("manifest_*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({line["name"] for line in lines}) == len(lines)
    return {line["name"]: line for line in lines}


def test_every_suffix_is_found_sorted_and_hidden_files_are_not(good, cache):
    (good / ".hidden").mkdir()
    write(good / ".hidden" / "x.wav", tone(100))
    write(good / "._a.wav", tone(100))
    (good / "notes.txt").write_text("no sound")
    clips = manifest.scan(good, cache)
    names = [Path(clip.path).relative_to(good).as_posix() for clip in clips]
    assert names == [
        "a.wav", "b.FLAC", "d.Mp3", "deep/e.aiff", "deep/er/c.ogg", "f.aif"
    ]  # fmt: skip
    assert manifest.require(clips) == clips
    for clip in clips:
        assert (clip.rate_hz, clip.channels) == (RATE, 1)
        assert clip.seconds == pytest.approx(0.5, abs=1e-4)


def bad_files(root):
    """Writes one file per fault: {name: what is said about it}."""
    whole = (root / "a.wav").read_bytes()
    for suffix in ("wav", "flac", "ogg", "mp3"):
        write(root / f"cut.{suffix}", tone(300, 2.0))
        data = (root / f"cut.{suffix}").read_bytes()
        (root / f"cut.{suffix}").write_bytes(data[: 2 * len(data) // 3])
    (root / "zero.wav").write_bytes(b"")
    (root / "text.wav").write_text("not a sound\n" * 50)
    (root / "header.wav").write_bytes(whole[:44])
    write(root / "none.wav", tone(300, 0.0))
    write(root / "nan.wav", np.float32([0.1, np.nan] * 9000), subtype="FLOAT")
    write(root / "inf.wav", np.float32([0.1, -np.inf] * 9000), subtype="FLOAT")
    write(root / "silent.wav", tone(300, level=0.9e-4), subtype="PCM_24")
    write(root / "short.wav", tone(300, 0.05))
    os.symlink(root / "nowhere.wav", root / "dead.wav")
    return {
        "cut.wav": "is truncated or damaged: ", "cut.flac": "decoding fails after",
        "cut.ogg": "cut off", "cut.mp3": "decode", "zero.wav": "empty file (0 bytes)",
        "text.wav": "cannot be decoded", "header.wav": "truncated",
        "none.wav": "holds no samples", "nan.wav": "holds NaN or infinite samples",
        "inf.wav": "holds NaN or infinite samples",
        "silent.wav": "is silent: its peak is below -80 dBFS",
        "short.wav": "too short: 0.050 s, at least 0.1 s", "dead.wav": "No such file",
    }  # fmt: skip


def test_every_fault_is_found_and_all_are_listed_together(good, cache, caplog):
    faults = bad_files(good)
    clips = manifest.scan(good, cache)
    found = {Path(clip.path).name: clip.problem for clip in clips if clip.problem}
    assert found.keys() == faults.keys()
    for name, problem in faults.items():
        assert problem in found[name], name
    with pytest.raises(ValueError) as error:
        manifest.require(clips)
    message = str(error.value)
    assert message.startswith("13 of 19 sound files cannot be used:")
    assert all(f"{good / name} {found[name]}" in message for name in faults)
    assert "or set config.data.skip_bad=True" in message
    with caplog.at_level(logging.WARNING):
        usable = manifest.require(clips, skip_bad=True)
    assert [clip for clip in clips if not clip.problem] == usable
    assert all(f"{good / name} {found[name]}" in caplog.text for name in faults)


def test_skip_bad_does_not_help_where_nothing_is_good(tmp_path, cache):
    write(tmp_path / "sounds" / "a.wav", tone(300, level=0.0))
    clips = manifest.scan(tmp_path / "sounds", cache)
    with pytest.raises(ValueError, match="none is left to train on"):
        manifest.require(clips, skip_bad=True)


def test_faint_dithered_audio_is_not_silent(tmp_path, cache):
    write(tmp_path / "sounds" / "a.wav", tone(300, level=1.2e-4), subtype="PCM_24")
    (clip,) = manifest.scan(tmp_path / "sounds", cache)
    assert not clip.problem


def test_second_scan_decodes_only_what_is_new_or_changed(good, cache):
    first = manifest.scan(good, cache)
    (record,) = cache.glob("manifest_*.jsonl")
    before, lines = record.stat().st_mtime_ns, records(cache)
    # Nobody can decode them now: what is known must come from the record.
    for clip in first:
        stat = os.stat(clip.path)
        Path(clip.path).write_bytes(bytes(stat.st_size))
        os.utime(clip.path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert manifest.scan(good, cache) == first
    assert record.stat().st_mtime_ns == before
    write(good / "a.wav", tone(900, 0.7))
    write(good / "new.wav", tone(950))
    (good / "b.FLAC").unlink()
    clips = manifest.scan(good, cache)
    assert [clip.problem for clip in clips] == [""] * 6
    assert clips[0].seconds == pytest.approx(0.7, abs=1e-4)
    after = records(cache)
    changed = {name for name in after if after[name] != lines.get(name)}
    assert changed == {"a.wav", "new.wav"}
    assert "b.FLAC" not in after


def test_faults_are_remembered_and_limits_are_not(good, cache):
    bad_files(good)
    first = manifest.scan(good, cache)
    assert manifest.scan(good, cache) == first
    relaxed = {clip.path: clip for clip in manifest.scan(good, cache, min_seconds=0.01)}
    assert not relaxed[str(good / "short.wav")].problem
    strict = manifest.scan(good, cache, min_seconds=0.6)
    assert sum("too short" in clip.problem for clip in strict) >= 7


def test_torn_or_old_record_is_completed(good, cache):
    first = manifest.scan(good, cache)
    (record,) = cache.glob("manifest_*.jsonl")
    lines = record.read_text().splitlines(keepends=True)
    old = json.dumps(json.loads(lines[1]) | {"version": 0, "frames": 1}) + "\n"
    record.write_text(lines[0] + old + lines[2][: len(lines[2]) // 2])
    assert manifest.scan(good, cache) == first
    assert len(records(cache)) == len(first)


def test_same_named_files_of_two_folders_are_not_mixed_up(tmp_path, cache):
    for folder, hz in (("one", 300), ("two", 400)):
        write(tmp_path / folder / "a.wav", tone(hz))
        os.utime(tmp_path / folder / "a.wav", ns=(10**18, 10**18))
    (one,) = manifest.scan(tmp_path / "one", cache)
    (two,) = manifest.scan(tmp_path / "two", cache)
    assert one.sha256 != two.sha256


def test_loops_of_links_end_and_links_are_followed(good, cache, tmp_path):
    write(tmp_path / "elsewhere" / "linked.wav", tone(1000))
    os.symlink(tmp_path / "elsewhere", good / "link")
    os.symlink(good, good / "deep" / "loop")
    clips = manifest.scan(good, cache)
    assert len(clips) == 7
    assert str(good / "link" / "linked.wav") in {clip.path for clip in clips}


def test_wrong_folders_are_explained(tmp_path, cache):
    with pytest.raises(FileNotFoundError, match=r"config\.data\.root should be"):
        manifest.scan(tmp_path / "missing", cache)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.m4a").write_bytes(b"x")
    (tmp_path / "full" / "README").write_bytes(b"x")
    found = r"\.wav, \.flac, .* are read, found 2 other file\(s\) \.m4a, README"
    with pytest.raises(FileNotFoundError, match=found):
        manifest.scan(tmp_path / "full", cache)
    with pytest.raises(NotADirectoryError, match="give the folder that holds it"):
        manifest.scan(tmp_path / "full" / "README", cache)


def test_missing_permission_is_explained():
    """As root nothing is forbidden: there another user's process looks."""
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o755)
        (folder / "cache").mkdir(mode=0o777)
        (folder / "cache").chmod(0o777)
        write(folder / "sounds" / "a.wav", tone(300))
        write(folder / "sounds" / "b.wav", tone(400))
        (folder / "sounds" / "b.wav").chmod(0)
        program = (
            "import os, sys; from distill_jax.data import manifest\n"
            "if os.getuid() == 0: os.setuid(65534)\n"
            "clips = manifest.scan(sys.argv[1] + '/sounds', sys.argv[1] + '/cache')\n"
            "print([clip.problem for clip in clips])\n"
            "os.chdir(sys.argv[1]); manifest.scan('closed', 'cache')\n"
        )
        write(folder / "closed" / "c.wav", tone(300))
        (folder / "closed").chmod(0)
        result = subprocess.run(
            [sys.executable, "-c", program, str(folder)],
            env=os.environ | {"PYTHONPATH": str(Path(distill_jax.__file__).parents[1])},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "['', 'cannot be read: Permission denied']" in result.stdout
        assert "PermissionError" in result.stderr
        assert "closed: Permission denied\nGrant read and search" in result.stderr
        (line,) = (folder / "cache").glob("manifest_*")
        assert "b.wav" not in line.read_text()
    finally:
        (folder / "closed").chmod(0o755)
        shutil.rmtree(folder)


def clips_of(hashes):
    clip = manifest.Clip("", 1.0, RATE, 1, "", "")
    return [clip._replace(path=f"{n:02}", sha256=name) for n, name in enumerate(hashes)]


@given(
    st.lists(st.integers(0, 12), min_size=2, max_size=40),
    st.floats(0.01, 0.99),
    st.integers(0, 5),
)
def test_split_is_disjoint_complete_and_keeps_copies_together(hashes, fraction, seed):
    clips = clips_of([str(number) for number in hashes])
    if len(set(hashes)) < 2:
        with pytest.raises(ValueError, match="at least 2 different sounds, found 1"):
            manifest.split(clips, fraction, seed)
        return
    train, valid = manifest.split(clips, fraction, seed)
    assert train and valid and sorted(train + valid) == clips
    assert not {clip.sha256 for clip in train} & {clip.sha256 for clip in valid}


def test_split_holds_out_the_share_that_is_asked_for():
    clips = clips_of([f"sound {number}" for number in range(100)])
    for fraction, count in ((0.1, 10), (0.25, 25), (0.001, 1), (0.999, 99)):
        train, valid = manifest.split(clips, fraction, seed=0)
        assert (len(train), len(valid)) == (100 - count, count)
    assert manifest.split(clips, 0.1, 0)[1] != manifest.split(clips, 0.1, 1)[1]
    with pytest.raises(ValueError, match=r"between 0 and 1, found 1\.5"):
        manifest.split(clips, 1.5, 0)


def test_split_does_not_depend_on_place_names_or_order(good, cache, tmp_path):
    shutil.copytree(good, tmp_path / "moved" / "there")
    os.rename(tmp_path / "moved/there/a.wav", tmp_path / "moved/there/z.wav")
    sides = [
        manifest.split(manifest.scan(root, cache), 0.4, seed=7)
        for root in (good, tmp_path / "moved")
    ]
    here, there = [[{clip.sha256 for clip in side} for side in pair] for pair in sides]
    assert here == there
    assert len(here[1]) == 2


def test_copy_in_another_container_stays_on_the_side_of_its_twin(tmp_path, cache):
    root = tmp_path / "sounds"
    for number in range(8):
        step_s = np.int16(20000 * tone(200 + 40 * number))
        write(root / f"{number}.wav", step_s, subtype="PCM_16")
        write(root / f"{number} copy.flac", step_s, subtype="PCM_16")
    clips = manifest.scan(root, cache)
    for seed in range(5):
        train, valid = manifest.split(clips, 0.25, seed)
        sides = [{Path(clip.path).name[0] for clip in side} for side in (train, valid)]
        assert not sides[0] & sides[1]
        assert (len(train), len(valid)) == (12, 4)


def test_real_recordings_are_usable_and_split_by_file(recordings, cache):
    clips = manifest.require(manifest.scan(recordings / "esc10_4" / "rooster", cache))
    assert len(clips) == 40
    assert all(clip.rate_hz == 44100 and 4.9 < clip.seconds < 5.1 for clip in clips)
    assert [len(side) for side in manifest.split(clips, 0.1, seed=0)] == [36, 4]
