"""The verbs as they are typed, a class each; nothing here imports JAX."""
