"""Compiling what a test runs once."""

from functools import partial

import jax

# Half the time to compile, or less.
quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
