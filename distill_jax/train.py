"""The training step and the loop, one for every job. The loop is a generator."""

import contextlib
import logging
import signal
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from distill_jax import checkpoints, metrics, optimizer, sharding, timing
from distill_jax import workdir as folders
from distill_jax.step import make_eval, make_preview, make_step
from distill_jax.task import TrainState

log = logging.getLogger(__name__)

# Steps given to the device before their numbers are read. Some, so that it never waits
# for Python; few, because what is in flight is not yet reported, and because hundreds
# hang several fake CPU devices (jaxlib 0.10.2).
RUN_AHEAD = 2


class NonFiniteError(RuntimeError):
    """Too many updates in a row were not finite."""


# What ends all processes at the same step.
SHARED = (GeneratorExit, NonFiniteError)


class Programs(NamedTuple):
    """What is compiled for a job.

    Attributes:
      step: (state, frozen, batch) -> state, metrics; the old state is donated.
      evaluate: (state, frozen, batch) -> {name: (sum, count)}.
      preview: (state, frozen, batch) -> {name: array}.
      frozen: what nobody moves, on the devices.
      place: (batch of numpy arrays) -> batch on the devices.
    """

    step: Callable
    evaluate: Callable
    preview: Callable
    frozen: object
    place: Callable


def cache_compilations(folder):
    """Keeps what XLA compiles in a folder, so that the next start is quick.

    Args:
      folder: where; programs that took a second or more go there.
    """
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)


def train(config, task, data, workdir, clock=None):
    """Trains a job and resumes it; stops where it is closed, with the state saved.

    What ends it early, `close()`, an exception thrown into it, an error in the data or
    an interrupt, saves the newest good state first. The steps in flight at that moment
    (2 at most) are saved but were not yielded. Several processes all run this; they
    save only where it is closed at the same step on all, or none of them goes on.

    Args:
      config: a `ConfigDict`; see `configs/`. `batch` is the number of examples of an
        update, over all devices and over the `accumulate` parts it is learnt in.
      task: the `Task`.
      data: the `Data`.
      workdir: folder of the run; resumed if it has checkpoints.
      clock: `timing.Clock` to be told where the time goes.

    Yields:
      (step, metrics) after each update, counted from 1. Metrics are floats: the
      task's, `loss`, `grad_norm`, `learning_rate`, `skipped`, `skipped_in_a_row`; at
      evaluations also `valid/...`, and numpy arrays `preview/...` at previews. A run
      that is complete yields nothing.

    Raises:
      NonFiniteError: `config.max_skipped` updates in a row were not finite.
      checkpoints.CheckpointError: no checkpoint can be read or written, or the saved
        one is of another model.
      workdir.ConfigChangedError: other settings than those the run began with.
    """
    with checkpoints.Store(workdir, config.keep) as store:
        done = store.latest()
        folders.keep_config(
            workdir, config.to_dict(), done is not None, jax.process_index() == 0
        )
        if done is not None and done >= config.steps:
            log.warning(
                "%s is complete: %d of %d steps are done; raise config.steps to go on",
                Path(workdir),
                done,
                config.steps,
            )
            return
        clock = clock or timing.Clock()
        with clock.spent("start"):
            mesh = sharding.mesh(config.fsdp)
            programs, state = prepare(config, task, mesh, store)
        yield from _steps(config, programs, data, (store, clock), state)
        with clock.spent("saving"):
            store.wait()


def prepare(config, task, mesh, store=None):
    """Builds the programs of a job and the state it starts from.

    Args:
      config: as for `train`.
      task: the `Task`.
      mesh: from `sharding.mesh`.
      store: `checkpoints.Store`; its newest state is taken if it has any.

    Returns:
      Programs, TrainState.

    Raises:
      ValueError: the devices cannot share the batch; see also the task's `load`.
    """
    sharding.check_batch(mesh, config.batch, config.accumulate)
    rng = jax.random.key(config.seed)
    born = sharding.shard(mesh, jax.eval_shape(task.init, rng))
    params, state = jax.jit(task.init, out_shardings=born)(rng)
    params, frozen = task.load(params)
    params, frozen = sharding.spread(mesh, (params, frozen))

    def begin(params, state):
        zero = jnp.zeros((), jnp.int32)
        moving = optimizer.trainable(params, task.trainable)
        opt_state = optimizer.adamw(config).init(moving)
        # Its own arrays: both are donated, and a buffer can be donated once.
        ema = jax.tree.map(jnp.copy, params)
        return TrainState(zero, params, state, opt_state, ema, zero + 0, zero + 0)

    shardings = sharding.shard(mesh, jax.eval_shape(begin, params, state))
    like = jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=place
        ),
        jax.eval_shape(begin, params, state),
        shardings,
    )
    programs = Programs(
        make_step(config, task, shardings),
        make_eval(config, task, shardings),
        make_preview(config, task, shardings),
        frozen,
        lambda batch: sharding.place(mesh, batch),
    )
    restored = store.restore(like) if store else None
    if restored is None:
        restored = jax.jit(begin, out_shardings=shardings)(params, state)
    else:
        log.warning("resuming from step %d", int(restored.step))
    return programs, restored


