"""Files of sound to files of features, a batch at a time, where it was left off."""

from pathlib import Path

from distill_jax import weights, workdir
from distill_jax.audio import files
from distill_jax.semantic import stats as statistics
from distill_jax.semantic.encoder import encode

INDEX = "index.json"


def lengths(sources, rate_hz):
    """Samples of each file at a rate, of its header.

    Args:
      sources: paths.
      rate_hz: samples per second.

    Returns:
      {path: samples}, and a list of what is wrong with the others.
    """
    samples, problems = {}, []
    for path in sources:
        try:
            probe = files.probe(path)
            samples[path] = files.length(probe.frames, probe.rate_hz, rate_hz)
        except (OSError, ValueError) as error:
            problems.append(str(error))
    return samples, problems


def batches(samples, batch_seconds, encoder):
    """Paths that are encoded together, the longest first.

    Args:
      samples: {path: samples}.
      batch_seconds: how much sound a batch holds, padding included; a longer file
        is a batch of its own.
      encoder: `Encoder`.

    Returns:
      List of lists of paths.
    """
    made, most = [], batch_seconds * encoder.rate_hz
    for path in sorted(samples, key=lambda path: (-samples[path], str(path))):
        group = made[-1] if made else []
        longest = samples[group[0]] if group else 0
        near = (
            samples[path] == longest if encoder.alone else 2 * samples[path] > longest
        )
        if group and near and (len(group) + 1) * longest <= most:
            group.append(path)
        else:
            made.append([path])
    return made


def extract(encoder, groups, target_of, stats=None):
    """Encodes files and writes their features.

    Args:
      encoder: `Encoder`.
      groups: from `batches`.
      target_of: {path: path of the result}.
      stats: `Stats`; None leaves the features as they are.

    Yields:
      For every file its path and None, or what is wrong with it.
    """
    for group in groups:
        clips, problems = {}, {}
        for path in group:
            try:
                clips[path] = files.read(path, encoder.rate_hz)
            except (OSError, ValueError) as error:
                problems[path] = str(error)
        for path, feature_td in zip(clips, _encoded(encoder, clips), strict=True):
            if isinstance(feature_td, ValueError):
                problems[path] = f"{path}: {feature_td}"
                continue
            if stats is not None:
                feature_td = statistics.normalise(feature_td, stats)
            target_of[path].parent.mkdir(parents=True, exist_ok=True)
            weights.write(target_of[path], {"feature_td": feature_td})
        yield from ((path, problems.get(path)) for path in group)


def _encoded(encoder, clips):
    """Features of each clip; of one that cannot be encoded, why."""
    try:
        return encode(encoder, list(clips.values())) if clips else []
    except ValueError as error:
        if len(clips) == 1:
            return [error]
    # One of them is too short, or not as long as its header says.
    return [_encoded(encoder, {path: clip_s})[0] for path, clip_s in clips.items()]


def features(encoder, group):
    """Features of files, one after the other.

    Raises:
      ValueError: a file cannot be read or is too short.
    """
    clips = {path: files.read(path, encoder.rate_hz) for path in group}
    for path, feature_td in zip(clips, _encoded(encoder, clips), strict=True):
        if isinstance(feature_td, ValueError):
            raise ValueError(f"{path}: {feature_td}") from feature_td
        yield feature_td


def write_index(out, target_of):
    """Writes which features are of which file."""
    entries = [
        {"source": str(path), "features": target.relative_to(out).as_posix()}
        for path, target in sorted(target_of.items(), key=lambda pair: str(pair[1]))
        if target.exists()
    ]
    workdir.write_json(Path(out) / INDEX, entries)
