import logging
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from distill_jax.data import labelled
from distill_jax.data.labelled import leaks, splits

RATE_HZ = 1000
S = labelled.Settings
WORDS = ("yes", "no", "maybe")


def write(path, seconds=1.0, seed=None, rate_hz=RATE_HZ):
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = zlib.crc32("/".join(path.parts[-4:]).encode()) if seed is None else seed
    audio_s = 0.1 * np.random.default_rng(seed).normal(size=round(seconds * rate_hz))
    soundfile.write(path, audio_s, rate_hz, subtype="FLOAT")


def counts(corpus):
    return Counter((clip.split, clip.label) for clip in corpus.clips)


def names(corpus, split):
    return {Path(clip.path).name for clip in corpus.split(split)}


@pytest.fixture
def words(tmp_path):
    """Three words by 20 speakers with names of Speech Commands, without lists."""
    for word in WORDS:
        for speaker in range(20):
            write(tmp_path / "words" / word / f"{speaker:08x}_nohash_0.wav")
    return tmp_path / "words"


@pytest.fixture
def noise(tmp_path):
    for number in range(2):
        write(tmp_path / "noise" / f"{number}.wav", 40.0)
    return str(tmp_path / "noise")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def test_lists_of_speech_commands_decide_the_split(words, cache):
    (words / "validation_list.txt").write_text(
        "yes/00000001_nohash_0.wav\nno/00000001_nohash_0.flac\n"
    )
    (words / "testing_list.txt").write_text("yes/00000002_nohash_0.wav\r\n")
    corpus = labelled.read(words, cache)
    assert corpus.labels == ("maybe", "no", "yes")
    assert counts(corpus) == {
        ("train", "maybe"): 20, ("train", "no"): 19, ("train", "yes"): 18,
        ("valid", "no"): 1, ("valid", "yes"): 1, ("test", "yes"): 1,
    }  # fmt: skip
    (words / "testing_list.txt").write_text("no/00000001_nohash_0.wav\n")
    with pytest.raises(ValueError, match=r"in both lists.*no/00000001"):
        labelled.read(words, cache)


def test_entries_of_a_list_without_recording_are_said(words, cache, caplog):
    (words / "validation_list.txt").write_text(
        "yes/00000001_nohash_0.wav\nno/gone_nohash_0.wav\nother/x_nohash_0.wav\n"
    )
    with caplog.at_level(logging.WARNING):
        labelled.read(words, cache, S(test_fraction=0.0))
    assert "1 recording(s) of the lists are not in" in caplog.text
    assert "no/gone" in caplog.text and "other" not in caplog.text


def test_speaker_rule_is_the_one_of_the_real_lists(recordings):
    root = recordings / "speech_commands_3"
    lists = {"valid": "validation_list.txt", "test": "testing_list.txt"}
    listed = {
        line: split
        for split, name in lists.items()
        for line in (root / name).read_text().splitlines()
    }
    files = list(root.glob("*/*.flac"))
    assert len(files) == 5188
    for path in files:
        want = listed.get(f"{path.parent.name}/{path.name}", "train")
        assert splits.speaker_split(path.name.split("_nohash_")[0]) == want


def test_names_of_speech_commands_without_lists_follow_its_rule(words, cache):
    corpus = labelled.read(words, cache, S(valid_fraction=0.2, test_fraction=0.3))
    for clip in corpus.clips:
        assert clip.split == splits.speaker_split(clip.speaker, 0.2, 0.3)
        assert Path(clip.path).name.startswith(clip.speaker) and clip.speaker


def test_files_of_unknown_speakers_are_divided_evenly_for_every_label(tmp_path, cache):
    for word, count in (("dog", 40), ("cat", 10), ("cow", 3)):
        for number in range(count):
            write(tmp_path / "pets" / word / "sub" / f"{number}.wav")
    corpus = labelled.read(tmp_path / "pets", cache)
    found = counts(corpus)
    assert found["train", "dog"] == 32 and found["valid", "dog"] == 4
    for word in ("dog", "cat", "cow"):
        assert min(found[split, word] for split in ("train", "valid", "test")) >= 1
    other = labelled.read(tmp_path / "pets", cache, S(seed=1))
    assert names(other, "test") != names(corpus, "test")
    assert labelled.read(tmp_path / "pets", cache) == corpus
    # Not where they are decides, but what they sound like.
    (tmp_path / "pets").rename(tmp_path / "animals")
    moved = labelled.read(tmp_path / "animals", cache)
    assert [clip.split for clip in moved.clips] == [c.split for c in corpus.clips]


