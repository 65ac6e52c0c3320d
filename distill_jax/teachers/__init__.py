"""Speech encoders that tell words apart: what they take, say, and how sure they are."""

from distill_jax.teachers.building import form, network
from distill_jax.teachers.folder import preprocessing, read, template
from distill_jax.teachers.hearing import inputs, outputs
from distill_jax.teachers.trained import Teacher, load

__all__ = [
    "Teacher",
    "form",
    "inputs",
    "load",
    "network",
    "outputs",
    "preprocessing",
    "read",
    "template",
]
