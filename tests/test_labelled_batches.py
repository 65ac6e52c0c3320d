import itertools
from collections import Counter

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_jax.data import labelled, manifest, stream
from distill_jax.data.labelled import mixture

RATE_HZ, WINDOW = 1000, 500
# Seconds of every recording; its samples say which it is and where they are.
LENGTHS = {
    "yes": (0.5, 0.3, 0.5, 0.5, 1.2), "no": (0.5,) * 20, "unknown": (2.0, 0.5),
    "silence": (10.0, 10.0),
}  # fmt: skip


@pytest.fixture
def corpus(tmp_path):
    clips, number = [], 0
    for label, lengths in LENGTHS.items():
        for seconds in lengths:
            number += 1
            audio_s = number / 64 + np.arange(round(seconds * RATE_HZ)) / 2**21
            path = tmp_path / "sounds" / f"{number:02d}.wav"
            path.parent.mkdir(exist_ok=True)
            soundfile.write(path, audio_s, RATE_HZ, subtype="FLOAT")
            clips.append(labelled.Clip(str(path), label, "train", 0.0, seconds))
    files = manifest.scan(tmp_path / "sounds", tmp_path / "cache")
    clips = [c._replace(sha256=f.sha256) for c, f in zip(clips, files, strict=True)]
    held = [clips[n]._replace(split="valid") for n in (0, 1, 4, 25, 27)]
    held.append(clips[28]._replace(split="valid", start_s=3.0, end_s=3.5))
    noise = [clips[27]._replace(end_s=8.0), clips[28]._replace(split="test")]
    files = tuple(sorted(files, key=lambda file: file.sha256))
    return labelled.Corpus(
        tuple(LENGTHS), (*clips, *held), tuple(noise), files, (1.0, 4.0, 1.0, 2.0),
        (2.0, 0.5, 2.0, 1.0),
    )  # fmt: skip


@pytest.fixture
def recordings_of(corpus, tmp_path):
    return labelled.prepare(corpus, RATE_HZ, tmp_path / "cache")


@pytest.fixture
def examples(corpus, recordings_of):
    return labelled.examples(corpus, "train", recordings_of, WINDOW)


def take(batches, start, count):
    iterator = batches(start)
    try:
        return list(itertools.islice(iterator, count))
    finally:
        iterator.close()


def assert_same(batches, others):
    for batch, other in zip(batches, others, strict=True):
        assert batch.keys() == other.keys()
        for name in batch:
            assert batch[name].dtype == other[name].dtype
            np.testing.assert_array_equal(batch[name], other[name])


def test_batches_have_the_fields_types_and_shapes_that_were_promised(examples):
    valid = labelled.valid_batches(examples, 7)()
    for batch in (*take(labelled.train_stream(examples, 7, 0), 0, 2), next(valid)):
        found = {name: (str(a.dtype), a.shape) for name, a in batch.items()}
        assert found == {
            "audio_bs": ("float32", (7, WINDOW)), "label_b": ("int32", (7,)),
            "weight_b": ("float32", (7,)), "seed_b": ("uint32", (7,)),
            "mask_seed_b": ("uint32", (7,)),
            "clip_b": ("int32", (7,)),
        }  # fmt: skip
    valid.close()


def test_any_step_can_be_the_first_and_seeds_differ(examples):
    train = labelled.train_stream(examples, 7, seed=3)
    whole = take(train, 0, 20)
    assert_same(take(train, 13, 7), whole[13:])
    assert_same(take(labelled.train_stream(examples, 7, seed=3), 0, 20), whole)
    seed_n = np.concatenate([batch["seed_b"] for batch in whole])
    assert len(set(seed_n.tolist())) == 140
    other = take(labelled.train_stream(examples, 7, seed=4), 0, 1)[0]
    assert not set(other["seed_b"].tolist()) & set(whole[0]["seed_b"].tolist())
    assert len(take(train, 10**9, 1)) == 1


def test_processes_share_every_batch_in_pieces(examples):
    whole = take(labelled.train_stream(examples, 6, 0), 2, 5)
    held = list(labelled.valid_batches(examples, 6)())
    parts, held_parts = [], []
    for process in range(3):
        loading = stream.Loading(process=process, processes=3)
        parts.append(take(labelled.train_stream(examples, 6, 0, loading), 2, 5))
        held_parts.append(list(labelled.valid_batches(examples, 6, loading)()))
    for all_of, alone in ((parts, whole), (held_parts, held)):
        joined = [
            {name: np.concatenate([part[name] for part in some]) for name in some[0]}
            for some in zip(*all_of, strict=True)
        ]
        assert_same(joined, alone)
    with pytest.raises(ValueError, match="7 cannot be shared by 3"):
        labelled.train_stream(examples, 7, 0, stream.Loading(processes=3))


