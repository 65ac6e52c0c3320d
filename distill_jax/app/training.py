"""One job at a time in a thread of its own, watched and stopped from others."""

import contextlib
import threading
import time
from typing import Any, NamedTuple

from distill_jax import checkpoints, train
from distill_jax.export.runtimes import MissingRuntimeError

# What a job raises where the user can do something about it.
PROBLEMS = (
    OSError,
    ValueError,
    checkpoints.CheckpointError,
    train.NonFiniteError,
    MissingRuntimeError,
)
UNEXPECTED = "it ended with an error in the program; the terminal has the details"


class BusyError(ValueError):
    """There is a job already."""


class Event(NamedTuple):
    """How far a job is; as `wakeword.Event`."""

    title: str
    number: int
    count: int
    step: int = 0
    steps: int = 0
    values: dict[str, Any] = {}  # noqa: RUF012 - never written to


class State(NamedTuple):
    """What is known of a job.

    Attributes:
      name: of the run, as people see it.
      event: the newest, None before the first.
      outcome: "running", "stopping", "stopped", "done" or "failed".
      message: why it failed.
      begun: `time.monotonic` of its start.
      ended: the same of its end, None before it.
    """

    name: str
    event: Any = None
    outcome: str = "running"
    message: str = ""
    begun: float = 0.0
    ended: float | None = None

    @property
    def running(self):
        """Whether it still works."""
        return self.outcome in ("running", "stopping")

    @property
    def seconds(self):
        """How long it has worked."""
        return (self.ended or time.monotonic()) - self.begun


class Trainer:
    """Runs one job in the background."""

    def __init__(self):
        """Nothing runs."""
        self._lock, self._asked = threading.Lock(), threading.Event()
        self._thread, self._state = None, None

    @property
    def state(self):
        """`State` of the newest job; None before the first."""
        return self._state

    def start(self, name, make):
        """Begins a job.

        Args:
          name: of the run.
          make: () -> generator of events such as `Event`; closed, it saves.

        Raises:
          BusyError: another job runs.
        """
        with self._lock:
            if self._state is not None and self._state.running:
                raise BusyError(
                    f"“{self._state.name}” is running, and only one job runs at a "
                    "time; stop it or wait for its end"
                )
            self._asked.clear()
            self._state = State(name, begun=time.monotonic())
            self._thread = threading.Thread(target=self._run, args=(make,), name=name)
            self._thread.start()

    def stop(self):
        """Asks the job to save and end after its step; does not wait for it."""
        with self._lock:
            if self._state is not None and self._state.running:
                self._asked.set()
                self._state = self._state._replace(outcome="stopping")

    def close(self):
        """Stops the job and waits until it has saved."""
        self.stop()
        if self._thread is not None:
            self._thread.join()

    def _run(self, make):
        outcome, message = "failed", UNEXPECTED
        try:
            with contextlib.closing(make()) as events:
                outcome, message = self._walk(events), ""
        except PROBLEMS as error:
            outcome, message = "failed", str(error)
        finally:
            with self._lock:
                self._state = self._state._replace(
                    outcome=outcome, message=message, ended=time.monotonic()
                )

    def _walk(self, events):
        """Goes through the events; "done", or "stopped" where that was asked for."""
        for event in events:
            with self._lock:
                self._state = self._state._replace(event=event)
            if self._asked.is_set():
                return "stopped"
        return "done"
