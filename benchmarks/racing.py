"""Contenders that step in turns, each in a process of its own, on CPUs or on a GPU."""

import argparse
import multiprocessing
import os
import resource
import statistics
import sys
import time
from typing import NamedTuple


class Work(NamedTuple):
    """What a contender is given.

    Attributes:
      batch: examples of a step.
      device: of PyTorch, "cpu" or "cuda"; JAX takes its default.
      dtype: "float32" or "bfloat16".
      layers: of the teachers, in order, where there are some.
    """

    batch: int
    device: str = "cpu"
    dtype: str = "float32"
    layers: tuple[int, ...] = ()


class Pace(NamedTuple):
    """How a contender did.

    Attributes:
      first: seconds of its first step, which may compile.
      median: seconds of a step over the rounds.
      host_mb: largest memory of its process, in MiB.
      device_mb: of what it took of the GPU, in MiB; 0 on a CPU.
    """

    first: float
    median: float
    host_mb: float
    device_mb: float


def arguments(description, rounds=9):
    """A parser with what all races are asked for."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--threads", type=int, default=2, help="of a contender")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    return parser


def ready_torch(work):
    """Makes PyTorch ready: tensors on its device, as many threads as there are.

    XLA multiplies float32 matrices of a GPU in TF32 by default, so PyTorch may too.
    """
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.set_default_device(work.device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True


def waiting(step, work):
    """A step of PyTorch that waits until the GPU is done."""
    if work.device == "cpu":
        return step

    def whole():
        import torch

        step()
        torch.cuda.synchronize()

    return whole


def race(contenders, work, rounds, threads):
    """{contender: `Pace`}.

    Args:
      contenders: functions (work) -> step, which waits for its own result.
      work: `Work`.
      rounds: how many steps are timed of each.
      threads: processors of each.

    Raises:
      SystemExit: one of them ended.
    """
    # A process that takes most of the GPU's memory at once leaves none to the others.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    context = multiprocessing.get_context("spawn")
    pipes, first = {}, {}
    for contender in contenders:
        pipes[contender], theirs = context.Pipe()
        arguments = contender, work, threads, theirs
        context.Process(target=serve, args=arguments, daemon=True).start()
        theirs.close()  # Else nobody would notice that the process has ended.
        first[contender] = answer(contender, pipes)
    times = {contender: [] for contender in contenders}
    for _ in range(rounds):
        for contender, pipe in pipes.items():
            pipe.send(True)
            times[contender].append(answer(contender, pipes))
    found = {}
    for contender, pipe in pipes.items():
        pipe.send(False)
        median = statistics.median(times[contender])
        found[contender] = Pace(first[contender], median, *answer(contender, pipes))
    return found


def answer(contender, pipes):
    """What the process of a contender says next."""
    try:
        return pipes[contender].recv()
    except EOFError:
        raise SystemExit(f"{contender.__name__} ended; its error is above") from None


def serve(contender, work, threads, pipe):
    """Builds a contender, then steps whenever it is asked to."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    step = contender(work)
    pipe.send(seconds(step))
    step()
    while pipe.recv():
        pipe.send(seconds(step))
    pipe.send((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, device_mb()))


def seconds(step):
    """Of one step."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def device_mb():
    """What this process took of the GPU at most, in MiB."""
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 2**20
    import jax

    stats = jax.local_devices()[0].memory_stats() or {}
    return stats.get("peak_bytes_in_use", 0) / 2**20


def memory(pace):
    """Both memories of a `Pace` as text."""
    device = f", {pace.device_mb:.0f} of the GPU" if pace.device_mb else ""
    return f"{pace.host_mb:6.0f} MiB peak{device}"
