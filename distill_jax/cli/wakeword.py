"""What the verb that makes a wake word does."""

import contextlib
import signal

from distill_jax import checkpoints, folders, progress, train
from distill_jax import wakeword as wakewords
from distill_jax.cli.usage import told

PROBLEMS = (OSError, ValueError, checkpoints.CheckpointError)


def wakeword(options):
    """Makes a wake word and says what it can do."""
    plan = planned(options)
    train.cache_compilations(folders.cache("xla"))
    signal.signal(signal.SIGTERM, leave)
    with (
        told(*PROBLEMS),
        progress.told(),
        contextlib.closing(wakewords.make(plan)) as events,
        contextlib.closing(Bars()) as bars,
    ):
        for event in events:
            bars.show(event)
    print("\n".join(wakewords.lines(plan, wakewords.read(plan.workdir))))


def planned(options):
    """The `Plan` of the options."""
    values = options._asdict()
    teachers = "" if values["teachers"] == "none" else values["teachers"]
    names = (each.strip() for each in teachers.split(","))
    values["teachers"] = tuple(each for each in names if each)
    values["changes"] = values.pop("set")
    return wakewords.Plan(**values)


def leave(number, frame):
    """Ends the process as SIGTERM would have, once everything is saved."""
    raise SystemExit(128 + number)


class Bars:
    """A bar for every stage that counts its steps."""

    def __init__(self):
        """Nothing is shown yet."""
        self._place, self._bar = None, None

    def show(self, event):
        """Moves the bar, or begins the next."""
        if event.number != self._place:
            self.close()
            self._place = event.number
            print(f"[{event.number}/{event.count}] {event.title}", flush=True)
        if event.step:
            if self._bar is None:
                self._bar = progress.bar(None, event.title, event.steps, "step")
            self._bar.set_postfix(progress.shown(event.values), refresh=False)
            self._bar.update(event.step - self._bar.n)
            if event.step == event.steps:
                self.close()

    def close(self):
        """Ends the bar."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None


VERBS = {"Wakeword": wakeword}
