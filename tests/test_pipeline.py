import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import distill_jax
from distill_jax.data import pipeline

WINDOW, HOP = 64, 16
LENGTHS = (64, 40, 200, 131, 65, 1000, 64, 64)
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(distill_jax.__file__).parents[1])}


@pytest.fixture
def source(tmp_path):
    """Files whose samples say where they are: 2,000 times the file plus the index."""
    paths = []
    for file, length in enumerate(LENGTHS):
        paths.append(str(tmp_path / f"{file}.npy"))
        np.save(paths[-1], np.float32(2000 * (file + 1) + np.arange(length)))
    return pipeline.source(paths, WINDOW, HOP)


def take(stream, start, count):
    batches = stream(start)
    try:
        return list(itertools.islice(batches, count))
    finally:
        batches.close()


def assert_same(batches, others):
    assert len(batches) == len(others)
    for batch, other in zip(batches, others, strict=True):
        assert batch.keys() == other.keys() == {"audio_bs", "weight_b", "clip_b"}
        for name in batch:
            assert batch[name].dtype == other[name].dtype
            np.testing.assert_array_equal(batch[name], other[name])


def starts(batch):
    """First sample of every window in its file."""
    return batch["audio_bs"][:, 0].astype(int) - 2000 * (batch["clip_b"] + 1)


def test_windows_by_hand():
    want = [[0, 0], [0, 4], [0, 8], [0, 9], [1, 0], [2, 0], [3, 0], [3, 1], [4, 0],
            [4, 4]]  # fmt: skip
    assert pipeline.windows([19, 10, 3, 11, 14], window=10, hop=4).tolist() == want
    assert pipeline.windows([], window=10, hop=4).shape == (0, 2)
    for window, hop in ((10, 0), (10, 11), (0, 0)):
        with pytest.raises(ValueError, match="hop should be between 1 and the window"):
            pipeline.windows([20], window, hop)


@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=5),
    st.integers(1, 50),
    st.integers(1, 50),
)
def test_windows_leave_no_sample_out_and_stay_inside(lengths, window, hop):
    window = max(window, hop)
    pair_nk = pipeline.windows(lengths, window, hop)
    for file, length in enumerate(lengths):
        start_n = pair_nk[pair_nk[:, 0] == file, 1]
        assert start_n[0] == 0 and start_n[-1] == max(0, length - window)
        assert (np.diff(start_n) > 0).all() and (np.diff(start_n) <= hop).all()


def test_short_file_is_filled_with_zeros_at_its_own_level(source):
    audio_s = pipeline.read_window(source, 1, 0)
    np.testing.assert_array_equal(audio_s[:40], np.arange(4000, 4040))
    np.testing.assert_array_equal(audio_s[40:], 0)


def test_batches_hold_what_the_files_hold(source):
    for batch in take(pipeline.train_stream(source, 5, seed=0), 0, 30):
        assert batch["audio_bs"].shape == (5, WINDOW)
        np.testing.assert_array_equal(batch["weight_b"], np.ones(5, np.float32))
        for audio_s, file, start in zip(
            batch["audio_bs"], batch["clip_b"], starts(batch), strict=True
        ):
            want_s = pipeline.read_window(source, file, start)
            np.testing.assert_array_equal(audio_s, want_s)


def test_any_step_can_be_the_first(source):
    stream = pipeline.train_stream(source, 7, seed=3)
    whole = take(stream, 0, 40)
    for start in (1, 13, 39):
        assert_same(take(stream, start, 40 - start), whole[start:])
    again = pipeline.train_stream(source, 7, seed=3)
    assert_same(take(again, 0, 40), whole)
    assert len(take(stream, 10**9, 1)) == 1


@pytest.mark.slow
def test_worker_processes_make_the_same_batches(source):
    threads = take(pipeline.train_stream(source, 7, seed=3), 5, 12)
    for workers in (1, 2):
        loading = pipeline.Loading(workers=workers)
        stream = pipeline.train_stream(source, 7, seed=3, loading=loading)
        batches = take(stream, 5, 12)
        assert_same(batches, threads)
        # Views of the workers' shared memory would be lost or leak in the end.
        assert {type(batch["audio_bs"]) for batch in batches} == {np.ndarray}
        assert not multiprocessing.active_children()


def test_processes_share_every_batch_in_pieces(source):
    def all_batches(processes):
        loadings = [
            pipeline.Loading(gain_db=3.0, process=process, processes=processes)
            for process in range(processes)
        ]
        train = [
            take(pipeline.train_stream(source, 12, 0, loading), 4, 10)
            for loading in loadings
        ]
        valid = [
            list(pipeline.valid_batches(source, 12, loading)()) for loading in loadings
        ]
        return [
            [
                {
                    name: np.concatenate([part[name] for part in parts])
                    for name in parts[0]
                }
                for parts in zip(*side, strict=True)
            ]
            for side in (train, valid)
        ]

    alone = all_batches(1)
    for processes in (2, 3):
        shared = all_batches(processes)
        assert_same(shared[0], alone[0])
        assert_same(shared[1], alone[1])
    with pytest.raises(ValueError, match="10 cannot be shared by 3"):
        pipeline.train_stream(source, 10, 0, pipeline.Loading(processes=3))


