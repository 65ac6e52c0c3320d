"""Audio research in JAX: sound VAE, speech encoders, distillation."""

__version__ = "0.1.0"
