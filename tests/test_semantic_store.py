import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from tiny_extraction import BERT, PREPROCESSOR, save_model, voice

from distill_jax import semantic, weights
from distill_jax.audio import files
from distill_jax.semantic import store

RNG = np.random.default_rng(0)
FEATURES = {
    f"speaker_{n % 3}/{n}.wav": RNG.normal(size=(n + 1, 4)).astype(np.float32)
    for n in range(12)
}


def shards_of(out):
    return [weights.read(path) for path in sorted(out.glob("features-*.safetensors"))]


def names_in(out):
    """With those that are there twice."""
    return sorted(name for shard in shards_of(out) for name in shard)


@pytest.mark.parametrize("kept", [store.Files, store.Shards])
def test_what_was_put_is_found_by_the_path_of_the_sound(tmp_path, kept):
    kept = kept(tmp_path)
    paths = {f"/data/{name}": name for name in FEATURES}
    for part in (list(paths)[:5], list(paths)[5:]):
        for path in part:
            kept.put(paths[path], FEATURES[paths[path]])
        kept.flush()
        store.write_index(kept, {path: paths[path] for path in part})
    for path, name in paths.items():
        np.testing.assert_array_equal(semantic.find(tmp_path, path), FEATURES[name])
    with pytest.raises(ValueError, match="12 sounds and elsewhere is none of them"):
        semantic.find(tmp_path, "elsewhere")


@pytest.mark.parametrize("stop", range(len(FEATURES) + 1))
def test_a_kill_leaves_nothing_twice_and_nothing_missing(tmp_path, stop):
    first = store.Shards(tmp_path, 200)
    for name in list(FEATURES)[:stop]:
        first.put(name, FEATURES[name])
    # Killed here: nothing is flushed, and a file may be half-written.
    (tmp_path / "features-00002.safetensors.partial").write_bytes(b"half")
    again = store.Shards(tmp_path, 200)
    for name, feature_td in FEATURES.items():
        if again.place(name) is None:
            again.put(name, feature_td)
    again.flush()
    assert names_in(tmp_path) == sorted(FEATURES)
    for shard in shards_of(tmp_path):
        assert len(shard) == 1 or sum(a.nbytes for a in shard.values()) <= 200
        for name, feature_td in shard.items():
            np.testing.assert_array_equal(feature_td, FEATURES[name])


def test_a_damaged_shard_is_said(tmp_path):
    (tmp_path / "features-00001.safetensors").write_bytes(b"1")
    with pytest.raises(ValueError, match="truncated"):
        store.Shards(tmp_path)


@pytest.fixture
def job(tmp_path):
    """A command that extracts thirty sounds, and where to."""
    for number in range(30):
        path = tmp_path / "sounds" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        files.write(path, voice(number, 6000), 16_000, {})
    model = save_model(tmp_path / "model", BERT, PREPROCESSOR)
    command = ["extract", tmp_path / "sounds", "--model", model, "--layer", 1]
    command += ["--out", tmp_path / "out", "--store", "shards"]
    return command, tmp_path / "out"


def test_extract_to_shards_keeps_what_it_has_when_interrupted(job, call, monkeypatch):
    command, out = job
    encode, calls = semantic.extraction.encode, []

    def interrupted(encoder, clips):
        calls.append(len(clips))
        if len(calls) > 2:
            raise KeyboardInterrupt
        return encode(encoder, clips)

    with monkeypatch.context() as patch:
        patch.setattr(semantic.extraction, "encode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            call(*command, "--batch-seconds", 0.4)
    done = sum(calls[:2])
    assert 0 < done < 30 and len(shards_of(out)[0]) == done
    status, said, _ = call(*command)
    assert status == 0 and f"{done} of 30 files are done already" in said
    assert names_in(out) == sorted(f"{number}.wav" for number in range(30))
    assert len(json.loads((out / "index.json").read_text())) == 30
    path = command[1] / "7.wav"
    (expected_td,) = semantic.encode(
        semantic.load(command[3], 1), [files.read(path, 16_000)]
    )
    np.testing.assert_allclose(semantic.find(out, path), expected_td, atol=2e-5)
    status, _, told = call(*command[:-1], "files")
    assert status == 2 and "store: 'shards' there, 'files' now" in told


@pytest.mark.slow
def test_extract_to_shards_goes_on_after_kill_9(job, call):
    command, out = job
    script = (
        "import sys; from distill_jax import cli; from distill_jax.semantic import "
        "store; store.Shards.__init__.__defaults__ = (3000,); cli.main(sys.argv[1:])"
    )
    words = [sys.executable, "-c", script, *map(str, command), "--batch-seconds", "0.4"]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    while not shards_of(out) and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = len(names_in(out))
    assert 0 < done < 30
    status, said, _ = call(*command)
    assert status == 0 and f"{done} of 30 files are done already" in said
    assert len(names_in(out)) == 30 == len(set(names_in(out)))
    assert len(json.loads((out / "index.json").read_text())) == 30


WORKER = """
import sys
from distill_jax import cli
from distill_jax.cli import encoders
encoders.PARTS, encoders.SMALLEST_PART = 30, 3
cli.main(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kept", ["files", "shards"])
def test_extract_is_shared_by_processes_of_which_one_is_killed(job, kept, one_device):
    command, out = job
    words = [sys.executable, "-c", WORKER, *map(str, command[:-1]), kept]
    words += ["--batch-seconds", "0.4"]
    cache = {"XDG_CACHE_HOME": str(out.parent / "cache")}

    def worker(number):
        asked = [*words, "--report", str(out.parent / f"{number}.json")]
        return subprocess.Popen(asked, env=one_device | cache)

    running = [worker(number) for number in range(2)]
    while len(list(out.rglob("*.safetensors"))) < 3:
        time.sleep(0.01)
    running[0].kill()
    running[0].wait()
    running.append(worker(2))
    assert [job.wait(600) for job in running[1:]] == [0, 0]
    index = json.loads((out / "index.json").read_text())
    assert len(index) == 30
    assert len({tuple(place.values()) for place in index.values()}) == 30
    if kept == "shards":
        assert names_in(out) == sorted(f"{number}.wav" for number in range(30))
    written = [
        json.loads((out.parent / f"{number}.json").read_text())["written"]
        for number in (1, 2)
    ]
    # The one that was killed may have done a few; nothing was done twice.
    assert 20 <= sum(written) <= 30
    assert not list(out.glob(".*.claim"))
    encoder = semantic.load(command[3], 1)
    for source in index:
        (expected_td,) = semantic.encode(encoder, [files.read(source, 16_000)])
        np.testing.assert_allclose(semantic.find(out, source), expected_td, atol=2e-5)
