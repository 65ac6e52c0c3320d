import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from distill_jax import checkpoints, sharding
from distill_jax.checkpoints import CheckpointError
from distill_jax.optimizer import AdamState
from distill_jax.task import TrainState


def state_of(step, width=8):
    """A state whose every number follows from its step."""
    params = {
        "conv": {"kernel": jax.random.normal(jax.random.key(step), (3, width))},
        "head": {"kernel": jnp.full((width, 4), step, jnp.bfloat16)},
    }
    moments = {"conv/kernel": params["conv"]["kernel"] + 1}
    return TrainState(
        step=jnp.int32(step),
        params=params,
        state={"batch_stats": {"norm": {"mean": jnp.arange(3.0) * step}}},
        opt_state=AdamState(jnp.int32(step), moments, jax.tree.map(jnp.copy, moments)),
        ema=jax.tree.map(lambda leaf: leaf + 1, params),
        skipped=jnp.int32(0),
        skipped_in_a_row=jnp.int32(0),
    )


def like(state, places=None):
    places = places or jax.tree.map(lambda leaf: leaf.sharding, state)
    shape = jax.ShapeDtypeStruct
    return jax.tree.map(
        lambda leaf, place: shape(leaf.shape, leaf.dtype, sharding=place), state, places
    )


def assert_equal(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def save(workdir, losses, keep=3):
    with checkpoints.Store(workdir, keep) as store:
        for step, loss in losses.items():
            store.save(state_of(step), loss)


def saved(workdir):
    return sorted(int(path.name) for path in (workdir / "checkpoints").iterdir())


def data_file(workdir, step):
    files = (workdir / "checkpoints" / str(step)).rglob("d/*")
    return max(files, key=lambda path: path.stat().st_size)


def flip_byte(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-7])


def test_state_comes_back_bit_for_bit(tmp_path):
    save(tmp_path, {10: 1.0, 20: None})
    with checkpoints.Store(tmp_path, keep=3) as store:
        assert store.latest() == 20
        restored = store.restore(like(state_of(0)))
    assert_equal(restored, state_of(20))


def test_empty_store_has_nothing(tmp_path):
    with checkpoints.Store(tmp_path, keep=3) as store:
        assert store.latest() is None
        assert store.restore(like(state_of(0))) is None
    with pytest.raises(FileNotFoundError, match="saved steps: none"):
        checkpoints.read(tmp_path)


def test_state_comes_back_on_another_mesh(tmp_path):
    save(tmp_path, {10: 1.0})
    mesh = sharding.mesh(fsdp=4)
    target = like(state_of(0), sharding.shard(mesh, state_of(0)))
    with checkpoints.Store(tmp_path, keep=3) as store:
        restored = store.restore(target)
    spec = restored.params["conv"]["kernel"].sharding.spec
    assert spec == PartitionSpec(None, "fsdp")
    assert_equal(restored, state_of(10))


def test_state_may_be_donated_while_it_is_written(tmp_path):
    with checkpoints.Store(tmp_path, keep=3) as store:
        state = state_of(10)
        store.save(state)
        empty = jax.jit(lambda leaf: leaf * 0, donate_argnums=0)
        for leaf in jax.tree.leaves(state):
            while not leaf.is_deleted():  # It stays while it is being copied.
                empty(leaf)
    with checkpoints.Store(tmp_path, keep=3) as store:
        assert_equal(store.restore(like(state_of(0))), state_of(10))


def test_newest_and_best_are_kept_over_restarts(tmp_path):
    save(tmp_path, {10: 3.0, 20: 1.0, 30: None, 40: 2.0}, keep=2)
    assert saved(tmp_path) == [20, 30, 40]
    save(tmp_path, {50: float("nan"), 60: 1.5}, keep=2)
    assert saved(tmp_path) == [20, 50, 60]
    save(tmp_path, {70: 0.5, 80: None, 90: None}, keep=2)
    assert saved(tmp_path) == [70, 80, 90]


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (flip_byte, r"the bytes of .*\(SHA-256\)"),
        (truncate, r"has \d+ bytes, \d+ were written"),
        (Path.unlink, "is missing"),
    ],
)
def test_damaged_checkpoint_gives_way_to_the_one_before(
    tmp_path, caplog, damage, complaint
):
    save(tmp_path, {10: 1.0, 20: 2.0, 30: 0.5})
    damage(data_file(tmp_path, 30))
    assert checkpoints.read(tmp_path, "latest")["step"] == 20
    assert checkpoints.read(tmp_path, "best")["step"] == 10
    with pytest.raises(CheckpointError, match=f"(?s)step 30: .*?{complaint}"):
        checkpoints.read(tmp_path, 30)
    caplog.clear()
    with checkpoints.Store(tmp_path, keep=3) as store:
        assert_equal(store.restore(like(state_of(0))), state_of(20))
        store.save(state_of(30))  # The way is free to do the step again.
    [record] = [r for r in caplog.records if r.name == checkpoints.__name__]
    assert "checkpoint 30 is damaged" in record.getMessage()
    assert "checkpoints/20" in record.getMessage()
    assert (tmp_path / "damaged" / "30").is_dir()
    assert saved(tmp_path) == [10, 20, 30]


