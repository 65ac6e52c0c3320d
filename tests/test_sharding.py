import jax
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from distill_jax import sharding


def specs(mesh, **shapes):
    tree = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    return {name: s.spec for name, s in sharding.shard(mesh, tree).items()}


def test_mesh_holds_all_devices_on_auto_axes():
    mesh = sharding.mesh()
    assert dict(mesh.shape) == {"data": jax.device_count(), "fsdp": 1}
    assert mesh.axis_types == (AxisType.Auto, AxisType.Auto)
    assert dict(sharding.mesh(fsdp=4).shape) == {"data": 2, "fsdp": 4}


@pytest.mark.parametrize("fsdp", [0, 3, 16])
def test_mesh_that_does_not_fit_the_devices_is_refused(fsdp):
    with pytest.raises(ValueError, match=rf"config.fsdp is {fsdp}.*8 devices"):
        sharding.mesh(fsdp=fsdp)


def test_parameters_are_whole_everywhere_without_fsdp():
    found = specs(sharding.mesh(), kernel=(16, 64), bias=(64,), scalar=())
    assert set(found.values()) == {PartitionSpec()}


def test_longest_divisible_axis_is_cut_with_fsdp():
    found = specs(
        sharding.mesh(fsdp=4), a=(16, 64), b=(64, 16), c=(63, 8), d=(3, 3), e=(), f=(2,)
    )
    assert found == {
        "a": PartitionSpec(None, "fsdp"),
        "b": PartitionSpec("fsdp"),
        "c": PartitionSpec(None, "fsdp"),
        "d": PartitionSpec(),
        "e": PartitionSpec(),
        "f": PartitionSpec(),
    }


def test_fsdp_leaves_a_piece_on_each_device():
    mesh = sharding.mesh(fsdp=4)
    tree = {"kernel": np.arange(64.0, dtype=np.float32).reshape(4, 16)}
    placed = jax.device_put(tree, sharding.shard(mesh, tree))["kernel"]
    assert {shard.data.shape for shard in placed.addressable_shards} == {(4, 4)}
    np.testing.assert_array_equal(placed, tree["kernel"])


@pytest.mark.parametrize("fsdp", [1, 4])
def test_batch_is_dealt_to_all_devices_in_order(fsdp):
    audio_bs = np.random.default_rng(0).normal(size=(16, 5)).astype(np.float32)
    placed = sharding.place(sharding.mesh(fsdp), {"audio_bs": audio_bs})["audio_bs"]
    assert {shard.data.shape for shard in placed.addressable_shards} == {(2, 5)}
    np.testing.assert_array_equal(placed, audio_bs)


def test_batch_that_cannot_be_dealt_evenly_is_refused():
    batch = {"audio_bs": np.zeros((12, 5)), "weight_b": np.zeros(16)}
    with pytest.raises(ValueError, match=r"8 devices.*'audio_bs': 12.*multiple of 8"):
        sharding.place(sharding.mesh(), batch)