@pytest.mark.slow
def test_worker_processes_make_the_same_batches(examples):
    threads = take(labelled.train_stream(examples, 7, 3), 5, 6)
    loading = stream.Loading(workers=2)
    assert_same(take(labelled.train_stream(examples, 7, 3, loading), 5, 6), threads)


def test_examples_hold_what_the_recordings_hold(examples, corpus):
    clips = corpus.split("train")
    batches = take(labelled.train_stream(examples, 16, 0), 0, 30)
    skips = {}
    for batch in batches:
        for audio_s, label, index in zip(
            batch["audio_bs"], batch["label_b"], batch["clip_b"], strict=True
        ):
            clip = clips[index]
            assert corpus.labels[label] == clip.label
            whole_s, _ = soundfile.read(clip.path, dtype="float32")
            if clip.label == "silence":
                gain = np.diff(audio_s.astype(np.float64)).mean() * 2**21
                assert 0 <= gain <= 1
                continue
            if len(whole_s) < WINDOW:  # In the middle of zeros.
                want_s = np.pad(whole_s, (100, 100))
            else:
                skip = round((audio_s[0] - whole_s[0]) * 2**21)
                skips.setdefault(int(index), set()).add(skip)
                want_s = whole_s[skip : skip + WINDOW]
            np.testing.assert_array_equal(audio_s, want_s)
    # A long word is cut where it is loudest, its end; long "unknown" anywhere.
    assert skips.pop(4) == {700}
    assert len(skips[25]) > 20 and min(skips[25]) >= 0 and max(skips[25]) <= 1500
    assert all(found == {0} for index, found in skips.items() if index != 25)


def test_labels_come_in_their_proportions_with_their_weights(examples):
    batches = take(labelled.train_stream(examples, 16, 0), 0, 10)
    for batch in batches:
        count = np.bincount(batch["label_b"], minlength=4)
        assert np.abs(count - np.array([2, 8, 2, 4])).max() <= 1
        want_b = np.array([2, 0.5, 2, 1])[batch["label_b"]]
        np.testing.assert_array_equal(batch["weight_b"], want_b)
    # All clips of a label before any comes again.
    clip_n = np.concatenate([batch["clip_b"] for batch in batches])
    label_n = np.concatenate([batch["label_b"] for batch in batches])
    for turn in clip_n[label_n == 1][:80].reshape(4, 20):
        assert sorted(turn) == list(range(5, 25))


def test_held_out_batches_are_all_clips_once_and_always_the_same(corpus, recordings_of):
    examples = labelled.examples(corpus, "valid", recordings_of, WINDOW)
    valid = labelled.valid_batches(examples, 4)
    batches = list(valid())
    assert_same(batches, list(valid()))
    weight_n = np.concatenate([batch["weight_b"] for batch in batches])
    np.testing.assert_array_equal(weight_n, [1] * 6 + [0] * 2)
    clip_n = np.concatenate([batch["clip_b"] for batch in batches])
    np.testing.assert_array_equal(clip_n, [0, 1, 2, 3, 4, 5, 5, 5])
    audio_ns = np.concatenate([batch["audio_bs"] for batch in batches])
    first_s, _ = soundfile.read(corpus.split("valid")[0].path, dtype="float32")
    np.testing.assert_array_equal(audio_ns[0], first_s)


def test_start_and_end_cut_a_recording(corpus, recordings_of):
    examples = labelled.examples(corpus, "valid", recordings_of, WINDOW)
    start, length = examples.start_n[5], examples.length_n[5]
    first, samples = recordings_of.places[corpus.split("valid")[5].sha256]
    assert (start - first, length, samples) == (3000, 500, 10_000)


def test_fixed_views_come_back_the_same_and_masks_do_not(examples):
    fixed = labelled.views(examples, 2, seed=5)
    batches = take(labelled.train_stream(examples, 8, 0, fixed=fixed), 0, 40)
    seen, masks = {}, set()
    for batch in batches:
        for n, key in enumerate(zip(batch["clip_b"], batch["view_b"], strict=True)):
            example = {k: batch[k][n] for k in ("audio_bs", "seed_b", "weight_b")}
            masks.add(int(batch["mask_seed_b"][n]))
            np.testing.assert_equal(example, seen.setdefault(key, example))
    assert len(seen) == 2 * len(examples.label_n) and len(masks) == 40 * 8
    assert len({int(one["seed_b"]) for one in seen.values()}) == len(seen)
    (batch,) = take(labelled.train_stream(examples, 8, 9, fixed=fixed), 7, 1)
    again = labelled.of_views(examples, fixed, batch["clip_b"], batch["view_b"])
    np.testing.assert_equal(again, {k: batch[k] for k in again})


