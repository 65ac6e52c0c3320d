import struct

import numpy as np
import pytest
import soundfile

from distill_jax.audio import containers, files

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


@pytest.mark.parametrize("share", [0.95, 0.5, 0.2])
@pytest.mark.parametrize(("suffix", "subtype"), FORMATS)
def test_truncated_file_is_refused(tmp_path, audio_s, suffix, subtype, share):
    path = sound(tmp_path, audio_s, suffix, subtype)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    for function in (files.probe, lambda path: files.read(path, RATE)):
        with pytest.raises(ValueError, match=r"truncated|damaged") as error:
            function(path)
        assert str(error.value).startswith(f"{path} ")


@pytest.mark.parametrize(
    ("suffix", "subtype"), [("ogg", "VORBIS"), ("ogg", "OPUS"), ("flac", "PCM_16")]
)
def test_one_changed_byte_is_found_where_there_are_checksums(
    tmp_path, audio_s, suffix, subtype
):
    path = sound(tmp_path, audio_s, suffix, subtype)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        files.probe(path)


def test_ogg_with_a_page_cut_out_is_refused(tmp_path, audio_s):
    path = sound(tmp_path, np.tile(audio_s, 5), "ogg", "VORBIS")
    data = path.read_bytes()
    starts = [at for at in range(len(data)) if data[at : at + 4] == b"OggS"]
    assert len(starts) > 5
    path.write_bytes(data[: starts[3]] + data[starts[4] :])
    with pytest.raises(ValueError, match="pages are missing"):
        files.probe(path)


@pytest.mark.parametrize("promised", [0x7FFFFFFF, 0xFFFFFFFF])
def test_wav_of_a_stream_of_unknown_length_is_read(tmp_path, audio_s, promised):
    path = sound(tmp_path, audio_s, "wav", "PCM_16")
    data = bytearray(path.read_bytes())
    at = data.index(b"data")
    data[at + 4 : at + 8] = struct.pack("<I", promised)
    path.write_bytes(data)
    assert files.probe(path).frames == len(audio_s)


def without_frame_count(path):
    """Takes the first frame, which holds the table, off an MP3."""
    data = path.read_bytes()
    # Header ff fb 94: 128 kbit/s at 48 kHz, no padding.
    assert data[:3] == b"\xff\xfb\x94"
    first = 144 * 128000 // 48000
    assert b"Info" in data[:first] or b"Xing" in data[:first]
    path.write_bytes(data[first:])


def test_mp3_without_a_frame_count_is_never_cut_short_silently(tmp_path, audio_s):
    path = sound(tmp_path, audio_s, "mp3", "MPEG_LAYER_III")
    assert containers.least_frames(path, len(audio_s)) == len(audio_s) - 2 * 1152
    without_frame_count(path)
    assert abs(containers.least_frames(path, 1) - len(audio_s)) < 2 * 1152
    # Its bit rate varies, so libsndfile's guess from the first frame is far off.
    assert soundfile.info(path).frames < len(audio_s) // 2
    with pytest.raises(ValueError, match="convert it"):
        files.probe(path)


def test_mp3_of_constant_bit_rate_needs_no_frame_count(tmp_path, audio_s):
    path = tmp_path / "a.mp3"
    with soundfile.SoundFile(
        path, "w", RATE, 1, compression_level=0.5, bitrate_mode="CONSTANT"
    ) as file:
        file.write(audio_s)
    data = path.read_bytes()
    first = containers._mp3_frame(data[:4])[0]
    path.write_bytes(data[first:])
    assert abs(files.probe(path).frames - len(audio_s)) < 3 * 1152


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050, 32000, 44100])
def test_mp3_of_every_version_has_its_length_counted(tmp_path, audio_s, rate_hz):
    path = tmp_path / "a.mp3"
    soundfile.write(path, audio_s, rate_hz)
    data = path.read_bytes()
    size, samples = containers._mp3_frame(data[:4])
    assert samples == (1152 if rate_hz >= 32000 else 576)
    path.write_bytes(data[size:])
    assert abs(containers.least_frames(path, 0) - len(audio_s)) < 3 * 1152


def test_mp3_with_tags_in_front_is_checked(tmp_path, audio_s):
    path = sound(tmp_path, audio_s, "mp3", "MPEG_LAYER_III")
    data = path.read_bytes()
    tag = b"ID3\x04\x00\x00" + bytes([0, 0, 40, 16]) + bytes(40 * 128 + 16)
    path.write_bytes(tag + data)
    assert files.probe(path).frames == len(audio_s)
    path.write_bytes((tag + data)[: -len(data) // 3])
    with pytest.raises(ValueError, match=r"truncated|damaged"):
        files.probe(path)


def test_real_recordings_are_whole(recordings):
    paths = sorted((recordings / "esc10_4").rglob("*.ogg"))
    assert len(paths) == 160
    assert not any(containers.missing(path) for path in paths)
