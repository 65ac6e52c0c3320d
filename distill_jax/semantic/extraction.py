"""Files of sound to files of features, a batch at a time, where it was left off."""

from pathlib import Path
from typing import Any, NamedTuple

from distill_jax.audio import files
from distill_jax.semantic import stats as statistics
from distill_jax.semantic.encoder import encode


class Outcome(NamedTuple):
    """What became of a sound.

    Attributes:
      path: its file.
      feature_td: float32 [frames, width], None where there are none.
      problem: why there are none, or None.
    """

    path: Path
    feature_td: Any
    problem: str | None


def lengths(sources, rate_hz):
    """Samples of each file at a rate, as its header promises; nothing is decoded.

    Args:
      sources: paths.
      rate_hz: samples per second.

    Returns:
      {path: samples}, and {path: what is wrong with it} of the others.
    """
    samples, problems = {}, {}
    for path in sources:
        try:
            samples[path] = files.length(*files.promised(path), rate_hz)
        except (OSError, ValueError) as error:
            problems[path] = str(error)
    return samples, problems


def batches(samples, batch_seconds, encoder):
    """Paths that are encoded together, the longest first.

    Args:
      samples: {path: samples}.
      batch_seconds: how much sound a batch holds for each device, padding included;
        a longer file is a batch of its own.
      encoder: `Encoder`.

    Returns:
      List of lists of paths.
    """
    made, most = [], batch_seconds * encoder.rate_hz * encoder.mesh.size
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


def extract(encoder, groups, stats=None):
    """Decodes and encodes files, each once.

    Args:
      encoder: `Encoder`.
      groups: from `batches`.
      stats: `Stats`; None leaves the features as they are.

    Yields:
      `Outcome` of every file.
    """
    for group in groups:
        clips, problems = {}, {}
        for path in group:
            try:
                clips[path] = files.read(path, encoder.rate_hz)
            except (OSError, ValueError) as error:
                problems[path] = str(error)
        yield from (Outcome(path, None, why) for path, why in problems.items())
        for path, feature_td in zip(clips, _encoded(encoder, clips), strict=True):
            if isinstance(feature_td, ValueError):
                yield Outcome(path, None, f"{path}: {feature_td}")
            elif stats is None:
                yield Outcome(path, feature_td, None)
            else:
                yield Outcome(path, statistics.normalise(feature_td, stats), None)


def _encoded(encoder, clips):
    """Features of each clip; of one that cannot be encoded, why."""
    try:
        return encode(encoder, list(clips.values())) if clips else []
    except ValueError as error:
        if len(clips) == 1:
            return [error]
    # One of them is too short, or not as long as its header says.
    return [_encoded(encoder, {path: clip_s})[0] for path, clip_s in clips.items()]
