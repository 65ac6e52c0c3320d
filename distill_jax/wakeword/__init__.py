"""From a word to what runs on a microcontroller: one plan, resumable at every stage."""

import json
import time
from typing import Any, NamedTuple

from distill_jax import report, workdir
from distill_jax.wakeword import page, stages
from distill_jax.wakeword.page import lines
from distill_jax.wakeword.plan import KINDS, STUDENTS, Plan, check
from distill_jax.wakeword.recordings import ready

__all__ = [
    "FILE",
    "KINDS",
    "STUDENTS",
    "Event",
    "Plan",
    "check",
    "lines",
    "make",
    "read",
    "ready",
]

FILE = "wakeword.json"


class Event(NamedTuple):
    """How far the work is.

    Attributes:
      title: of the stage.
      number: of the stage, from 1.
      count: of stages.
      step: of the stage, from 0.
      steps: how many there are to do in it.
      values: what a training step says, see `train.train`, or {}.
    """

    title: str
    number: int
    count: int
    step: int
    steps: int
    values: dict[str, Any]


def make(plan):
    """Does everything that is not done yet.

    Args:
      plan: `Plan`. Closed, the generator saves; the same plan goes on from there.

    Yields:
      `Event`, one at least for every stage that is not done.

    Raises:
      ValueError: see `check`; or the folder was begun with another plan.
      OSError, RuntimeError, checkpoints.CheckpointError: see the stages.
    """
    check(plan)
    workdir.keep_settings(plan.workdir, _settings(plan), "parts of a wake word")
    todo = stages.of(plan)
    for number, stage in enumerate(todo, 1):
        record = read(plan.workdir)
        if "figures" not in record.get(stage.name, {}):
            yield from _done(plan, stage, (number, len(todo)))
    page.write(plan, todo, read(plan.workdir))


def read(folder):
    """What is done: {name of a stage: {"seconds", and when it is done "figures"}}."""
    path = folder / FILE
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _done(plan, stage, place):
    """Runs a stage and writes down how long it took, also where it is stopped."""
    begun, record, figures = time.monotonic(), read(plan.workdir), {}
    before = record.get(stage.name, {}).get("seconds", 0.0)
    running = stage.run()
    yield Event(stage.title, *place, 0, 0, {})
    try:
        while True:
            try:
                event = next(running)
            except StopIteration as end:
                figures = {"figures": end.value}
                break
            yield Event(stage.title, *place, *event)
    finally:
        running.close()
        seconds = before + time.monotonic() - begun
        record[stage.name] = {"seconds": seconds, **figures}
        report.figures(plan.workdir / FILE, record)


def _settings(plan):
    """The plan as JSON values; where it is may change."""
    values = plan._asdict()
    del values["workdir"]
    values |= {name: str(values[name] or "") for name in ("data", "noise")}
    return json.loads(json.dumps(values))