def test_folds_are_disjoint_by_speaker_and_cover_all_clips(words, cache):
    tested, seen = [], []
    for fold in range(5):
        corpus = labelled.read(words, cache, S(folds=5, fold=fold))
        speakers = {
            split: {clip.speaker for clip in corpus.split(split)}
            for split in ("train", "valid", "test")
        }
        assert [len(speakers[s]) for s in ("train", "valid", "test")] == [12, 4, 4]
        assert not (speakers["train"] & speakers["test"])
        assert not (speakers["valid"] & (speakers["test"] | speakers["train"]))
        tested += [clip.path for clip in corpus.split("test")]
        seen.append(speakers)
    assert len(tested) == len(set(tested)) == 60
    assert all(seen[n]["valid"] == seen[(n + 1) % 5]["test"] for n in range(5))
    for folds, fold in ((2, 0), (5, 5), (5, -1)):
        with pytest.raises(ValueError, match="folds should be 3 or more"):
            labelled.read(words, cache, S(folds=folds, fold=fold))


def test_real_folds_are_even(recordings):
    root = recordings / "speech_commands_3"
    clips = [
        labelled.Clip(str(path), path.parent.name, speaker=path.name.split("_")[0])
        for path in sorted(root.glob("*/*.flac"))
    ]
    part = splits.divide(clips, (1.0,) * 5, seed=0)
    count = Counter((part[splits.group(clip)], clip.label) for clip in clips)
    for label in ("bed", "cat", "happy"):
        sizes = [count[fold, label] for fold in range(5)]
        assert max(sizes) - min(sizes) <= 0.05 * np.mean(sizes)


def test_words_are_chosen_and_the_rest_becomes_unknown(words, noise, cache):
    held = [f"{word}/{n:08x}_nohash_0.wav" for word in WORDS for n in range(10)]
    (words / "validation_list.txt").write_text("\n".join(held))
    only = labelled.read(words, cache, S(words=("yes", "no"), test_fraction=0.0))
    assert only.labels == ("yes", "no") and len(only.clips) == 40
    few = S(("yes", "no"), 0.1, 0.25, noise, test_fraction=0.0)
    corpus = labelled.read(words, cache, few)
    assert corpus.labels == ("yes", "no", "unknown", "silence")
    found = counts(corpus)
    assert found["valid", "unknown"] == 2 and found["valid", "silence"] == 5
    assert found["train", "unknown"] == 10
    np.testing.assert_allclose(corpus.proportions, (10, 10, 2, 5))
    with pytest.raises(ValueError, match=r"yse \(nearest: yes\).*maybe, no, yes"):
        labelled.read(words, cache, S(words=("yse", "no")))


def test_noise_to_train_with_is_never_that_to_judge_with(words, noise, cache):
    settings = S(silence=0.5, noise=noise, folds=5)
    corpus = labelled.read(words, cache, settings)
    assert {clip.split for clip in corpus.noise} == {"train", "valid", "test"}
    for other in corpus.noise:
        for clip in (*corpus.noise, *corpus.clips):
            if clip.sha256 == other.sha256 and clip.split != other.split:
                assert clip.start_s >= other.end_s or clip.end_s <= other.start_s
    silent = [clip for clip in corpus.split("test") if clip.label == "silence"]
    assert len(silent) == 6
    assert all(clip.end_s - clip.start_s == pytest.approx(1.0) for clip in silent)


def test_many_noises_are_divided_by_file(words, tmp_path, cache):
    for number in range(20):
        write(tmp_path / "many" / f"{number}.wav", 3.0)
    corpus = labelled.read(words, cache, S(noise=str(tmp_path / "many"), folds=5))
    assert sorted(Counter(clip.split for clip in corpus.noise).values()) == [2, 2, 16]
    assert all(clip.start_s == 0 and clip.end_s == 3 for clip in corpus.noise)


def test_silence_without_noise_is_refused(words, cache):
    with pytest.raises(ValueError, match=r"needs background noise.*_background_noise_"):
        labelled.read(words, cache, S(silence=0.1, folds=5))


def test_silence_tells_how_long_a_noise_would_do(words, tmp_path, cache):
    noise = tmp_path / "one"
    write(noise / "short.wav", 9.0)
    settings = S(silence=0.1, noise=str(noise), folds=5)
    with pytest.raises(ValueError, match=r"for valid, test: .* a recording of 10 s"):
        labelled.read(words, cache, settings)
    write(noise / "long.wav", 10.0)
    assert labelled.read(words, cache, settings).noise


