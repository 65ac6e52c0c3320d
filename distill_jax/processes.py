"""Several processes that train one model: how they find each other, stop and part.

The runtime is JAX's own. A process that dies takes the others with it, and all start
again from the last checkpoint.
"""

import contextlib
import hashlib
import json
import os
import sys
import traceback
from typing import NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

from distill_jax import latecomers

# What every process is told, and JAX does not read by itself.
VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
# What JAX says when it gives up does not help; ours comes first.
GRACE_SECONDS = 60


class Plan(NamedTuple):
    """Who takes part; what is None is found by JAX, on SLURM and TPU pods.

    Attributes:
      coordinator: address and port of process 0.
      count: how many processes.
      number: of this process, from 0.
    """

    coordinator: str | None = None
    count: int | None = None
    number: int | None = None


def plan(wanted, given, environment=os.environ):
    """Who takes part, from flags and, where they are silent, from the environment.

    Args:
      wanted: whether there are to be several processes; else they are if anything is
        given.
      given: `Plan` of the flags.
      environment: of the process.

    Returns:
      `Plan`, or None for one process alone.

    Raises:
      ValueError: not all of it is given, or a number is none.
    """
    address, count, number = (environment.get(name) for name in VARIABLES)
    try:
        found = Plan(
            given.coordinator or address,
            given.count if given.count is not None or not count else int(count),
            given.number if given.number is not None or not number else int(number),
        )
    except ValueError as error:
        raise ValueError(
            f"{VARIABLES[1]} is {count!r} and {VARIABLES[2]} is {number!r}, expected "
            "whole numbers"
        ) from error
    if found == Plan():
        return found if wanted else None
    if None in found or not 0 <= found.number < found.count:
        raise ValueError(
            f"found coordinator {found.coordinator}, {found.count} processes, this one "
            f"being number {found.number}; give all three, --coordinator=HOST:PORT "
            "--processes=N --process=0 … N-1 (or the variables "
            f"{', '.join(VARIABLES)}), or none on SLURM and TPU pods, where they are "
            "found"
        )
    return found


def start(plan, seconds):
    """Joins the other processes; before anything else asks for a device.

    Args:
      plan: `Plan`.
      seconds: how long to wait for them. Then the process ends, with what to look at.

    Raises:
      ValueError: nobody says who takes part.
    """
    try:
        with latecomers.told(plan, seconds):
            jax.distributed.initialize(
                *plan, initialization_timeout=round(seconds) + GRACE_SECONDS
            )
    except ValueError as error:
        raise ValueError(
            f"nothing here says who takes part ({error}); on SLURM and TPU pods it is "
            "found, elsewhere give --coordinator, --processes and --process"
        ) from error


def _end(told):
    number = f"process {jax.process_index()}: " if several() else ""
    print(f"{number}{told}", file=sys.stderr, flush=True)
    os._exit(1)


def several():
    """Whether there is more than this process."""
    return jax.distributed.is_initialized() and jax.process_count() > 1


def first():
    """Whether this process is the one that writes for all."""
    return jax.process_index() == 0


def agree(what, values, cure="start all with the same command but for --process"):
    """Raises ValueError unless all processes were given the same.

    Args:
      what: what it is, in a word or two.
      values: JSON values.
      cure: what to do if they were not.
    """
    if not several():
        return
    text = json.dumps(values, sort_keys=True, default=str)
    mine_n = np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)
    all_pn = multihost_utils.process_allgather(mine_n[None], tiled=True)
    others = np.flatnonzero((all_pn != all_pn[:1]).any(axis=1)).tolist()
    if others:
        raise ValueError(f"processes {others} have other {what} than process 0; {cure}")


def stopping(step):
    """Whether all are to stop after this step: one of them was sent SIGTERM.

    Args:
      step: number of the step; all ask after each.

    Returns:
      True on all processes at the same step, the next that none has passed.
    """
    return multihost_utils.reached_preemption_sync_point(step)


def part():
    """Lets the others go, once nothing is left that all do together; waits for them."""
    if several():
        jax.distributed.shutdown()


@contextlib.contextmanager
def leaving():
    """Ends the process at once where an error comes out of the block.

    An orderly exit would wait for the others, which wait for this one.
    """
    try:
        yield
    except SystemExit:
        raise
    except BaseException:
        if not several():
            raise
        traceback.print_exc()
        _end(
            "ends with the error above, and so do the others. Where it is of a "
            "collective, a barrier or a heartbeat another process ended first: look "
            "at its messages. The same commands go on from the last checkpoint"
        )