def test_every_epoch_has_all_windows_in_another_order(tmp_path):
    paths = [str(tmp_path / f"{file}.npy") for file in range(20)]
    for file, path in enumerate(paths):
        np.save(path, np.full(8, file, np.float32))
    source = pipeline.source(paths, 8, 8)
    batches = take(pipeline.train_stream(source, 4, seed=0), 0, 15)
    epochs = np.concatenate([batch["clip_b"] for batch in batches]).reshape(3, 20)
    for epoch in epochs:
        assert sorted(epoch) == list(range(20))
    assert len({tuple(epoch) for epoch in epochs}) == 3
    other = take(pipeline.train_stream(source, 4, seed=1), 0, 5)
    assert [*np.concatenate([batch["clip_b"] for batch in other])] != [*epochs[0]]


def test_batch_may_be_larger_than_the_corpus(source):
    windows = len(source.window_nk)
    (batch,) = take(pipeline.train_stream(source, 3 * windows, seed=0), 0, 1)
    count_n = np.bincount(batch["clip_b"], minlength=len(LENGTHS))
    want_n = 3 * np.bincount(source.window_nk[:, 0])
    np.testing.assert_array_equal(count_n, want_n)


def test_windows_move_by_half_a_hop_at_most_and_stay_in_the_file(source):
    epochs = 30
    batches = take(pipeline.train_stream(source, len(source.window_nk), 0), 0, epochs)
    file_n = np.concatenate([batch["clip_b"] for batch in batches])
    start_n = np.concatenate([starts(batch) for batch in batches])
    last_n = np.maximum(0, np.array(LENGTHS) - WINDOW)[file_n]
    assert (start_n >= 0).all() and (start_n <= last_n).all()
    longest = start_n[file_n == 5]
    grid = np.append(np.arange(0, 1000 - WINDOW, HOP), 1000 - WINDOW)
    away = np.abs(longest[:, None] - grid[None, :]).min(axis=1)
    assert away.max() == HOP // 2
    assert len(set(longest)) > 0.75 * (1000 - WINDOW + 1)


def test_gain_stays_in_its_range_and_is_off_by_default(source):
    loading = pipeline.Loading(gain_db=6.0)
    plain = take(pipeline.train_stream(source, 50, 0), 0, 10)
    loud = take(pipeline.train_stream(source, 50, 0, loading), 0, 10)
    gain_n = np.concatenate(
        [
            b["audio_bs"][:, 0] / a["audio_bs"][:, 0]
            for a, b in zip(plain, loud, strict=True)
        ]
    )
    gain_db_n = 20 * np.log10(gain_n)
    assert np.abs(gain_db_n).max() <= 6.0 + 1e-4
    assert gain_db_n.min() < -5 and gain_db_n.max() > 5
    assert abs(gain_db_n.mean()) < 0.6


def test_valid_batches_are_all_windows_once_in_order(source):
    valid = pipeline.valid_batches(source, 9)
    batches = list(valid())
    assert_same(batches, list(valid()))
    weight_n = np.concatenate([batch["weight_b"] for batch in batches])
    file_n = np.concatenate([batch["clip_b"] for batch in batches])
    start_n = np.concatenate([starts(batch) for batch in batches])
    windows = len(source.window_nk)
    assert all(batch["audio_bs"].shape == (9, WINDOW) for batch in batches)
    assert len(weight_n) == -(-windows // 9) * 9 > windows
    np.testing.assert_array_equal(weight_n, np.arange(len(weight_n)) < windows)
    np.testing.assert_array_equal(
        np.stack([file_n, start_n], axis=1)[:windows], source.window_nk
    )


def test_source_without_files_is_refused():
    with pytest.raises(ValueError, match="no files to cut windows from"):
        pipeline.source([], 10, 5)


ORPHANS = """
import multiprocessing, sys, time
from distill_jax.data import pipeline
if __name__ == "__main__":
    source = pipeline.source(sys.argv[1:], 64, 16)
    loading = pipeline.Loading(workers=2)
    batches = pipeline.train_stream(source, 4, 0, loading)(0)
    next(batches)
    print(*[child.pid for child in multiprocessing.active_children()], flush=True)
    time.sleep(100)
"""


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"  # dead, and nobody has asked how it ended


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_killed_parent_leaves_no_workers(source, tmp_path):
    program = tmp_path / "parent.py"
    program.write_text(ORPHANS)
    command = [sys.executable, str(program), *source.files]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env=ENVIRONMENT, text=True
    ) as parent:
        children = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(children) == 2 and all(alive(pid) for pid in children)
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        deadline = time.monotonic() + 60
        while any(alive(pid) for pid in children) and time.monotonic() < deadline:
            time.sleep(0.1)
        left = [pid for pid in children if alive(pid)]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    assert not left
