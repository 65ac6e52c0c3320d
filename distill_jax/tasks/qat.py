"""A trained keyword network, trained on as the integers that it will be.

Its teachers, if it had any, and its losses are those of the student's run.
"""

import functools

import jax
import jax.numpy as jnp

from distill_jax import checkpoints
from distill_jax.audio import front_end
from distill_jax.data import stream
from distill_jax.quant import Simulation, fold, ranges
from distill_jax.tasks import caching, distill, networks, words
from distill_jax.tasks.words import rate_hz

__all__ = ["calibrated", "data", "make", "rate_hz"]

CALIBRATION = 16  # batches
# Settings that are those of the student, whatever the config says.
INHERITED = ("augment", "front_end", "masks", "model")
# Those of a student with teachers; runs of before there were any have none.
TEACHING = ("distill", "teachers", "teacher_alignment_layers")
# Where its recordings are may have changed since.
PLACES = ("root", "noise", "cache", "workers")


def data(config):
    """The batches of the job, `Data`; the student's settings are written to `config`.

    Raises:
      FileNotFoundError, ValueError, checkpoints.CheckpointError: there is no student
        in `config.student`, it is of another kind, or see `words.corpus`.
    """
    known = taught(config.student)
    with config.unlocked():
        for name in (*INHERITED, *(name for name in TEACHING if name in known)):
            config[name] = known[name]
        places = {name: config.data[name] for name in PLACES if config.data[name]}
        config.data = known.data.copy_and_resolve_references()
        config.data.update(places)
    found = caching.data(config)
    if tuple(config.labels) != tuple(known.labels):
        raise ValueError(
            f"{config.data.root} holds {', '.join(config.labels)}, but the student "
            f"knows {', '.join(known.labels)}; give its recordings as config.data.root"
        )
    return found


def taught(student):
    """Settings of the run that is continued.

    Raises:
      FileNotFoundError: there is none.
      ValueError: no student is named, or it is a run of another kind.
    """
    if not student:
        raise ValueError(
            "there is no student to go on from; set --config.student to the work "
            "directory of a run of configs/distill.py"
        )
    config = checkpoints.read_config(student)
    if config.task != "distill":
        raise ValueError(
            f"{student} is a run of the task {config.task!r}, expected 'distill'"
        )
    return config


def calibrated(config, module, variables):
    """Ranges of a float network on training clips as they are heard in training.

    Args:
      config: of its run, with its recordings.
      module: `TinyConv`.
      variables: `params` and `batch_stats`.

    Returns:
      See `ranges.calibrated`, which also says what it raises.
    """
    config = config.copy_and_resolve_references()
    noise, how = words.bank(config), (words.varied(config), networks.front(config))
    # Whole batches, also in one of several processes: all measure the same.
    batches = words.batches(config, words.sides(config), loading=stream.ALONE).train(0)
    try:
        heard = (_heard(next(batches), noise, how) for _ in range(CALIBRATION))
        return ranges.calibrated(module, variables, heard)
    finally:
        batches.close()


@functools.partial(jax.jit, static_argnames="how")
def _heard(batch, noise, how):
    """Features of a batch as training hears it."""
    settings, front = how
    audio_bs = words.heard({**batch, "step": 0}, noise, settings)
    return front_end.log_mel(audio_bs, front)


def make(config):
    """Builds the job.

    Args:
      config: as `configs/qat.py` gives it, with what `data` adds.

    Returns:
      A `Task`, whose state is batch statistics and ranges. With `config.quantise`
      False it is the control: the same steps in float, without ranges.

    Raises:
      ValueError: a setting cannot be; a layer has no integer form; or see `taught`.
    """
    check(config)
    module, run = networks.model(config), None
    params, state = started(config, module)
    if config.quantise:
        live = round(config.live_share * config.steps)
        run = Simulation(module, config.bits, config.range_decay, live).apply
    task = distill.taught_by(config, distill.opened(config), run)

    def init(rng):
        return task.init(rng)[0], state

    return task._replace(init=init, load=lambda _: task.load(params))


def started(config, module):
    """Parameters and state of the student, calibrated unless it is for the control."""
    trained = checkpoints.read(config.student)
    params = trained["ema"]
    state = {"batch_stats": trained["state"]["batch_stats"]}
    if config.quantise:
        student = {"params": distill.student_of(params), **state}
        seen = calibrated(config, module, student)
        state["ranges"] = seen
    return jax.tree.map(jnp.asarray, (params, state))


def check(config):
    """Raises ValueError naming every setting that cannot be."""
    problems = []
    if config.bits not in fold.BITS:
        problems.append(f"bits is {config.bits}, expected 2 to 8")
    if config.dtype != "float32":
        problems.append(
            f"dtype is {config.dtype!r}, expected float32: whole numbers up to 2^24 "
            "have to be exact"
        )
    if not 0 <= config.live_share <= 1:
        problems.append(f"live_share is {config.live_share}, expected 0 to 1")
    if not 0 <= config.range_decay < 1:
        problems.append(f"range_decay is {config.range_decay}, expected 0 to below 1")
    if problems:
        raise ValueError("config: " + "; ".join(problems))