SMALL = ["metrics/metrics", "_CHECKPOINT_METADATA", "record.json", "commit_success.txt"]


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("step", [20, 30])
def test_damage_to_small_files_is_found_in_any_checkpoint(tmp_path, name, step):
    save(tmp_path, {10: 1.0, 20: 2.0, 30: 3.0})
    path = tmp_path / "checkpoints" / str(step) / name
    (Path.unlink if name.startswith("commit") else truncate)(path)
    with checkpoints.Store(tmp_path, keep=3) as store:
        assert store.latest() == (20 if step == 30 else 30)
    assert (tmp_path / "damaged" / str(step)).is_dir()


def test_nothing_is_moved_if_all_are_damaged(tmp_path):
    save(tmp_path, {10: 1.0, 20: 2.0})
    for step in (10, 20):
        flip_byte(data_file(tmp_path, step))
    with pytest.raises(
        CheckpointError, match=r"(?s)step 20: .*step 10: .*new --workdir"
    ):
        checkpoints.Store(tmp_path, keep=3)
    with pytest.raises(CheckpointError, match="can be used"):
        checkpoints.read(tmp_path)
    assert saved(tmp_path) == [10, 20]


def test_changed_model_is_told_in_few_lines(tmp_path):
    save(tmp_path, {10: 1.0})
    with checkpoints.Store(tmp_path, keep=3) as store:
        other = state_of(0, width=16)
        other.params["new"] = {"bias": jnp.zeros(2)}
        with pytest.raises(CheckpointError) as error:
            store.restore(like(other))
    message = str(error.value)
    assert len(message.splitlines()) == 5
    assert "conv/kernel: expected float32[3, 16], found float32[3, 8]" in message
    assert "params/new/bias: expected float32[2], found nothing" in message
    assert saved(tmp_path) == [10]


def test_changed_type_is_told(tmp_path):
    save(tmp_path, {10: 1.0})
    other = state_of(0)
    other.params["head"]["kernel"] = jnp.zeros((8, 4))
    with (
        checkpoints.Store(tmp_path, keep=3) as store,
        pytest.raises(CheckpointError, match=r"float32\[8, 4\], found bfloat16"),
    ):
        store.restore(like(other))


def test_finished_job_is_read_as_numpy(tmp_path):
    save(tmp_path, {10: 3.0, 20: 1.0, 30: 2.0})
    expected = {"best": 20, "latest": 30, 10: 10}
    for which, step in expected.items():
        found = checkpoints.read(tmp_path, which)
        assert found["step"] == step
        for part in ("params", "state", "ema"):
            assert_equal(
                found[part], jax.tree.map(np.asarray, getattr(state_of(step), part))
            )
            leaves = jax.tree.leaves(found[part])
            assert all(type(leaf) is np.ndarray for leaf in leaves)
    with pytest.raises(FileNotFoundError, match=r"no checkpoint 15.*10, 20, 30"):
        checkpoints.read(tmp_path, 15)


def test_leftovers_of_a_killed_write_are_cleared(tmp_path):
    save(tmp_path, {10: 1.0})
    checkpoint = tmp_path / "checkpoints" / "10"
    shutil.copytree(checkpoint, checkpoint.with_name("20.orbax-checkpoint-tmp"))
    assert checkpoints.read(tmp_path, "latest")["step"] == 10
    save(tmp_path, {30: 1.0})
    assert saved(tmp_path) == [10, 30]


@contextlib.contextmanager
def small_disk(path, options):
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


def save_until_full(disk, fill):
    """Saves step 10, fills the disk, and gives what saving steps 20 and 30 says."""
    with checkpoints.Store(disk, keep=3) as store:
        store.save(state_of(10), 1.0)
        store.wait()
        fill()
        with pytest.raises(CheckpointError) as error:
            store.save(state_of(20), 1.0)
            store.save(state_of(30), 1.0)
    message = str(error.value)
    assert "checkpoint 20 could not be written" in message
    assert "last good checkpoint is step 10" in message
    assert "make room and give the same command again" in message
    assert saved(disk) == [10]
    return message


def assert_goes_on(disk):
    with checkpoints.Store(disk, keep=3) as store:
        assert_equal(store.restore(like(state_of(0))), state_of(10))
        store.save(state_of(20), 1.0)
    assert saved(disk) == [10, 20]


def test_full_disk_is_told_before_writing(tmp_path):
    with small_disk(tmp_path / "disk", "size=1m") as disk:
        ballast = disk / "ballast"
        message = save_until_full(
            disk, lambda: ballast.write_bytes(bytes(shutil.disk_usage(disk).free))
        )
        assert "it was not begun" in message
        assert "0.0 MB are free" in message
        ballast.unlink()
        assert_goes_on(disk)


# Writes of tensorstore that are still under way when orbax gives up on the first one
# that failed find its event loop closed, which nobody can catch.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_disk_that_fills_up_while_writing_is_told_by_the_next_save(tmp_path):
    # There are bytes, which is what can be known before; but no more files.
    with small_disk(tmp_path / "disk", "size=9m,nr_inodes=90") as disk:

        def fill():
            for number in range(os.statvfs(disk).f_ffree - 5):
                (disk / f"ballast_{number}").touch()

        message = save_until_full(disk, fill)
        assert "No space left" in message
        for file in disk.glob("ballast_*"):
            file.unlink()
        assert_goes_on(disk)


def test_settings_are_read_as_a_config(tmp_path):
    (tmp_path / "config.json").write_text('{"model": {"width": 3}, "steps": 5}')
    config = checkpoints.read_config(tmp_path)
    assert (config.model.width, config.steps) == (3, 5)
