import signal
import subprocess
import sys

import pytest
import tiny_job
import tiny_pod

from distill_jax import processes
from distill_jax.processes import Plan

ENVIRONMENT = dict(zip(processes.VARIABLES, ("host:1", "4", "2"), strict=True))


def test_one_process_is_the_rule():
    assert processes.plan(False, Plan(), {}) is None
    assert not processes.several() and processes.first()


def test_flags_come_before_the_environment_and_may_leave_all_to_jax():
    assert processes.plan(True, Plan(), {}) == Plan()
    assert processes.plan(False, Plan(), ENVIRONMENT) == Plan("host:1", 4, 2)
    given = Plan(number=0)
    assert processes.plan(False, given, ENVIRONMENT) == Plan("host:1", 4, 0)
    assert processes.plan(False, Plan("a:2", 2, 1), {}) == Plan("a:2", 2, 1)


@pytest.mark.parametrize(
    ("given", "environment", "message"),
    [
        (Plan("a:2"), {}, "a:2, None processes, this one being number None"),
        (Plan("a:2", 2, 2), {}, "2 processes, this one being number 2"),
        (Plan(), ENVIRONMENT | {"JAX_PROCESS_ID": "x"}, "is 'x', expected whole"),
    ],
)
def test_a_plan_with_holes_is_refused(given, environment, message):
    with pytest.raises(ValueError, match=message):
        processes.plan(True, given, environment)


def test_one_process_agrees_with_itself():
    processes.agree("settings", {"seed": 1})


START = """
import sys
from distill_jax import processes
coordinator, count, number = sys.argv[1:]
number = None if number == "none" else int(number)
plan = processes.Plan(coordinator, int(count), number) if number is not None else ()
try:
    processes.start(plan or processes.Plan(), seconds=12)
except ValueError as error:
    sys.exit(f"refused: {error}")
processes.agree("settings", {"seed": number})
"""


def starting(number, count, coordinator):
    command = [sys.executable, "-c", START, coordinator, str(count), str(number)]
    pipes = {"stderr": subprocess.STDOUT, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=tiny_pod.environment(1), **pipes)


@pytest.mark.slow
def test_who_is_missing_is_told():
    here, nowhere = tiny_pod.address(), tiny_pod.address()
    running = [starting(0, 3, here), starting(1, 3, here), starting(1, 2, nowhere)]
    running.append(starting("none", 0, nowhere))
    statuses, said = tiny_pod.ended(running, 100)
    assert statuses == [-signal.SIGHUP] * 3 + [1]
    assert "of 3 at least one is missing" in said[0]
    assert "process 0 answers" in said[1] and "another one is missing" in said[1]
    assert f"nothing answers process 1 at {nowhere}" in said[2]
    assert "refused: nothing here says who takes part" in said[3]


@pytest.mark.slow
def test_processes_of_other_settings_are_refused():
    here = tiny_pod.address()
    statuses, said = tiny_pod.ended([starting(0, 2, here), starting(1, 2, here)], 100)
    assert 0 not in statuses
    assert "processes [1] have other settings than process 0" in said[0] + said[1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One process with two devices, undisturbed."""
    with tiny_job.compiled_once(tmp_path_factory.getbasetemp() / "xla"):
        folder = tmp_path_factory.mktemp("whole")
        statuses, said = tiny_pod.trained(folder, 1, devices=2)
        assert statuses == [0], said
        yield folder


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("killed", [0, 1])
def test_two_processes_killed_and_begun_again_learn_what_one_does(
    whole, tmp_path, killed
):
    statuses, said = tiny_pod.trained(tmp_path, 2, kill_at=25, killed=killed)
    assert 0 not in statuses, said
    assert tiny_job.learnt(tmp_path)[0] in (10, 20)
    statuses, said = tiny_pod.trained(tmp_path, 2)
    assert statuses == [0, 0], said
    assert "resuming from step" in said[0]
    assert tiny_pod.losses(tmp_path) == tiny_pod.losses(whole)
    assert tiny_job.learnt(tmp_path) == tiny_job.learnt(whole)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_go_on_as_one_and_one_as_two(whole, tmp_path):
    for count, devices, kill_at in ((2, 1, 15), (1, 2, 35), (2, 1, -1)):
        statuses, said = tiny_pod.trained(tmp_path, count, devices, kill_at, count - 1)
        assert (kill_at < 0) == (statuses == [0] * count), said
    assert tiny_pod.losses(tmp_path) == tiny_pod.losses(whole)
    assert tiny_job.learnt(tmp_path) == tiny_job.learnt(whole)
