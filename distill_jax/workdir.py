"""The settings of a run, kept in its work directory and held on resume."""

import json
import logging
import os
import uuid
from pathlib import Path

log = logging.getLogger(__name__)

SETTINGS = "settings.json"

# Settings that may change between two starts of one run: they say how long, how
# often and on what it runs, not what is learnt at a step. `steps` bends the rest of
# the learning-rate curve; to train longer is worth it. `accumulate` follows the memory
# of the machine; batch normalisation sees it, see `step.accumulated`.
RESUMABLE = (
    "steps",
    "log_every",
    "eval_every",
    "save_every",
    "preview_every",
    "keep",
    "fsdp",
    "accumulate",
    "max_skipped",
    "workers",
    "data.workers",
)


class ConfigChangedError(ValueError):
    """A run is resumed with settings other than those it was started with."""


def write_json(path, values):
    """Writes a JSON file that is there whole or not at all.

    Args:
      path: the file.
      values: what `json` can write.
    """
    path = Path(path)
    # Several processes may write the same file.
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.partial")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(values, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_config(workdir):
    """Settings a run was started with, as nested dictionaries.

    Raises:
      FileNotFoundError: the folder holds no run.
    """
    path = Path(workdir) / "config.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing, so {workdir} is not the work directory of a run; "
            "give the folder that --workdir named when it was trained"
        )
    return json.loads(path.read_text(encoding="utf-8"))


def keep_config(workdir, config, resuming, writes=True):
    """Writes `config.json` at the start of a run; holds a resumed run to it.

    Args:
      workdir: folder of the run, made if missing.
      config: the settings as (nested) dictionaries of plain values.
      resuming: whether there is a checkpoint to go on from; without one nothing
        was learnt yet and the new settings simply hold.
      writes: False compares only: one of several processes writes.

    Raises:
      ConfigChangedError: a setting outside RESUMABLE differs.
    """
    workdir = Path(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    # Through JSON and back: tuples become lists, as in the file.
    config = json.loads(json.dumps(config))
    if resuming and (workdir / "config.json").is_file():
        changes = _changes(_flat(read_config(workdir)), _flat(config))
        _refuse(
            {key: pair for key, pair in changes.items() if key not in RESUMABLE},
            workdir,
        )
        if changes:
            log.warning(
                "resuming %s with changed settings: %s",
                workdir,
                ", ".join(_lines(changes)),
            )
    if writes:
        write_json(workdir / "config.json", config)


def keep_settings(out, settings, what):
    """Writes what the files of a folder are, or refuses a folder that holds others.

    Args:
      out: the folder, made if missing.
      settings: what decides them, JSON values.
      what: what the files are, such as "features".

    Raises:
      ValueError: the folder was begun with other settings; they are named.
    """
    path = Path(out) / SETTINGS
    if path.exists():
        old = json.loads(path.read_text("utf-8"))
        changed = [
            f"  {name}: {old.get(name)!r} there, {settings.get(name)!r} now"
            for name in sorted(old.keys() | settings.keys())
            if old.get(name) != settings.get(name)
        ]
        if changed:
            raise ValueError(
                "\n".join([f"{out} holds other {what}; choose another:", *changed])
            )
    Path(out).mkdir(parents=True, exist_ok=True)
    write_json(path, settings)


def _refuse(changes, workdir):
    if changes:
        raise ConfigChangedError(
            f"{workdir} was started with other settings:\n  "
            + "\n  ".join(_lines(changes))
            + "\nrevert them to resume, or give a new --workdir to start over; only "
            + ", ".join(RESUMABLE)
            + " may change"
        )


def _lines(changes):
    return [f"{key}: {old} -> {new}" for key, (old, new) in sorted(changes.items())]


def _changes(old, new):
    """{key: (old, new)} as JSON, `absent` where a side has no such key."""
    return {
        key: tuple(
            json.dumps(side[key]) if key in side else "absent" for side in (old, new)
        )
        for key in old.keys() | new.keys()
        if key not in old or key not in new or old[key] != new[key]
    }


def _flat(tree, prefix=""):
    """Nested dictionaries as one with dotted keys."""
    leaves = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            leaves |= _flat(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves
