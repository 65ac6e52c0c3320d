"""Work in parts that any number of processes share, which may come, go and die.

They need nothing of each other but a folder that all of them see. A claim is a lock of
the operating system on a file there, so what a dead process had claimed is free at
once; Linux keeps such locks over NFS too. Where a file system ignores them a part may
be done twice, with the same result, and is never half done: it is written whole.
"""

import contextlib
import fcntl
import os
import time
from pathlib import Path

WAIT_SECONDS = 0.5


def shared(folder, parts, done):
    """Parts to be done here, until none is left to do anywhere.

    Args:
      folder: of the claims, made if missing.
      parts: names of all parts, the same in all processes.
      done: (part) -> whether it is done. One that stays undone is not given out again.

    Yields:
      A part; it is nobody else's until the next one is asked for.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    left = list(parts)
    while left:
        busy = []
        for part in left:
            if done(part):
                continue
            with _claim(Path(folder) / f".{part}.claim") as mine:
                if not mine:
                    busy.append(part)
                elif not done(part):  # It may just have been finished.
                    yield part
        if len(busy) == len(left):
            time.sleep(WAIT_SECONDS)
        left = busy


@contextlib.contextmanager
def alone(folder, name):
    """Waits until nobody else is in a block of this name."""
    path = Path(folder) / f".{name}.claim"
    while True:
        with _claim(path) as mine:
            if mine:
                yield
                return
        time.sleep(WAIT_SECONDS)


@contextlib.contextmanager
def _claim(path):
    """Whether a file could be locked; it is gone afterwards."""
    with open(path, "a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        # Locked, but perhaps after its last owner had taken it away.
        if not _is(path, file):
            yield False
            return
        try:
            yield True
        finally:
            path.unlink(missing_ok=True)


def _is(path, file):
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
