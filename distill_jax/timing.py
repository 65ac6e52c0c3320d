"""Where the time of a run goes, and traces of some of its steps."""

import contextlib
import json
import logging
import re
import time
from pathlib import Path

import jax

from distill_jax import workdir as folders

log = logging.getLogger(__name__)

FILE = "time.json"
# Start is weights, programs and the last checkpoint; compute is the waiting for the
# devices, which go on during all the others.
PARTS = ("start", "input", "compute", "evaluation", "saving")


class Clock:
    """What a run does with its time, in seconds since this was made."""

    def __init__(self, trace=None):
        """Time runs from here.

        Args:
          trace: `Trace`, or None for no trace.
        """
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._begun, self._trace = time.perf_counter(), trace

    @contextlib.contextmanager
    def spent(self, part):
        """Counts the time of the block to one of `PARTS`."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] += time.perf_counter() - begun

    @contextlib.contextmanager
    def step(self, number):
        """Marks the block, which starts a step, for the profiler."""
        if self._trace:
            self._trace.before(number)
        with jax.profiler.StepTraceAnnotation("train", step_num=number):
            yield

    def stepped(self, number, values):
        """Called with what a step makes, which may still be on its way."""
        if self._trace:
            self._trace.after(number, values)

    def close(self):
        """Ends a trace that was cut short."""
        if self._trace:
            self._trace.end()
            if not self._trace.begun:
                log.warning(
                    "nothing was traced: none of the steps %d to %d was done",
                    self._trace.first,
                    self._trace.last,
                )

    def write(self, workdir):
        """Adds the seconds so far to what earlier starts of the run wrote.

        Returns:
          The shares of this start, {part: 0 to 1}, with "other" for the rest.
        """
        total = time.perf_counter() - self._begun
        seconds = self.seconds | {"other": total - sum(self.seconds.values())}
        before = _read(workdir)
        added = {name: before.get(name, 0.0) + s for name, s in seconds.items()}
        folders.write_json(Path(workdir) / FILE, added)
        return _shares(seconds)


def shares(workdir):
    """What all starts of a run did with their time, {part: 0 to 1}; {} if unknown."""
    return _shares(_read(workdir))


def said(shares):
    """Shares as a line for a person."""
    return "time: " + ", ".join(f"{share:.1%} {part}" for part, share in shares.items())


def _read(workdir):
    path = Path(workdir) / FILE
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _shares(seconds):
    total = sum(seconds.values())
    return {name: part / total for name, part in seconds.items()}


class Trace:
    """A trace of a few steps, for Perfetto, XProf or TensorBoard."""

    def __init__(self, folder, first, last):
        """Of the steps from `first` to `last`, both included."""
        self.folder, self.first, self.last = Path(folder), first, last
        self.begun = self._running = False

    def before(self, number):
        """Starts the trace where its first step does."""
        if number == self.first:
            jax.profiler.start_trace(self.folder)
            self.begun = self._running = True

    def after(self, number, values):
        """Ends the trace when its last step is through."""
        if number == self.last:
            jax.block_until_ready(values)
            self.end()

    def end(self):
        """Writes the trace, if one is running."""
        if self._running:
            self._running = False
            jax.profiler.stop_trace()


def trace(text, folder):
    """A `Trace` of "FIRST:LAST", None of "".

    Raises:
      ValueError: that is not what the text is.
    """
    if not text:
        return None
    found = re.fullmatch(r"(\d+):(\d+)", text)
    first, last = map(int, found.groups()) if found else (0, 0)
    if not 0 < first <= last:
        raise ValueError(f"--profile_steps is {text!r}, expected FIRST:LAST, 10:15")
    return Trace(folder, first, last)
