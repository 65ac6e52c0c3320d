"""Labelled recordings: a corpus of clips and its batches."""

from distill_jax.data.labelled.batches import (
    Examples,
    Views,
    examples,
    of_views,
    quiet,
    train_stream,
    valid_batches,
    views,
)
from distill_jax.data.labelled.clips import (
    SILENCE,
    UNKNOWN,
    UNLABELLED,
    Clip,
    Corpus,
)
from distill_jax.data.labelled.corpus import Settings, read
from distill_jax.data.labelled.recordings import Recordings, noise, prepare

__all__ = [
    "SILENCE",
    "UNKNOWN",
    "UNLABELLED",
    "Clip",
    "Corpus",
    "Examples",
    "Recordings",
    "Settings",
    "Views",
    "examples",
    "noise",
    "of_views",
    "prepare",
    "quiet",
    "read",
    "train_stream",
    "valid_batches",
    "views",
]
