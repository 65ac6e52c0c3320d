import json
from pathlib import Path

import numpy as np
import pytest

from distill_jax.audio import files
from distill_jax.data import speech, speech_folder, words

LINES = words.lines()[::6]
REQUEST = speech.Request("hey jarvis", "hey_jarvis", "en", LINES, True, 0, "wav")


@pytest.fixture(scope="module")
def found():
    return speech.study(REQUEST)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, found):
    """Clips of each kind, and what the manifest says of them."""
    out = tmp_path_factory.mktemp("speech")
    speech_folder.begin(out, found)
    return out, list(speech_folder.clips(out, found, {0: 140, 1: 30, 2: 20}))


def test_voices_of_the_language_and_those_that_sound_like_them(found):
    assert {"en", "en-US", "en-GB-scotland"} <= {voice.name for voice in found.natives}
    accents = {voice.name for voice in found.accents}
    # Persian in Latin letters says hejdʒarvis; German hajarvis, Spanish ejxarbis.
    assert "fa-Latn" in accents and not accents & {"de", "es", "fr"}
    assert speech.study(REQUEST._replace(accents=False, lines=())).accents == ()


def test_a_language_that_nobody_speaks_is_told():
    with pytest.raises(ValueError, match="no voice of 'tlh'") as error:
        speech.study(REQUEST._replace(language="tlh", lines=()))
    assert "en-us" in str(error.value)


def test_phrase_in_the_negatives_is_left_out():
    lines = ("hello", "hey Jarvis", "say hay jarvis again", "jarvis", "hey")
    found = speech.study(REQUEST._replace(lines=lines))
    assert found.dropped == lines[1:3] and found.lines == (lines[0], *lines[3:])


def test_built_in_lines_differ_and_hold_every_sound_of_english():
    lines = words.lines()
    assert len(lines) == len(set(lines)) == 351
    found = speech.study(REQUEST._replace(lines=lines))
    said = "".join(ipa for _, ipa in found.material["en"].inventory)
    assert set("pbtdkɡmnŋfvθðszʃʒhɹjlwʧʤiɪeɛaɑɒɔʊuʌəɜ") <= set(said)


def test_clips_are_what_the_manifest_says(folder, found):
    out, lines = folder
    read = (out / speech_folder.MANIFEST).read_text("utf-8").splitlines()
    assert {json.loads(text)["path"] for text in read} == {x["path"] for x in lines}
    for line in lines:
        probe = files.probe(out / line["path"])
        assert (probe.rate_hz, probe.channels) == (speech.RATE_HZ, 1)
        assert probe.frames / probe.rate_hz == line["seconds"] and probe.peak > 0.01
        assert files.read_settings(out / line["path"]) == line
        label, name = line["path"].split("/")
        assert label == line["label"]
        assert name.split("_nohash_")[0] == line["speaker"].replace(" ", "-")


def test_speech_starts_and_ends_where_the_manifest_says(folder):
    out, lines = folder
    for line in lines:
        audio_s = np.abs(files.read(out / line["path"], speech.RATE_HZ))
        level_s = audio_s / audio_s.max()
        # Resampling moves levels at the edges a little, on either side of 0.005.
        first, *_, last = np.flatnonzero(level_s > 0.007) / speech.RATE_HZ
        assert line["start"] - 0.003 < first < last < line["end"] + 0.003
        first, *_, last = np.flatnonzero(level_s > 0.003) / speech.RATE_HZ
        assert first < line["start"] + 0.003 and line["end"] - 0.003 < last
        assert line["seconds"] == pytest.approx(line["end"] + speech.MARGIN_S, abs=1e-3)


def test_clips_are_unique_and_every_speaker_speaks(folder, found):
    out, lines = folder
    seen = {files.probe(out / line["path"]).sha256 for line in lines}
    assert len(seen) == len(lines) == 190
    phrase = [line for line in lines if line["label"] == "hey_jarvis"]
    foreign = [line for line in phrase if not line["voice"].startswith("en")]
    assert len(foreign) == len(phrase) // speech.EVERY
    natives = {line["speaker"] for line in phrase if line not in foreign}
    assert natives == set(found.variants)
    assert {line["text"] for line in phrase} == {"hey jarvis"}
    assert len({line["rate_wpm"] for line in phrase}) > 40


def test_all_voices_and_speakers_meet_before_any_do_again(found):
    count = len(found.natives) * len(found.variants)
    whole = found._replace(accents=())
    pairs = {speech._speaker(whole, speech.PHRASE, turn) for turn in range(count)}
    assert len(pairs) == count


def test_interrupted_folder_is_finished_with_the_same_samples(folder, found, tmp_path):
    full, lines = folder
    speech_folder.begin(tmp_path, found)
    begun = speech_folder.clips(tmp_path, found, {0: 20, 1: 0, 2: 0})
    kept = [next(begun) for _ in range(10)]
    begun.close()
    manifest = tmp_path / speech_folder.MANIFEST
    with manifest.open("a") as file:
        file.write('{"path": "hey_ja')
    (tmp_path / kept[3]["path"]).unlink()
    assert len(speech_folder.read(tmp_path)) == 9
    list(speech_folder.clips(tmp_path, found, {0: 20, 1: 0, 2: 0}))
    for line in lines[:20]:
        again, first = (folder / line["path"] for folder in (tmp_path, full))
        assert again.read_bytes() == first.read_bytes()
    assert (
        manifest.read_text("utf-8").splitlines()
        == ((full / speech_folder.MANIFEST).read_text("utf-8").splitlines()[:20])
    )


def test_clips_that_repeat_are_drawn_again(folder, found, tmp_path, monkeypatch):
    _, lines = folder
    speech_folder.begin(tmp_path, found)
    read = {("other", 0): lines[0] | {"path": "other", "label": "other"}}
    monkeypatch.setattr(speech_folder, "read", lambda out: dict(read))
    (line,) = speech_folder.clips(tmp_path, found, {0: 1, 1: 0, 2: 0})
    assert line["attempt"] == 1 and line["sha256"] != lines[0]["sha256"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_full_disk_is_told():
    told = "free some space, and the same command goes on"
    with (
        open("/dev/full", "ab", buffering=0) as file,
        pytest.raises(OSError, match=told),
    ):
        speech_folder._append(file, {"path": "hey_jarvis/f3_nohash_0.wav"})
