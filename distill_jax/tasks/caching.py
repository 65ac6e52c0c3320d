"""Batches of a student with what its teachers say, asked once for every fixed view."""

import functools
import hashlib
import json
import logging
import shutil

import jax
import numpy as np

from distill_jax import folders, sharding
from distill_jax.data import labelled
from distill_jax.tasks import networks, tuition, words
from distill_jax.teachers import lessons, store

log = logging.getLogger(__name__)


def data(config):
    """The batches of the job, `Data`; see `words.corpus` for what it reads and raises.

    What there is to tell apart is written to `config.labels`. With teachers, clips
    without a label are trained on too. With `distill.views` the clips are shown in so
    many fixed variations; what the teachers say about them is then read from a folder,
    which is filled first.

    Raises:
      ValueError: the folder was filled by other teachers, or from other sounds.
    """
    found, views = sides(config), config.distill.views
    if not views:
        return words.batches(config, found)
    if not config.teachers:
        return words.batches(config, found, views_of(config, found))
    fixed, kept = taught_views(config, found)
    streams = words.batches(config, found, fixed)
    return streams._replace(train=joined(streams.train, kept, views))


def sides(config):
    """`words.sides`; with teachers, clips without a label are trained on too."""
    hidden = (labelled.UNLABELLED,) if config.teachers else ()
    return words.sides(config, ("train", *hidden))


def views_of(config, sides):
    """The `labelled.Views` of a run."""
    return labelled.views(
        sides["train"], config.distill.views, config.distill.view_seed
    )


def taught_views(config, sides):
    """The views of a run and what its teachers say about them, asked if need be.

    Args:
      config: as for `data`, with teachers and views.
      sides: from `sides`.

    Returns:
      `labelled.Views` and `store.Store`; see `stored` for what is raised.
    """
    fixed = views_of(config, sides)
    return fixed, stored(config, sides["train"], fixed)


def joined(train, kept, views):
    """A stream of fixed views with what is kept about them.

    Args:
      train: from `labelled.train_stream`.
      kept: `store.Store`.
      views: of each clip.

    Returns:
      (start) -> iterator over batches.
    """

    def start_at(start):
        batches = train(start)
        try:
            for batch in batches:
                row_b = batch["clip_b"].astype(np.int64) * views + batch["view_b"]
                yield batch | kept.read(row_b)
        finally:
            batches.close()

    return start_at


def stored(config, examples, fixed):
    """What the teachers say about all views, asked as far as it is not yet kept.

    Args:
      config: as `configs/distill.py` gives it, with `labels`.
      examples: `labelled.Examples`.
      fixed: `labelled.Views` of them.

    Returns:
      `store.Store`, complete.

    Raises:
      ValueError: the folder holds other answers; what differs is named.
      OSError: there is no room for them, told beforehand, or the disk fills up.
    """
    found = tuition.opened(config)
    taught = tuition.build(config, found, networks.steps(networks.model(config)))
    row = row_dtype(taught, len(config.labels), config.distill.cache_dtype)
    bank = words.bank(config)
    settings = key(config, found, taught, (examples, bank))
    folder = config.distill.cache
    if not folder:
        name = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        folder = folders.cache("teachers", config.data.cache) / name.hexdigest()[:24]
    store.begin(folder, settings)
    kept = store.Store(folder, row, fixed.seed_nk.size)
    missing = kept.missing()
    if missing:
        _announce(kept, missing, fixed)
        answer = asker(config, (found, taught), bank, (examples, fixed))
        kept.fill(answer, missing)
    return kept


