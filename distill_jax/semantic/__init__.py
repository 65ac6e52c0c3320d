"""Semantic features: a hidden layer of a speech encoder, normalised, in files."""

from distill_jax.semantic import stand_in
from distill_jax.semantic.encoder import Encoder, encode, load
from distill_jax.semantic.extraction import extract, lengths
from distill_jax.semantic.stats import Stats, measure, normalise, read, write
from distill_jax.semantic.store import find
from distill_jax.teachers import template

__all__ = [
    "Encoder",
    "Stats",
    "encode",
    "extract",
    "find",
    "lengths",
    "load",
    "measure",
    "normalise",
    "read",
    "stand_in",
    "template",
    "write",
]
