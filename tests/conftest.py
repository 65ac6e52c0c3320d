"""A stricter world for tests than for users."""

import os

os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from pathlib import Path

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
RECORDINGS = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def recordings():
    """The folder of real recordings, beside the checkout."""
    if not RECORDINGS.is_dir():
        pytest.skip(f"no real recordings at {RECORDINGS}")
    return RECORDINGS