def key(config, found, taught, heard):
    """Everything that decides what the teachers say, as JSON values.

    Args:
      config: of the run.
      found: its teachers.
      taught: its `Tuition`.
      heard: `labelled.Examples` and `augment.Bank`.
    """
    examples, bank = heard
    return {
        "teachers": [
            {"name": teacher.name, "weights": teacher.digest, "layers": lesson.layers}
            for teacher, lesson in zip(found, taught.lessons, strict=True)
        ],
        "teachers' dtype": config.distill.dtype,
        "steps of a layer": taught.rows,
        "clips": _digest(_sounds(examples), examples.start_n, examples.length_n),
        "silence": _digest(labelled.quiet(examples)),
        "window": examples.window,
        "noise and rooms": _digest(bank.noise_s, bank.room_nk),
        "augmentation": config.augment.to_dict(),
        "rate_hz": config.front_end.rate_hz,
        "views": config.distill.views,
        "view_seed": config.distill.view_seed,
        "kept as": config.distill.cache_dtype,
    }


def row_dtype(taught, classes, dtype):
    """What is kept of a view, a structured dtype.

    Args:
      taught: `Tuition`.
      classes: how many.
      dtype: of inner layers, "float32" or "float16"; logits are float32.

    Raises:
      ValueError: it is another.
    """
    if dtype not in ("float32", "float16"):
        raise ValueError(
            f"config.distill.cache_dtype is {dtype!r}, expected 'float32' or 'float16'"
        )
    steps = (taught.rows,) if taught.rows else ()
    layers = [(name, dtype, (*steps, wide)) for name, wide in taught.layers.items()]
    return np.dtype([(lessons.LOGITS, "f4", (len(taught.lessons), classes)), *layers])


def asker(config, teaching, bank, views):
    """Makes the function that asks the teachers, for `store.Store.fill`.

    Args:
      config: of the run.
      teaching: its teachers and `Tuition`.
      bank: `augment.Bank`.
      views: `labelled.Examples` and `labelled.Views`.
    """
    (found, taught), (examples, fixed) = teaching, views
    # Each process asks about other views, on its own devices.
    mesh, settings = sharding.mesh(devices=jax.local_devices()), words.varied(config)
    count = fixed.seed_nk.shape[1]
    frozen = jax.device_put(
        ([teacher.variables for teacher in found], bank), sharding.replicated(mesh)
    )
    how = taught.lessons, taught.rows, settings

    def answer(row_n, bar):
        said = []
        for first in range(0, len(row_n), config.batch):
            some_b = row_n[first : first + config.batch]
            # One shape, compiled once.
            full_b = np.pad(some_b, (0, config.batch - len(some_b)), mode="edge")
            batch = labelled.of_views(examples, fixed, *np.divmod(full_b, count))
            fields = jax.device_get(_ask(how, frozen, sharding.place(mesh, batch)))
            said.append({name: fields[name][: len(some_b)] for name in fields})
            bar.update(len(some_b))
        return {name: np.concatenate([each[name] for each in said]) for name in said[0]}

    return answer


@functools.partial(jax.jit, static_argnums=0)
def _ask(how, frozen, batch):
    (asked, rows, settings), (variables, bank) = how, frozen
    audio_bs = words.heard({**batch, "step": 0}, bank, settings)
    return lessons.taught(asked, variables, audio_bs, rows)


def _announce(kept, missing, fixed):
    """Says what will be written, or that it cannot be."""
    clips, views = fixed.seed_nk.shape
    needed = sum(len(kept.rows_of(part)) for part in missing) * kept.dtype.itemsize
    free = shutil.disk_usage(kept.folder).free
    if needed > free:
        raise OSError(
            f"what the teachers say about {views} views of {clips} clips takes "
            f"{needed:,} bytes in {kept.folder}, where {free:,} are free; free some "
            "space, choose another config.distill.cache, fewer config.distill.views or "
            "layers, or config.distill.cache_dtype=float16"
        )
    log.info(
        "asking the teachers about %d views of %d clips: %.1f MB in %s%s",
        views,
        clips,
        kept.bytes / 1e6,
        kept.folder,
        "" if needed == kept.bytes else f", {needed / 1e6:.1f} MB of them to do",
    )


def _sounds(examples):
    """The file of the samples is named after the recordings that are in it."""
    return np.frombuffer(examples.path.rpartition("/")[2].encode(), np.uint8)


def _digest(*arrays):
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
