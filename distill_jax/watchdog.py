"""Ends a process that waits for ever, and says where."""

import faulthandler
import os
import sys
import threading
import time

# If even the message cannot be printed, because Python itself is held up.
GRACE_SECONDS = 30


class Watchdog:
    """To be told of every step; a context manager. Ends the process if it is not."""

    def __init__(self, seconds, name=""):
        """Nothing happens before it is entered.

        Args:
          seconds: longest time for a step, with all that is between it and the one
            before; 0 waits for ever.
          name: of the process, for the message.
        """
        self.seconds, self.name = seconds, name
        self._step, self._at = None, time.monotonic()
        self._over = threading.Event()

    def __enter__(self):
        if self.seconds:
            self.told(None)
            threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._over.set()
        if self.seconds:
            faulthandler.cancel_dump_traceback_later()

    def told(self, step):
        """Called after each step."""
        self._step, self._at = step, time.monotonic()
        if self.seconds:
            later = self.seconds + GRACE_SECONDS
            faulthandler.dump_traceback_later(later, exit=True)

    def _watch(self):
        left = self.seconds
        while left > 0:
            if self._over.wait(left):
                return
            left = self._at + self.seconds - time.monotonic()
        done = "no step" if self._step is None else f"step {self._step}"
        print(
            f"\n{self.name or 'this process'}: {done} was the last that was finished, "
            f"{self.seconds:g} s ago. A process hangs or is gone, or a compilation, an "
            "evaluation or a checkpoint takes longer than --step_timeout. The "
            "messages of the others tell which process hangs: those that wait for it "
            "are inside a step. This one is here:",
            file=sys.stderr,
            flush=True,
        )
        faulthandler.dump_traceback()
        os._exit(1)
