"""Tells which process does not come, beside one that waits for it.

It is a program of its own: while JAX waits nothing else runs in Python, and in the end
it aborts without a word that helps.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys


@contextlib.contextmanager
def told(plan, seconds):
    """Ends this process, with what to look at, if the block takes longer.

    Args:
      plan: coordinator, count and number of `processes.Plan`.
      seconds: how long it may take.
    """
    arguments = ["" if value is None else str(value) for value in plan]
    command = [sys.executable, "-m", __name__, *arguments, str(seconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as beside:
        try:
            yield
        finally:
            beside.stdin.close()


def message(plan, seconds, problem):
    """Who is missing, as far as this process can tell, and what to look at.

    Args:
      plan: coordinator, count and number, as text; "" where JAX finds them.
      seconds: how long it took.
      problem: why process 0 cannot be reached, None if it can.
    """
    coordinator, count, number = plan
    told = f"after {seconds} s not all processes had come"
    if coordinator and number == "0":
        told += (
            f" to process 0 at {coordinator}: of {count} at least one is missing. Look "
            f"whether each of --process=1 to --process={int(count) - 1} was started "
            "once, with the same --coordinator and --processes, and can reach this port"
        )
    elif coordinator and problem:
        told += (
            f": nothing answers process {number} at {coordinator} ({problem}). Look "
            "whether --process=0 is running there and whether a firewall closes the "
            "port"
        )
    elif coordinator:
        told += (
            f": process 0 answers process {number} at {coordinator}, so another one "
            "is missing; the message of process 0 says more"
        )
    return f"{told}; --start_timeout waits longer"


def unreachable(coordinator):
    """Why nothing can be reached at an address; None if something answers."""
    host, _, port = coordinator.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, ValueError) as error:
        return str(error)
    return None


def main(coordinator, count, number, seconds):
    """Waits for the end of its input, which is that of the wait or of the process."""
    # Asked a little early: at the end process 0 may just have given up as well.
    if _arrived(0.8 * float(seconds)):
        return
    problem = unreachable(coordinator)
    if _arrived(0.2 * float(seconds)):
        return
    told = message((coordinator, count, number), seconds, problem)
    print(told, file=sys.stderr, flush=True)
    os.kill(os.getppid(), signal.SIGHUP)


def _arrived(seconds):
    return bool(select.select([sys.stdin], [], [], seconds)[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
