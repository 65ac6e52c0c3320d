"""What the verbs on speech encoders do."""

import hashlib
import math
import time

from distill_jax import claims, folders, progress, semantic, train, workdir
from distill_jax.cli.usage import UsageError, require, told
from distill_jax.semantic import extraction, store

# Files in a part of the work, which one process does at a time: small enough for many
# processes and for little to be lost, large enough for full batches.
PARTS, SMALLEST_PART, LARGEST_PART = 64, 64, 512


def extract(options):
    """Writes the features of every file, going on where it was left."""
    begun = time.perf_counter()
    check(options)
    name_of = names(options)
    encoder = opened(options)
    stats = None
    if options.stats is None:
        print("no --stats: the features are not normalised")
    else:
        with told(OSError, ValueError):
            stats = semantic.read(options.stats, encoder.width)
    with told(OSError, ValueError):
        settings = store.settings(options, encoder)
        workdir.keep_settings(options.out, settings, "features")
        kept = store.STORES[options.store](options.out)
    done = sum(kept.place(name) is not None for name in name_of.values())
    if done:
        print(f"{done} of {len(name_of)} files are done already")
    skipped, written, frames = {}, 0, 0
    with told(OSError, ValueError):
        try:
            work = undone(options.out, kept, name_of), len(name_of) - done
            for path, feature_td in walk(encoder, work, options, skipped, stats):
                kept.put(name_of[path], feature_td)
                written, frames = written + 1, frames + len(feature_td)
        finally:
            # Also when it is interrupted.
            kept.flush()
            store.write_index(kept, name_of)
        print(options.out / store.INDEX)
        about = {"store": options.store, "stats": options.stats and str(options.stats)}
        about |= {"done_before": done, "written": written, "frames": frames}
        report(options, encoder, skipped, begun, about)
    require(not skipped, "\n  ".join(["these were left out:", *skipped.values()]))


def undone(out, kept, name_of):
    """Sounds without features, some at a time, which no other process works at.

    Args:
      out: folder of the features.
      kept: the store.
      name_of: from `names`; the same in all processes.

    Yields:
      Lists of paths, until all sounds have features or were tried here. What was put
      for a list is written before the next one.
    """
    paths = list(name_of)
    size = min(max(len(paths) // PARTS, SMALLEST_PART), LARGEST_PART)
    # Named by what is in them: processes that were given other sounds do no harm.
    parts = {}
    for first in range(0, len(paths), size):
        part = paths[first : first + size]
        listed = "\n".join(name_of[path] for path in part)
        parts[hashlib.sha256(listed.encode()).hexdigest()[:16]] = part

    def left(part):
        return [path for path in parts[part] if kept.place(name_of[path]) is None]

    def done(part):
        kept.look()
        return not left(part)

    for part in claims.shared(out, parts, done):
        yield left(part)
        kept.flush()


def stats(options):
    """Measures mean and variance of the features of a corpus."""
    begun = time.perf_counter()
    check(options)
    require(
        options.out.suffix == ".safetensors",
        f"--out is {options.out}, expected a name that ends in .safetensors",
    )
    sources = list(names(options))
    encoder = opened(options)
    skipped = {}
    walked = walk(encoder, ([sources], len(sources)), options, skipped)
    with told(OSError, ValueError):
        tensors, frames = measured(walked, skipped)
        about = {"layer": options.layer, "frames": frames, "files": len(sources)}
        report(options, encoder, skipped, begun, about)
        lines = ["these cannot be measured, so nothing is:", *skipped.values()]
        require(not skipped, "\n  ".join(lines))
        semantic.write(options.out, tensors, about)
    print(f"{options.out}: mean and var of {frames} frames of {len(sources)} files")


def measured(walked, skipped):
    """Mean and variance, and of how many frames."""
    try:
        return semantic.measure(feature_td for _, feature_td in walked)
    except ValueError as error:
        raise UsageError("\n  ".join([str(error), *skipped.values()])) from error


def names(options):
    """{path of a sound: its name in a store}, each a different one."""
    with told(OSError, ValueError):
        return store.names(options.files)


def walk(encoder, work, options, skipped, stats=None):
    """Features of files as they go by on a progress bar.

    Args:
      encoder: `Encoder`.
      work: iterable of lists of paths, and how many paths there are at most.
      options: with `batch_seconds`.
      skipped: gets {path: what is wrong} of those that have no features.
      stats: `Stats` to normalise with.

    Yields:
      A path and float32 [frames, width].
    """
    parts, most = work
    with progress.bar(None, "encoding", most, "file") as bar:
        for paths in parts:
            samples, problems = semantic.lengths(paths, encoder.rate_hz)
            skipped |= problems
            groups = extraction.batches(samples, options.batch_seconds, encoder)
            for path, feature_td, problem in semantic.extract(encoder, groups, stats):
                bar.update()
                if problem is None:
                    yield path, feature_td
                else:
                    skipped[path] = problem


def report(options, encoder, skipped, begun, about):
    """Writes what was done as JSON, where that is asked for."""
    if options.report is None:
        return
    facts = {
        "model": str(options.model),
        "encoder": type(encoder.module).__name__,
        "layer": encoder.layer,
        "width": encoder.width,
        "dtype": options.dtype,
        "input": encoder.form._asdict(),
        "devices": list(map(str, encoder.mesh.devices.flat)),
        "weights": encoder.report._asdict(),
        **about,
        "skipped": {str(path): why for path, why in skipped.items()},
        "seconds": round(time.perf_counter() - begun, 3),
    }
    options.report.parent.mkdir(parents=True, exist_ok=True)
    workdir.write_json(options.report, facts)


def check(options):
    """Refuses options that cannot be meant."""
    require(options.files, "no sound to read; name files or folders")
    require(
        0 < options.batch_seconds < math.inf,
        f"--batch-seconds is {options.batch_seconds}, expected more than 0",
    )


def opened(options):
    """The encoder that is asked for."""
    train.cache_compilations(folders.cache("xla"))
    with told(OSError, ValueError):
        return semantic.load(options.model, options.layer, options.dtype)


VERBS = {"Extract": extract, "Stats": stats}
