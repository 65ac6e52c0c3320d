"""Where arrays live: one mesh, one rule on shapes, one way to place a batch."""

import jax
import jax.numpy as jnp
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
    # A process holds neighbours: its share of a batch is in one piece.
    devices.sort(key=lambda device: (device.process_index, device.id))
    here = len(devices) // len({device.process_index for device in devices})
    if fsdp < 1 or len(devices) % fsdp:
        raise ValueError(
            f"config.fsdp is {fsdp}, but {len(devices)} devices can only be grouped by "
            f"a divisor of {len(devices)}; 1 keeps a whole copy on each"
        )
    if fsdp % here and here % fsdp:
        raise ValueError(
            f"config.fsdp is {fsdp}, but each process has {here} devices; set it to a "
            f"divisor or a multiple of {here}"
        )
    # Linen cannot work on Explicit axes, so never leave the type to the default.
    return Mesh(
        np.asarray(devices).reshape(-1, fsdp),
        DATA_AXES,
        axis_types=(AxisType.Auto,) * 2,
    )


def shard(mesh, tree):
    """Sharding of every array of a tree: whole, or cut along its longest axis.

    What is cut is matrices of numbers, nearly all there is. Sounds and biases, which
    have one axis, and complex spectra are looked up or added everywhere.

    Args:
      mesh: from `mesh`.
      tree: arrays or `jax.ShapeDtypeStruct`s.

    Returns:
      The tree with a NamedSharding for each leaf. With "fsdp" of size 1 all are
      whole on every device; else the longest axis that it divides is cut.
    """
    return jax.tree.map(
        lambda leaf: NamedSharding(mesh, _rule(leaf, mesh.shape["fsdp"])), tree
    )


def _rule(leaf, parts):
    shape = leaf.shape
    axes = [
        axis
        for axis, size in enumerate(shape)
        if size >= parts > 1 and size % parts == 0
    ]
    if not axes or len(shape) < 2 or jnp.iscomplexobj(leaf):
        return PartitionSpec()
    longest = max(axes, key=lambda axis: shape[axis])
    return PartitionSpec(*(None,) * longest, "fsdp")


def spread(mesh, tree):
    """Puts arrays that every process has whole where `shard` wants them.

    Args:
      mesh: from `mesh`.
      tree: arrays; those that are spread over several processes already stay.

    Returns:
      The tree of global `jax.Array`s.
    """
    shardings = shard(mesh, tree)
    if jax.process_count() == 1:
        return jax.device_put(tree, shardings)
    return jax.tree.map(_spread, tree, shardings)


def _spread(leaf, sharding):
    if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
        return leaf
    # No process asks another: device_put would compare all of it.
    array = np.asarray(leaf)
    return jax.make_array_from_callback(
        array.shape, sharding, lambda index: array[index]
    )


def replicated(mesh):
    """Sharding of what every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def check_batch(mesh, batch, parts=1):
    """Raises ValueError unless all devices get as many examples in every part.

    Args:
      mesh: from `mesh`.
      batch: examples of an update.
      parts: in how many parts it is learnt, `config.accumulate`.
    """
    if parts < 1 or batch % (mesh.size * parts):
        raise ValueError(
            f"config.batch is {batch} and config.accumulate {parts}, but {mesh.size} "
            "devices can only share multiples of their number in each part; set "
            f"config.batch to a multiple of {mesh.size * max(parts, 1)}, or "
            "config.accumulate to a divisor of config.batch / devices"
        )


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