def test_unlabelled_clips_share_the_stream_without_their_label(corpus, recordings_of):
    hidden = [clip._replace(split="unlabelled") for clip in corpus.clips[7:25]]
    corpus = corpus._replace(clips=(*corpus.clips[:7], *hidden, *corpus.clips[25:]))
    splits = "train", "unlabelled"
    examples = labelled.examples(corpus, splits, recordings_of, WINDOW)
    assert Counter(examples.label_n.tolist()) == {-1: 18, 0: 5, 1: 2, 2: 2, 3: 2}
    batches = take(labelled.train_stream(examples, 29, 0), 0, 10)
    label_n = np.concatenate([batch["label_b"] for batch in batches])
    weight_n = np.concatenate([batch["weight_b"] for batch in batches])
    assert abs(np.mean(label_n == -1) - 18 / 29) < 0.01
    assert set(weight_n[label_n == -1].tolist()) == {1.0}


def test_noise_is_that_of_the_split_alone(corpus, recordings_of):
    assert len(labelled.noise(corpus, "train", recordings_of)) == 8000
    test_s = labelled.noise(corpus, "test", recordings_of)
    whole_s, _ = soundfile.read(corpus.noise[1].path, dtype="float32")
    np.testing.assert_array_equal(test_s, whole_s)
    assert labelled.noise(corpus, "valid", recordings_of).shape == (0,)


def test_prepared_file_is_used_again_and_mended_if_it_is_cut_off(corpus, tmp_path):
    found = labelled.prepare(corpus, RATE_HZ, tmp_path / "cache")
    (path,) = (tmp_path / "cache" / f"labelled_{RATE_HZ}").iterdir()
    stamp, data = path.stat().st_mtime_ns, path.read_bytes()
    assert labelled.prepare(corpus, RATE_HZ, tmp_path / "cache") == found
    assert path.stat().st_mtime_ns == stamp
    path.write_bytes(data[:-400])
    labelled.prepare(corpus, RATE_HZ, tmp_path / "cache")
    assert path.read_bytes() == data
    half = labelled.prepare(corpus, RATE_HZ // 2, tmp_path / "cache")
    assert sum(length for _, length in half.places.values()) * 8 == len(data)


def test_recording_that_changed_is_refused(corpus, tmp_path):
    soundfile.write(corpus.files[0].path, np.ones(77) / 2, RATE_HZ)
    with pytest.raises(ValueError, match="changed since it was checked"):
        labelled.prepare(corpus, RATE_HZ, tmp_path / "cache")
    assert not list((tmp_path / "cache" / f"labelled_{RATE_HZ}").iterdir())


def test_split_without_clips_is_refused(corpus, recordings_of):
    with pytest.raises(ValueError, match="no clip of the split 'test'"):
        labelled.examples(corpus, "test", recordings_of, WINDOW)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.floats(0.01, 100)), min_size=1, max_size=6
    ),
    st.integers(0, 10**6),
)
def test_mixture_keeps_its_shares_from_any_place_on(kinds, start):
    first, mixed = 0, []
    for count, share in kinds:
        mixed.append(mixture.Kind(np.arange(first, first + count), share))
        first += count
    kind_n = np.repeat(np.arange(len(kinds)), [count for count, _ in kinds])
    index_b = mixture.indices(mixed, 5, np.arange(start, start + 300))
    found = np.bincount(kind_n[index_b], minlength=len(kinds))
    shares = np.array([share for _, share in kinds])
    assert np.abs(found - 300 * shares / shares.sum()).max() <= len(kinds)
    # One at a time, in any order, it is the same stream.
    some = [7, 250, 3]
    at = np.array([start + n for n in some])
    np.testing.assert_array_equal(mixture.indices(mixed, 5, at), index_b[some])


def test_real_recordings_reach_batches(recordings, tmp_path):
    names = [f"speech_commands_3/{word}" for word in ("bed", "cat")]
    for name in names:
        target = tmp_path / "words" / name.split("/")[1]
        target.parent.mkdir(exist_ok=True)
        target.mkdir()
        for path in sorted((recordings / name).iterdir())[:60]:
            (target / path.name).symlink_to(path)
    settings = labelled.Settings(
        silence=0.1, noise=str(recordings / "background_noise"), folds=5, balanced=True
    )
    corpus = labelled.read(tmp_path / "words", tmp_path / "cache", settings)
    prepared = labelled.prepare(corpus, 16_000, tmp_path / "cache")
    examples = labelled.examples(corpus, "train", prepared, 16_000)
    (batch,) = take(labelled.train_stream(examples, 30, 0), 0, 1)
    assert Counter(batch["label_b"].tolist()) == {0: 10, 1: 10, 2: 10}
    for index, audio_s in zip(batch["clip_b"], batch["audio_bs"], strict=True):
        clip = corpus.split("train")[index]
        if clip.label != "silence":
            want_s, _ = soundfile.read(clip.path, dtype="float32")
            before = (16_000 - len(want_s)) // 2
            np.testing.assert_array_equal(audio_s[before:][: len(want_s)], want_s)
    assert len(labelled.noise(corpus, "train", prepared)) == pytest.approx(
        0.8 * 16_000 * sum(f.seconds for f in corpus.files if f.seconds > 5), abs=16
    )
