"""Where things that can be made again are kept."""

import os
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
