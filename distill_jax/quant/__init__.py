"""TinyConv in 8-bit integers: simulated with gradients, and as it will run."""

from distill_jax.quant import integer, ranges, reference
from distill_jax.quant.codes import Codes, decode, encode
from distill_jax.quant.freezing import frozen
from distill_jax.quant.simulation import Simulation

__all__ = [
    "Codes",
    "Simulation",
    "decode",
    "encode",
    "frozen",
    "integer",
    "ranges",
    "reference",
]
