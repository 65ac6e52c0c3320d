"""Where things that can be made again are kept, and files that are there whole."""

import contextlib
import os
import shutil
import uuid
from pathlib import Path


def cache(name, chosen=""):
    """A folder for `name`, made if it is not there.

    Args:
      name: what is kept, e.g. "audio".
      chosen: the user's folder; "" takes $XDG_CACHE_HOME/distill_jax, or
        ~/.cache/distill_jax.

    Returns:
      The path.
    """
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(chosen).expanduser() if chosen else Path(home) / "distill_jax"
    folder = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def replacing(path):
    """A binary file that appears under its name only when it is complete.

    Args:
      path: the file that is made or replaced.

    Yields:
      File open for writing, in the same folder under a hidden name.

    Raises:
      OSError: with the space left, where writing fails.
    """
    path = Path(path)
    # Processes on several machines may write the same file.
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.part")
    try:
        with open(part, "wb") as file:
            yield file
        os.replace(part, path)
    except OSError as error:
        raise OSError(error.errno, _unwritable(path, error), str(path)) from error
    finally:
        part.unlink(missing_ok=True)


def _unwritable(path, error):
    if not path.parent.is_dir():
        return f"{error.strerror}; the folder {path.parent} is missing, make it first"
    free = shutil.disk_usage(path.parent).free
    return (
        f"{error.strerror}; {free:,} bytes are free there: free some space, raise the "
        "quota or choose another folder. Nothing half-written is left"
    )
