"""Checkpoints: saved in the background, checked byte by byte, read back.

One is a folder `checkpoints/STEP`. Orbax writes it under another name, we add
`record.json` (a SHA-256 of every file; path, shape and type of every array), and a
rename makes it visible. So a process killed at any moment leaves whole checkpoints
with their records and nothing else, and what happens to a file later is found before
it is used; Orbax alone restores flipped bits without a word. A checkpoint without a
record is treated as damaged: nothing tells that its numbers are right.
"""

import logging
import math
import shutil
from concurrent.futures import ThreadPoolExecutor

import jax
import orbax.checkpoint as ocp

from distill_jax import integrity
from distill_jax.checkpoints.reading import (
    CheckpointError,
    directory_of,
    none_good,
    tell,
)

log = logging.getLogger("distill_jax.checkpoints")

# What Orbax and TensorStore raise where a file cannot be written.
WRITE_ERRORS = (OSError, ValueError, RuntimeError)
UNFINISHED = ".orbax-checkpoint-tmp"


class Store:
    """The checkpoints of one run, open for writing; a context manager.

    Of several processes all open it, save and restore together, from one folder that
    all of them see.

    Opening it checks what is there. Damaged checkpoints are moved to
    `WORKDIR/damaged`, with a message, if there is a good one to go on from.
    """

    def __init__(self, workdir, keep):
        """Opens, and makes if missing, the checkpoints of a run.

        Args:
          workdir: folder of the run.
          keep: how many of the newest stay, besides the one of the smallest loss.

        Raises:
          CheckpointError: there are checkpoints and all are damaged.
        """
        self.directory = directory_of(workdir)
        self.directory.mkdir(parents=True, exist_ok=True)
        _set_damaged_aside(self.directory)
        meet("the checkpoints are checked")
        self._writing, self._abandoned = None, False
        # Orbax works in a thread of its own, where Ctrl-C cannot cut it in half.
        self._thread = ThreadPoolExecutor(1, "checkpoints")
        self._manager = ocp.CheckpointManager(
            self.directory, options=_options(keep, self._write_record)
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Waits for the last write and lets go of the folder."""
        if self._abandoned:
            self._thread.shutdown(wait=False)
            return
        with self._thread:
            self._do(self._close)

    def abandon(self):
        """Lets `__exit__` wait for nothing: the other processes do not take part."""
        self._abandoned = True

    def latest(self):
        """Newest step that is saved, or None."""
        return self._do(self._manager.latest_step)

    def save(self, state, loss=None):
        """Starts to write a state; nothing if that step is there already.

        Args:
          state: the TrainState.
          loss: its evaluation loss, if known; decides what is kept as the best.

        Raises:
          CheckpointError: no room for it, or the write before this one failed.
        """
        self._do(self._save, state, loss)

    def wait(self):
        """Waits for the last write; a `CheckpointError`, once, if it failed."""
        self._do(self._wait)

    def restore(self, like):
        """The newest saved state.

        Args:
          like: the TrainState to fill, of `jax.ShapeDtypeStruct`s with shardings.

        Returns:
          The state, bit for bit as it was saved, or None if none is saved.

        Raises:
          CheckpointError: it holds other arrays than `like`: the model changed.
        """
        step = self.latest()
        if step is None:
            return None
        folder = self.directory / str(step)
        _compare(integrity.spec(like), integrity.read(folder)["tree"], folder)
        target = ocp.args.Composite(state=ocp.args.StandardRestore(like))
        return self._do(lambda: self._manager.restore(step, args=target)["state"])

    def _do(self, call, *args):
        return self._thread.submit(call, *args).result()

    def _save(self, state, loss):
        self._wait()
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        loss = float(loss) if loss is not None and math.isfinite(loss) else math.inf
        needed = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
        self._writing = step, needed, loss, integrity.spec(state)
        if needed > shutil.disk_usage(self.directory).free:
            raise self._failure("not enough room, so it was not begun")
        try:
            self._manager.save(
                step,
                args=ocp.args.Composite(state=ocp.args.StandardSave(state)),
                metrics={"loss": loss},
            )
        except WRITE_ERRORS as error:
            raise self._failure(error) from error

    def _wait(self):
        try:
            self._manager.wait_until_finished()
        except WRITE_ERRORS as error:
            raise self._failure(error) from error

    def _close(self):
        try:
            self._wait()
        finally:
            self._manager.close()

    def _write_record(self):
        """Called by Orbax's thread when all files are there, before the rename."""
        step, _, loss, tree = self._writing
        [folder] = self.directory.glob(f"{step}{UNFINISHED}*")
        known = loss if math.isfinite(loss) else None  # JSON has no infinity.
        integrity.write(folder, step=step, loss=known, tree=tree)

    def _failure(self, cause):
        step, needed, *_ = self._writing
        for partial in self.directory.glob(f"{step}{UNFINISHED}*"):
            shutil.rmtree(partial, ignore_errors=True)
        free = shutil.disk_usage(self.directory).free
        good = [f"step {number}" for number in integrity.steps(self.directory)]
        return CheckpointError(
            f"checkpoint {step} could not be written to {self.directory}: {cause}\n"
            f"it needs {needed / 1e6:.1f} MB and {free / 1e6:.1f} MB are free; the "
            f"last good checkpoint is {(good or ['none'])[-1]}; make room and give "
            "the same command again to go on from there"
        )


def meet(what, seconds=1800):
    """Waits until all processes are here, at most so long; one alone goes on.

    Unlike the collectives of a step it may be long between the first and the last.

    Args:
      what: where they meet, a few words; once in the life of a process.
      seconds: after which an error ends the wait.
    """
    ocp.multihost.sync_global_processes(
        what, timeout=seconds, processes=set(range(jax.process_count()))
    )


def _options(keep, on_written):
    policies = ocp.checkpoint_managers

    def loss(metrics):
        return metrics["loss"]

    best = policies.BestN(get_metric_fn=loss, reverse=True, n=1)
    return ocp.CheckpointManagerOptions(
        preservation_policy=policies.AnyPreservationPolicy(
            [policies.LatestN(keep), best]
        ),
        # The policy taken otherwise also asks for preemption, by itself.
        save_decision_policy=policies.FixedIntervalPolicy(1),
        # Without best_fn Orbax does not write the metrics down.
        best_fn=loss,
        best_mode="min",
        cleanup_tmp_directories=True,
        async_options=ocp.AsyncOptions(post_finalization_callback=on_written),
    )


def _set_damaged_aside(directory):
    """Moves damaged checkpoints out of the way, if a good one is left.

    Newest first, every byte until one is good; of those before it the small files,
    which Orbax reads on opening.
    """
    problems = {}
    for step in reversed(integrity.steps(directory)):
        good = None in problems.values()
        problems[step] = integrity.problem(directory / str(step), thorough=not good)
    if not problems:
        return
    if None not in problems.values():
        raise none_good(directory, "latest", problems)
    newest = max(step for step, problem in problems.items() if problem is None)
    # All have looked; now one of them moves.
    meet("damaged checkpoints are found")
    if jax.process_index():
        return
    tell(problems, directory / str(newest))
    for step in (step for step, problem in problems.items() if problem):
        aside = directory.with_name("damaged") / f"{step}"
        aside.parent.mkdir(exist_ok=True)
        shutil.rmtree(aside, ignore_errors=True)
        (directory / str(step)).rename(aside)


def _compare(expected, found, folder):
    if lines := integrity.differences(expected, found):
        raise CheckpointError(
            f"{folder} holds another model than the one being trained:\n  "
            + "\n  ".join(lines)
            + "\nbring the model's code and settings back to those of the run, or "
            "start over in a new --workdir"
        )
