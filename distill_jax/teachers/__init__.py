"""Speech encoders that tell words apart: what they take, say, and how sure they are."""

from distill_jax.teachers.building import fields, form, network
from distill_jax.teachers.folder import (
    input_shape,
    preprocessing,
    read,
    template,
)
from distill_jax.teachers.hearing import inputs, outputs
from distill_jax.teachers.trained import Teacher, load

__all__ = [
    "Teacher",
    "fields",
    "form",
    "input_shape",
    "inputs",
    "load",
    "network",
    "outputs",
    "preprocessing",
    "read",
    "template",
]
