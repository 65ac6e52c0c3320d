"""`tiny_job` in several processes, each with devices of its own, on this machine.

Run as a program it is one of them: `tiny_pod.py COORDINATOR COUNT NUMBER WORKDIR
[KILL_AT_STEP]`.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import tiny_job

from distill_jax import metrics, processes, train
from distill_jax.task import Data

TIMEOUT_SECONDS = 200


def environment(devices):
    """Of a process with so many devices, which reads what another has compiled."""
    flag = f"--xla_force_host_platform_device_count={devices}"
    cache = jax.config.jax_compilation_cache_dir
    return os.environ | {
        "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} {flag}",
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "PYTHONFAULTHANDLER": "1",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        **({"JAX_COMPILATION_CACHE_DIR": str(cache)} if cache else {}),
    }


def address():
    """Where a coordinator may listen."""
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def started(command_of, count, devices=1, **settings):
    """Starts processes; `command_of(coordinator, number)` is what each runs."""
    coordinator, settings = address(), {"env": environment(devices), **settings}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return [
        subprocess.Popen(command_of(coordinator, number), **pipes, **settings)
        for number in range(count)
    ]


def ended(running, seconds=TIMEOUT_SECONDS):
    """Waits for processes: their statuses and all that they said. None is left.

    Raises:
      AssertionError: one did not end in time; with where each of them hangs.
    """
    until = time.monotonic() + seconds
    try:
        said = [
            job.communicate(timeout=max(1.0, until - time.monotonic()))[0]
            for job in running
        ]
    except subprocess.TimeoutExpired:
        said = "\n".join(map(aborted, running))
        raise AssertionError(f"not over after {seconds} s:\n{said}") from None
    finally:
        for job in running:
            if job.poll() is None:
                job.kill()
                job.wait()
    return [job.returncode for job in running], said


def aborted(job):
    """Ends a process; what it said, and the stack of every thread."""
    job.send_signal(signal.SIGABRT)
    try:
        return job.communicate(timeout=20)[0]
    except subprocess.TimeoutExpired:
        return f"process {job.pid} does not even end when it is told to"


def trained(workdir, count, devices=1, kill_at=-1, killed=1):
    """Trains `tiny_job` to its end; process `killed` dies at a step, if asked to."""

    def command_of(coordinator, number):
        command = [sys.executable, __file__, coordinator, count, number, workdir]
        command += [kill_at] * (number == killed)
        return list(map(str, command))

    return ended(started(command_of, count, devices))


def losses(workdir):
    """Loss of every step, and of every evaluation."""
    return [
        (record["step"], record["split"], record["values"]["loss"])
        for record in metrics.read(workdir)
    ]


def mine(batch):
    """This process's share of a batch, in one piece."""
    share = len(batch["weight_b"]) // jax.process_count()
    first = jax.process_index() * share
    return {name: array[first : first + share] for name, array in batch.items()}


def data(config, kill_at):
    whole = tiny_job.data(config, tiny_job.killed_at(kill_at))
    return Data(
        lambda start: (mine(batch) for batch in whole.train(start)),
        lambda: map(mine, whole.valid()),
    )


def main(coordinator, count, number, workdir, kill_at=-1):
    if int(count) > 1:
        plan = processes.Plan(coordinator, int(count), int(number))
        processes.start(plan, seconds=60)
    config = tiny_job.config(steps=40, save_every=10, eval_every=20)
    config.update(json.loads(os.environ.get("TINY_POD", "{}")))
    with processes.leaving(), metrics.Writer(workdir, rate_hz=8000) as writer:
        task = tiny_job.make(config)
        steps = train.train(config, task, data(config, int(kill_at)), workdir)
        for step, values in steps:
            if processes.first():
                writer.write(step, values)
        processes.part()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    main(*sys.argv[1:])
