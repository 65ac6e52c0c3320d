"""Checkpoints of runs: written by training, read by everything else."""

from distill_jax.checkpoints.reading import CheckpointError, read, read_config
from distill_jax.checkpoints.store import Store, meet

__all__ = ["CheckpointError", "Store", "meet", "read", "read_config"]
