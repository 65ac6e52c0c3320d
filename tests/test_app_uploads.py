"""What strangers upload."""

import os
import stat
import zipfile

import numpy as np
import pytest

from distill_jax.app import archives, places, uploads
from distill_jax.audio import files

RATE_HZ = 16_000


@pytest.fixture
def tone(tmp_path):
    path = tmp_path / "tone.wav"
    files.write(path, 0.1 * np.sin(np.arange(RATE_HZ) / 5), RATE_HZ, {})
    return path


def zipped(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def link(name):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("../evil.wav", "leads out"),
        ("a/../../evil.wav", "leads out"),
        ("/evil.wav", "leads out"),
        ("..\\evil.wav", "leads out"),
        ("c:evil.wav", "no plain name"),
        ("a\nb.wav", "no plain name"),
        (link("evil.wav"), "a link"),
    ],
)
def test_a_hostile_archive_is_refused_whole(tmp_path, tone, name, match):
    bad = zipped(
        tmp_path / "x.zip", [("good/a.wav", tone.read_bytes()), (name, "/etc/passwd")]
    )
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(archives.ArchiveError, match=match):
        uploads.recordings(root, [bad])
    assert not list((root / places.UPLOADS).iterdir())
    assert not (tmp_path / "evil.wav").exists()


def test_an_archive_is_limited_in_size_and_number(tmp_path):
    path = zipped(tmp_path / "x.zip", [(f"{n}.wav", b"0" * 1000) for n in range(5)])
    for limits, match in (((4999, 9), "more than"), ((9999, 4), "5 files, at most 4")):
        with pytest.raises(archives.ArchiveError, match=match):
            archives.unpack(path, tmp_path / "out", archives.Limits(*limits))
    assert archives.unpack(path, tmp_path / "out", archives.Limits(5000, 5)) == (5, 0)


def test_an_archive_that_lies_about_its_size_is_refused(tmp_path):
    path = zipped(tmp_path / "x.zip", [("bomb.wav", b"0" * 100_000)])
    data = path.read_bytes()
    true, said = (100_000).to_bytes(4, "little"), (10).to_bytes(4, "little")
    assert data.count(true) == 2
    path.write_bytes(data.replace(true, said))
    with pytest.raises(archives.ArchiveError):
        archives.unpack(path, tmp_path / "out", archives.Limits(1000, 5))
    assert not (tmp_path / "out").exists()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["x.zip"]


def test_an_archive_keeps_sounds_and_lists_and_no_tables(tmp_path, tone):
    sound = tone.read_bytes()
    entries = [("words/high/a.wav", sound), ("words/low/b.WAV", sound)]
    entries += [("words/testing_list.txt", "high/a.wav"), ("words/paths.csv", "/etc/x")]
    entries += [("__MACOSX/words/high/._a.wav", "junk"), ("words/high/.b.wav", "junk")]
    path = zipped(tmp_path / "My words!.zip", entries)
    folder, said = uploads.recordings(tmp_path, [path])
    kept = sorted(each.name for each in folder.rglob("*") if each.is_file())
    assert kept == ["a.wav", "b.WAV", "testing_list.txt"]
    assert folder.name == "words" and folder.parent.name.startswith("My_words_-")
    assert said.startswith("2 recordings in uploads/My_words_-")
    assert uploads.recordings(tmp_path, [path])[0] == folder


def test_what_is_no_sound_is_told_and_not_kept(tmp_path, tone):
    text = tmp_path / "text.wav"
    text.write_text("this is not a sound")
    root = tmp_path / "root"
    for paths in (
        [text, tone],
        [zipped(tmp_path / "x.zip", [("a/text.wav", text.read_bytes())])],
    ):
        with pytest.raises(ValueError, match=r"1 of \d files cannot be used: text.wav"):
            uploads.recordings(root, paths)
        assert not list((root / places.UPLOADS).iterdir())
    exe = tmp_path / "x.exe"
    exe.write_bytes(tone.read_bytes())
    with pytest.raises(ValueError, match=r"x.exe: expected \.wav"):
        uploads.recordings(root, [exe])


def test_sounds_without_an_archive_are_kept_even_with_equal_names(tmp_path, tone):
    other = tmp_path / "other" / "tone.wav"
    other.parent.mkdir()
    files.write(other, 0.2 * np.ones(800), RATE_HZ, {})
    folder, _ = uploads.recordings(tmp_path, [tone, other])
    assert sorted(each.name for each in folder.iterdir()) == ["tone-1.wav", "tone.wav"]
    with pytest.raises(ValueError, match="not both"):
        uploads.recordings(tmp_path, [tone, tmp_path / "x.zip"])
    with pytest.raises(ValueError, match="nothing was uploaded"):
        uploads.recordings(tmp_path, None)


def test_all_uploads_together_are_limited(tmp_path, tone):
    other, size = tmp_path / "other.wav", tone.stat().st_size
    files.write(other, 0.1 * np.cos(np.arange(RATE_HZ) / 5), RATE_HZ, {})
    most = size + other.stat().st_size
    root = tmp_path / "root"
    first, _ = uploads.recordings(root, [tone], most)
    folder = root / places.UPLOADS
    packed = zipped(tmp_path / "x.zip", [("a/b.wav", other.read_bytes())])
    for paths in ([other], [packed]):
        with pytest.raises(ValueError, match="--uploads-gb") as caught:
            uploads.recordings(root, paths, most - 1)
        assert f"no run needs any more in {folder}" in str(caught.value)
        assert list(folder.iterdir()) == [first]
    # What is there already takes no more room.
    assert uploads.recordings(root, [tone], 1)[0] == first
    assert uploads.recordings(root, [other], most)[0].parent == folder


def test_a_file_that_is_too_long_is_not_decoded(tone):
    assert not uploads.problem(tone, longest=1.0)
    assert "at most 0 are taken" in uploads.problem(tone, longest=0.5)
    assert len(uploads.sound(tone, 8000)) == 8000
    with pytest.raises(ValueError, match="no sound yet"):
        uploads.sound(None, 8000)


def test_folders_with_sounds_are_known_whatever_their_kind(tmp_path, tone):
    for number, name in enumerate(("a.flac", "b.MP3", "notes.txt")):
        (tmp_path / "root" / str(number)).mkdir(parents=True)
        (tmp_path / "root" / str(number) / name).write_bytes(b"")
    wanted = uploads.has_sound, uploads.has_words
    found = [places.folders(tmp_path, each) for each in wanted]
    assert found == [["root/0", "root/1"], ["root"]]


def test_damaged_archives_are_told(tmp_path):
    path = tmp_path / "x.zip"
    for content in (b"", b"PK\x03\x04 and nothing", os.urandom(100)):
        path.write_bytes(content)
        with pytest.raises(archives.ArchiveError, match="no zip archive"):
            archives.unpack(path, tmp_path / "out")
    zipped(path, [("readme.txt", "no sound")])
    with pytest.raises(archives.ArchiveError, match="no sound in the archive"):
        archives.unpack(path, tmp_path / "out")
