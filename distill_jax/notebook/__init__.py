"""What a notebook shows: curves, pictures, players, tables; it computes nothing new.

IPython is imported where something is shown, by `showing` alone: all else can be
imported without it.
"""

from distill_jax.notebook.hearing import (
    Excerpt,
    accuracies,
    excerpt,
    judge,
    timeline,
)
from distill_jax.notebook.showing import picture, players, table
from distill_jax.notebook.sounds import features, sounds
from distill_jax.notebook.training import begin, compare, train

__all__ = [
    "Excerpt",
    "accuracies",
    "begin",
    "compare",
    "excerpt",
    "features",
    "judge",
    "picture",
    "players",
    "sounds",
    "table",
    "timeline",
    "train",
]
