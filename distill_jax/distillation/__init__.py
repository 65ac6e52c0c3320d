"""What a student learns from several teachers, as functions of their outputs."""

from distill_jax.distillation import alignment, certainty, targets

__all__ = ["alignment", "certainty", "targets"]