def test_background_noise_of_the_corpus_is_no_word(words, cache):
    write(words / "_background_noise_" / "hum.wav", 30.0)
    for number in range(5):
        write(words / "_silence_" / f"{number}.wav")
    corpus = labelled.read(words, cache, S(folds=5))
    assert corpus.labels == ("maybe", "no", "silence", "yes")
    assert len(corpus.noise) == 3
    both = labelled.read(
        words, cache, S(words=("no",), unknown=0.5, silence=0.5, folds=5)
    )
    assert both.labels == ("no", "unknown", "silence")
    assert counts(both)["train", "silence"] == 3 + 1


def test_same_sound_in_two_splits_or_under_two_labels_is_refused(words, cache, caplog):
    (words / "validation_list.txt").write_text("yes/00000001_nohash_0.wav\n")
    sound = (words / "yes" / "00000001_nohash_0.wav").read_bytes()
    (words / "yes" / "copy_nohash_0.wav").write_bytes(sound)
    sound = (words / "no" / "00000003_nohash_0.wav").read_bytes()
    (words / "maybe" / "wrong_nohash_0.wav").write_bytes(sound)
    same = (words / "no" / "00000004_nohash_0.wav").read_bytes()
    (words / "no" / "harmless_nohash_0.wav").write_bytes(same)
    settings = S(test_fraction=0.0)
    with pytest.raises(ValueError, match=r"2 sound\(s\) occur in two splits") as error:
        labelled.read(words, cache, settings)
    for name in ("copy", "00000001", "wrong", "00000003", "drop_leaks=True"):
        assert name in str(error.value)
    assert "harmless" not in str(error.value)
    with caplog.at_level(logging.WARNING):
        corpus = labelled.read(words, cache, settings._replace(drop_leaks=True))
    assert len(corpus.clips) == 63 - 3
    left = {clip.path.split("words/")[1] for clip in corpus.clips}
    assert "yes/00000001_nohash_0.wav" in left and "yes/copy_nohash_0.wav" not in left
    assert not {"maybe/wrong_nohash_0.wav", "no/00000003_nohash_0.wav"} & left
    assert "leaving out 3 clip(s)" in caplog.text and "copy_nohash_0" in caplog.text


def test_stretches_of_one_file_leak_only_where_they_overlap():
    def clip(label, split, start_s, end_s, sound="a"):
        return labelled.Clip(f"{sound}.wav", label, split, start_s, end_s, sha256=sound)

    apart = [
        clip("x", "train", 0, 2),
        clip("y", "test", 2, 4),
        clip("x", "valid", 5, 6),
    ]
    assert leaks.without(apart) == apart
    nested = [clip("x", "train", 0, 9), clip("x", "train", 1, 2)]
    nested += [clip("x", "test", 8, 9.5)]
    with pytest.raises(ValueError, match="in 2 splits"):
        leaks.without(nested)
    assert leaks.without(nested, drop=True) == nested[2:]


def test_real_recordings_have_no_leak(recordings, tmp_path):
    root = recordings / "speech_commands_3"
    sounds = {}
    for path in root.glob("*/*.flac"):
        split = splits.speaker_split(path.name.split("_nohash_")[0])
        sounds.setdefault(path.read_bytes(), set()).add((path.parent.name, split))
    assert len(sounds) < 5188  # There are copies, but always of one label and split.
    assert all(len(places) == 1 for places in sounds.values())


def test_share_of_the_labels_is_stratified_and_nested(words, cache):
    found, kept = {}, {}
    for fraction in (0.05, 0.25, 0.5):
        corpus = labelled.read(words, cache, S(fraction=fraction, folds=5))
        found[fraction] = counts(corpus)
        kept[fraction] = {clip.path for clip in corpus.split("train")}
        assert len(corpus.clips) == 60
        assert len(corpus.split("train")) + len(corpus.split("unlabelled")) == 36
    assert [found[0.25]["train", word] for word in WORDS] == [3] * 3
    assert [found[0.05]["train", word] for word in WORDS] == [1] * 3
    assert kept[0.25] < kept[0.5]
    with pytest.raises(ValueError, match="fraction should be above 0"):
        labelled.read(words, cache, S(fraction=0.0, folds=5))


def test_what_cannot_be_learnt_from_is_refused_with_every_reason(tmp_path, cache):
    root = tmp_path / "few"
    write(root / "a" / "1.wav")
    with pytest.raises(ValueError) as error:
        labelled.read(root, cache)
    for fault in ("nothing is left to valid", "nothing is left to test", "one label"):
        assert fault in str(error.value)
    write(root / "loose.wav")
    with pytest.raises(
        ValueError, match=r"no folder that names their label: loose.wav"
    ):
        labelled.read(root, cache)
    (root / "loose.wav").write_bytes(b"no sound")
    with pytest.raises(ValueError, match="1 of 2 sound files cannot be used"):
        labelled.read(root, cache)
