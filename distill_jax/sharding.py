"""Where arrays live: one mesh, one rule on shapes, one way to place a batch."""

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

DATA_AXES = ("data", "fsdp")


def mesh(fsdp=1, devices=None):
    """All devices in a grid: copies of the model times pieces of it.

    Args:
      fsdp: how many devices share one copy of the parameters.
      devices: which devices, all of them unless given.

    Returns:
      A mesh with the axes "data" and "fsdp"; both split the batch.

    Raises:
      ValueError: the devices cannot be grouped by `fsdp`.
    """
    devices = jax.devices() if devices is None else list(devices)
    if fsdp < 1 or len(devices) % fsdp:
        raise ValueError(
            f"config.fsdp is {fsdp}, but {len(devices)} devices can only be grouped by "
            f"a divisor of {len(devices)}; 1 keeps a whole copy on each"
        )
    # Linen cannot work on Explicit axes, so never leave the type to the default.
    return Mesh(
        np.asarray(devices).reshape(-1, fsdp),
        DATA_AXES,
        axis_types=(AxisType.Auto,) * 2,
    )


def shard(mesh, tree):
    """Sharding of every array of a tree: whole, or cut along its longest axis.

    Args:
      mesh: from `mesh`.
      tree: arrays or `jax.ShapeDtypeStruct`s.

    Returns:
      The tree with a NamedSharding for each leaf. With "fsdp" of size 1 all are
      whole on every device; else the largest axis that it divides is cut.
    """
    return jax.tree.map(
        lambda leaf: NamedSharding(mesh, _rule(leaf.shape, mesh.shape["fsdp"])), tree
    )


def _rule(shape, parts):
    axes = [
        axis
        for axis, size in enumerate(shape)
        if size >= parts > 1 and size % parts == 0
    ]
    if not axes:
        return PartitionSpec()
    longest = max(axes, key=lambda axis: shape[axis])
    return PartitionSpec(*(None,) * longest, "fsdp")


def replicated(mesh):
    """Sharding of what every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def place(mesh, batch):
    """Puts a batch on the devices, split along its first axis.

    Args:
      mesh: from `mesh`.
      batch: dictionary of numpy arrays [b, ...], this process's share.

    Returns:
      The same dictionary of global `jax.Array`s.

    Raises:
      ValueError: the examples cannot be dealt evenly to the devices.
    """
    devices = mesh.local_mesh.size
    odd = {name: len(array) for name, array in batch.items() if len(array) % devices}
    if odd:
        raise ValueError(
            f"the batch is not divisible by the {devices} devices of this process: "
            f"{odd}; set config.batch to a multiple of {mesh.size}"
        )
    sharding = NamedSharding(mesh, PartitionSpec(DATA_AXES))
    return {
        name: jax.make_array_from_process_local_data(sharding, array)
        for name, array in batch.items()
    }
