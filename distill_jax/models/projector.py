"""From a student's features to a teacher's: used while training, never exported."""

import flax.linen as nn

from distill_jax.models.transformer import layer_norm


class Projector(nn.Module):
    """Dense, layer norm, ReLU, dense.

    Attributes:
      width: of the teacher's layer.
      inner: between the dense layers.
    """

    width: int
    inner: int = 256

    @nn.compact
    def __call__(self, feature_bd):
        """Maps features, [b, …, student's width], to [b, …, width]."""
        x_bd = nn.Dense(self.inner, name="inner")(feature_bd)
        x_bd = nn.relu(layer_norm("norm", 1e-5)(x_bd))
        return nn.Dense(self.width, name="outer")(x_bd)
