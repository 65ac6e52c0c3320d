"""Networks as pure flax.linen modules with checkpoint tables."""