def _steps(config, programs, data, tools, state):
    """Updates, evaluates, saves and yields until the last step."""
    store, clock = tools
    first, last = int(state.step) + 1, config.steps
    pending, loss = deque(), None
    batches = data.train(first - 1)
    try:
        for step in range(first, last + 1):
            with clock.spent("input"):
                batch = programs.place(next(batches))
            loss = None
            with clock.spent("compute"), clock.step(step), _undisturbed():
                state, values = programs.step(state, programs.frozen, batch)
            pending.append((step, values))
            clock.stepped(step, values)
            with clock.spent("evaluation"):
                extra = _look(config, programs, data, (step, state))
            loss = extra.get("valid/loss")
            saving = _due(step, config.save_every, last)
            # All is reported before it is saved: a process killed in between does
            # these steps again, and the records of a resumed run have no gap.
            while len(pending) > (0 if extra or saving else RUN_AHEAD):
                number, values = pending.popleft()
                with clock.spent("compute"):
                    values = {k: _plain(v) for k, v in jax.device_get(values).items()}
                _check(number, values, config)
                yield number, values | (extra if number == step else {})
            if saving:
                with clock.spent("saving"):
                    store.save(state, loss)
    except checkpoints.CheckpointError:
        if jax.process_count() > 1:
            store.abandon()
        raise  # Nothing can be written now; trying again would hide why.
    except BaseException as error:
        # One process cannot save alone, and no other knows of its error.
        if jax.process_count() == 1 or isinstance(error, SHARED):
            _save_good(store, state, loss)
        else:
            store.abandon()
        raise
    finally:
        clock.close()


@contextlib.contextmanager
def _undisturbed():
    """Holds Ctrl-C back for the block.

    Its handler runs between any two instructions, also where the old state is already
    donated and the new one not yet held, and nothing would be left to save.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Handlers run in the main thread only.
        return
    came = []
    before = signal.signal(signal.SIGINT, lambda *_: came.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        signal.raise_signal(signal.SIGINT)


def _due(step, every, last):
    return step == last or (every > 0 and step % every == 0)


def _look(config, programs, data, at):
    """Evaluation and preview, each where it is due; {} where neither is."""
    step, state = at
    judged = _due(step, config.eval_every, config.steps)
    shown = _due(step, config.preview_every, config.steps)
    totals, extra = {}, {}
    if not (judged or shown):
        return extra
    for number, batch in enumerate(data.valid()):
        batch = programs.place(batch)
        if shown and number == 0:
            arrays = programs.preview(state, programs.frozen, batch)
            extra = {
                f"preview/{name}": np.asarray(array) for name, array in arrays.items()
            }
        if not judged:
            return extra
        totals = metrics.add(totals, programs.evaluate(state, programs.frozen, batch))
    if not totals:
        raise ValueError(
            "there is no held-out example; give more files to hold out from"
        )
    return extra | {
        f"valid/{name}": mean for name, mean in metrics.means(totals).items()
    }


def _plain(value):
    """A metric as a float, counts as an array."""
    return np.asarray(value) if np.ndim(value) else float(value)


def _check(step, values, config):
    row = round(values["skipped_in_a_row"])
    if row >= config.max_skipped:
        raise NonFiniteError(
            f"steps {step - row + 1} to {step} were not finite (loss "
            f"{values['loss']}, gradient norm {values['grad_norm']}) at learning rate "
            f"{values['learning_rate']:.3g}; none was applied and the last good state "
            "is saved. Look at the data of these steps (the same seed gives the same "
            "batches), or start over in a new --workdir with a lower "
            "config.learning_rate or config.clip_norm"
        )


def _save_good(store, state, loss):
    """Saves what is whole; a step that failed half-way leaves nothing to save."""
    if any(leaf.is_deleted() for leaf in jax.tree.leaves(state)):
        log.warning(
            "stopped inside a step: its state is gone, the last checkpoint is step %s",
            store.latest(),
        )
    elif int(state.step) > 0:
        store.save(state, loss)
