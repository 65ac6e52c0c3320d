"""The recordings that a network is judged on, from the corpus it was trained on."""

import logging
from pathlib import Path

import numpy as np

from distill_jax.audio import files
from distill_jax.data import labelled, listing, scenes
from distill_jax.word_report.job import Side

log = logging.getLogger(__name__)
BATCH = 64


def side(corpus, split, recordings, window):
    """Clips and noise of one split.

    Args:
      corpus: `labelled.Corpus`.
      split: "valid" or "test".
      recordings: what `labelled.prepare` made of the corpus.
      window: samples of a clip.

    Returns:
      A `Side`; a clip whose speaker is not known is a group of its own.

    Raises:
      ValueError: the split is empty.
    """
    examples = labelled.examples(corpus, split, recordings, window)
    batches = list(labelled.valid_batches(examples, BATCH)())
    count = len(examples.label_n)
    audio_ns = np.concatenate([batch["audio_bs"] for batch in batches])[:count]
    whole_s = np.memmap(examples.path, np.float32, "r")
    spoken = []
    for clip, start, length in zip(
        corpus.split(split), examples.start_n, examples.length_n, strict=True
    ):
        path = Path(clip.path)
        name = f"{path.parent.name}/{path.name}"
        audio_s = np.array(whole_s[start : start + length])
        one = scenes.Spoken(audio_s, name, clip.speaker or name)
        spoken.append(None if clip.label == labelled.SILENCE else one)
    noises = _noises(corpus, split, recordings.rate_hz)
    return Side(audio_ns, examples.label_n, spoken, noises)


def _noises(corpus, split, rate_hz):
    """{name of the file: its stretch of the split}."""
    found = {}
    for clip in corpus.noise:
        if clip.split == split:
            audio_s = files.read(clip.path, rate_hz)
            first, end = round(clip.start_s * rate_hz), round(clip.end_s * rate_hz)
            found[Path(clip.path).stem] = audio_s[first:end]
    return found


def more_noise(folder, rate_hz, corpus, sides):
    """Adds noise that the network was not trained with, half of each kind to a side.

    Args:
      folder: of recordings; those in one folder inside it are of one kind, those in
        none are a kind each.
      rate_hz: sampling rate.
      corpus: `labelled.Corpus`; recordings that are part of it are left out, and told.
      sides: (validation, test), a `Side` each.

    Returns:
      Both with more noise.

    Raises:
      FileNotFoundError, NotADirectoryError: the folder is missing, empty, or a file.
      ValueError: a recording cannot be used, or all are part of the corpus.
    """
    known = {file.sha256 for file in corpus.files}
    kinds, left_out = {}, []
    for name in listing.sound_names(folder):
        path = Path(folder) / name
        if files.probe(path).sha256 in known:
            left_out.append(name)
            continue
        kind = Path(name).parts[0] if len(Path(name).parts) > 1 else Path(name).stem
        kinds.setdefault(kind, []).append(files.read(path, rate_hz))
    if left_out:
        names = ", ".join(map(str, left_out[:20]))
        log.warning("%d recordings trained with left out: %s", len(left_out), names)
    if not kinds:
        raise ValueError(
            f"all recordings in {folder} are part of what the network was trained "
            "with; give others"
        )
    return tuple(
        each._replace(noises=each.noises | _halves(kinds, second))
        for second, each in enumerate(sides)
    )


def _halves(kinds, second):
    """The first or the second half of each kind; where there are several, by file."""
    found = {}
    for kind, parts in kinds.items():
        if len(parts) > 1:
            chosen = parts[second::2]
        else:
            middle = len(parts[0]) // 2
            chosen = [parts[0][middle:] if second else parts[0][:middle]]
        found[kind] = np.concatenate(chosen)
    return found
