"""What the verbs on speech encoders do."""

import hashlib
import math
from pathlib import Path

from distill_jax import folders, progress, semantic, train, workdir
from distill_jax.cli.targets import with_targets
from distill_jax.cli.usage import require, told
from distill_jax.semantic import extraction


def extract(options):
    """Writes the features of every file, going on where it was left."""
    check(options)
    pairs = with_targets(options.files, options.out, "safetensors")
    encoder = opened(options)
    stats = None
    if options.stats is None:
        print("no --stats: the features are not normalised")
    else:
        with told(OSError, ValueError):
            stats = semantic.read(options.stats, encoder.width)
    target_of = dict(pairs)
    with told(OSError, ValueError):
        workdir.keep_settings(options.out, settings_of(options, encoder), "features")
    todo = [path for path, target in pairs if not target.exists()]
    if len(todo) < len(pairs):
        print(f"{len(pairs) - len(todo)} of {len(pairs)} files are done already")
    samples, problems = semantic.lengths(todo, encoder.rate_hz)
    groups = extraction.batches(samples, options.batch_seconds, encoder)
    found = semantic.extract(encoder, groups, target_of, stats)
    with told(OSError):
        problems += walk(found, len(samples), "extracting")
        extraction.write_index(options.out, target_of)
    print(options.out / extraction.INDEX)
    require(not problems, "\n  ".join(["these were left out:", *problems]))


def stats(options):
    """Measures mean and variance of the features of a corpus."""
    check(options)
    require(
        options.out.suffix == ".safetensors",
        f"--out is {options.out}, expected a name that ends in .safetensors",
    )
    sources = [path for path, _ in with_targets(options.files, Path(), "safetensors")]
    encoder = opened(options)
    samples, problems = semantic.lengths(sources, encoder.rate_hz)
    require(not problems, "\n  ".join(["these cannot be measured:", *problems]))
    groups = extraction.batches(samples, options.batch_seconds, encoder)
    with told(OSError, ValueError):
        with progress.bar(groups, "measuring", unit="batch") as bar:
            features = (
                feature_td
                for group in bar
                for feature_td in extraction.features(encoder, group)
            )
            tensors, frames = semantic.measure(features)
        about = {"layer": options.layer, "frames": frames, "files": len(sources)}
        semantic.write(options.out, tensors, about)
    print(f"{options.out}: mean and var of {frames} frames of {len(sources)} files")


def walk(found, total, title):
    """What was wrong with files, as they go by on a progress bar."""
    with progress.bar(found, title, total=total, unit="file") as bar:
        return [problem for _, problem in bar if problem]


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


def settings_of(options, encoder):
    """What decides the features, to tell folders of others apart."""
    checkpoint = sorted(options.model.glob("*.safetensors"))
    return {
        "model": {path.name: digest(path) for path in checkpoint},
        "config": digest(options.model / "config.json"),
        "input": encoder.form._asdict(),
        "layer": options.layer,
        "dtype": options.dtype,
        "stats": options.stats and digest(options.stats),
    }


def digest(path):
    """SHA-256 of a file; 2.3 GB take seconds, stale features are never noticed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


VERBS = {"Extract": extract, "Stats": stats}
