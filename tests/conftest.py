"""A stricter world for tests than for users."""

import importlib.metadata
import os

# Tests compile for longer than they run: the least optimisation, and without what emits
# whole fusions (later versions of JAX have nothing else) a quarter of the time.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
    + " --xla_cpu_use_fusion_emitters=false"
    * importlib.metadata.version("jaxlib").startswith("0.10."),
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from pathlib import Path

import jax
import pytest

from distill_jax import cli

jax.config.update("jax_numpy_rank_promotion", "raise")
RECORDINGS = Path(__file__).parents[2] / "shared" / "data"
# Files that take longest go first: no worker is left alone with them at the end.
FIRST = ("guides", "distributed", "notebooks", "processes", "sound_report", "main")


def pytest_addoption(parser):
    parser.addoption(
        "--all-parity", action="store_true", help="parity tests fail where they skip"
    )


def pytest_configure(config):
    if getattr(config.option, "numprocesses", None):
        # Compiled before there are workers, which would spoil each other's files:
        # https://github.com/numba/numba/issues/10128
        import librosa.core.pitch  # noqa: F401


def pytest_collection_modifyitems(items):
    first = [f"test_{name}" for name in FIRST]
    items.sort(key=lambda item: item.path.stem not in first)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    if (
        report.skipped
        and item.config.getoption("--all-parity")
        and item.get_closest_marker("parity")
    ):
        reason = report.longrepr[2]
        report.outcome, report.longrepr = "failed", f"a parity test skipped: {reason}"
    return report


@pytest.fixture(scope="session")
def recordings():
    """The folder of real recordings, beside the checkout."""
    if not RECORDINGS.is_dir():
        pytest.skip(f"no real recordings at {RECORDINGS}")
    return RECORDINGS


@pytest.fixture(scope="session")
def one_device():
    """The environment of a process that sees one device, as most users do."""
    one = "--xla_force_host_platform_device_count=1"
    return os.environ | {"XLA_FLAGS": f"{os.environ['XLA_FLAGS']} {one}"}


@pytest.fixture(scope="session")
def trained_vae(tmp_path_factory):
    """A run to be copied, not changed: to train it takes longer than all else."""
    import tiny_vae

    return tiny_vae.trained(tmp_path_factory.mktemp("vae"))


@pytest.fixture
def call(capsys):
    """Calls the command: its status, what it says, what it complains about."""

    def call(*arguments):
        status = 0
        try:
            cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return status, said.out, said.err

    return call


@pytest.fixture
def lines(call):
    """Calls the command, which must succeed: the lines that it says."""

    def lines(*arguments):
        status, said, complaint = call(*arguments)
        assert not status, complaint
        return said.splitlines()

    return lines


@pytest.fixture
def refused(call):
    """Calls the command and expects a message of the user's mistake."""

    def refused(*arguments):
        status, _, complaint = call(*arguments)
        assert status == 2
        return complaint

    return refused
