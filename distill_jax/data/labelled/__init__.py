"""Labelled recordings: a corpus of clips and its batches."""

from distill_jax.data.labelled.batches import (
    Examples,
    examples,
    train_stream,
    valid_batches,
)
from distill_jax.data.labelled.clips import SILENCE, UNKNOWN, Clip, Corpus
from distill_jax.data.labelled.corpus import Settings, read
from distill_jax.data.labelled.recordings import Recordings, noise, prepare

__all__ = [
    "SILENCE",
    "UNKNOWN",
    "Clip",
    "Corpus",
    "Examples",
    "Recordings",
    "Settings",
    "examples",
    "noise",
    "prepare",
    "read",
    "train_stream",
    "valid_batches",
]
