"""Checkpoints of PyTorch models: what is in them, and features made with them."""

from pathlib import Path
from typing import NamedTuple

from distill_jax import inspection, semantic, workdir
from distill_jax.app import charts, places
from distill_jax.app.training import Event
from distill_jax.semantic import extraction, store
from distill_jax.weights import folder as weights_folder

MOST_ROWS = 400
TENSORS = ("tensor", "dtype", "shape", "parameters", "file")
BATCH_SECONDS = 30.0


class Request(NamedTuple):
    """Features that are wanted, as `store.settings` takes it.

    Attributes:
      model: folder of a speech encoder.
      data: folder of sounds.
      out: folder for the features.
      layer: hidden state.
      dtype: of weights and activations.
      store: "files" or "shards".
      stats: None; features are not normalised.
    """

    model: Path
    data: Path
    out: Path
    layer: int = 17
    dtype: str = "float32"
    store: str = "files"
    stats: None = None


def choices(root):
    """Folders in the root with safetensors."""

    def wanted(folder):
        known = weights_folder.FILE, weights_folder.INDEX
        return any((folder / name).is_file() for name in known)

    return places.folders(root, wanted)


def look(root, name):
    """What is in a checkpoint.

    Returns:
      Text on the whole, HTML table of its tensors, and whether all fits a model here
      (None if the model is not known).

    Raises:
      OSError, ValueError: there is none, it is damaged or outside of the root.
    """
    path = places.recordings(root, name)
    found = inspection.look(path)
    rows = [
        [
            each["name"],
            each["dtype"],
            " × ".join(map(str, each["shape"])) or "one number",
            f"{each['parameters']:,}",
            each["file"],
        ]
        for each in found["tensors"]
    ]
    table = charts.table(TENSORS, rows[:MOST_ROWS])
    if len(rows) > MOST_ROWS:
        table += charts.note(f"and {len(rows) - MOST_ROWS:,} more tensors")
    fits = None if found["problems"] is None else not found["problems"]
    return inspection.page(found), table, fits


def request(root, model, data, out, layer):
    """A `Request`, all of it in the root.

    Raises:
      ValueError: a path is missing or outside, or `out` is no name.
    """
    return Request(
        places.recordings(root, model),
        places.recordings(root, data),
        places.named(root, out),
        int(layer),
    )


def extract(wanted):
    """Writes features that are not there yet; the same request goes on.

    Args:
      wanted: `Request`.

    Yields:
      `training.Event`, a step for every file.

    Raises:
      OSError, ValueError: see `semantic.load`; or files were left out, told at the end.
    """
    yield Event("opening the encoder", 1, 2)
    name_of = store.names([wanted.data])
    encoder = semantic.load(wanted.model, wanted.layer, wanted.dtype)
    settings = store.settings(wanted, encoder)
    workdir.keep_settings(wanted.out, settings, "features")
    kept = store.STORES[wanted.store](wanted.out)
    todo = [path for path, name in name_of.items() if kept.place(name) is None]
    samples, skipped = semantic.lengths(todo, encoder.rate_hz)
    groups = extraction.batches(samples, BATCH_SECONDS, encoder)
    before = len(name_of) - len(todo)
    try:
        for number, each in enumerate(semantic.extract(encoder, groups), 1):
            if each.problem is None:
                kept.put(name_of[each.path], each.feature_td)
            else:
                skipped[each.path] = each.problem
            yield Event("encoding", 2, 2, before + number, len(name_of))
    finally:
        kept.flush()
        store.write_index(kept, name_of)
    if skipped:
        lines = "\n  ".join(skipped.values())
        raise ValueError(f"{len(skipped)} files were left out:\n  {lines}")
