"""Heads on a speech encoder: CTC and classification of a clip."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from distill_jax import weights
from distill_jax.models.transformer import dropout


class CTCHead(nn.Module):
    """An encoder, and the scores of every token at every frame.

    Attributes:
      encoder: `Wav2Vec2Bert` or `Wav2Vec2`.
      tokens: how many, the blank among them.
      drop: share of the last state set to zero in train mode.
    """

    encoder: nn.Module
    tokens: int
    drop: float = 0.0

    @nn.compact
    def __call__(self, *inputs, train=False, **options):
        """Recognises tokens.

        Args:
          *inputs: what the encoder takes: features or audio, and their mask.
          train: train mode of the encoder, and dropout.
          **options: what the encoder takes besides.

        Returns:
          Logits [b, t, tokens], and what the encoder returns beside its result;
          `mask_bt` says how many frames of each example to read.
        """
        x_btd, out = self.encoder(*inputs, train=train, **options)
        x_btd = dropout(self.drop, x_btd, train)
        return nn.Dense(self.tokens, name="scores")(x_btd), out


class ClassifierHead(nn.Module):
    """An encoder, the mean of its frames, and the scores of every class.

    Attributes:
      encoder: `Wav2Vec2Bert` or `Wav2Vec2`, without adapter.
      classes: how many.
      inner: width that frames are projected to before the mean.
      weighted: read a learned mixture of all hidden states, and not the last one.
    """

    encoder: nn.Module
    classes: int
    inner: int = 256
    weighted: bool = False

    @nn.compact
    def __call__(self, *inputs, train=False, **options):
        """Classifies clips.

        Args:
          *inputs: what the encoder takes: features or audio, and their mask.
          train: train mode of the encoder.
          **options: what the encoder takes besides.

        Returns:
          Logits [b, classes], and what the encoder returns beside its result, and
          `pooled_bd`, what the classes are read from.

        Raises:
          ValueError: the encoder has an adapter, which transformers refuses too.
        """
        if self.encoder.adapter is not None:
            raise ValueError(
                "a classifier reads an encoder without adapter; set adapter=None, "
                "add_adapter=false in a config.json"
            )
        x_btd, out = self.encoder(*inputs, train=train, **options)
        if self.weighted:
            x_btd = self._mixture(out["hidden_nbtd"])
        x_btd = nn.Dense(self.inner, name="projector")(x_btd)
        pooled_bd = masked_mean(x_btd, out["mask_bt"])
        logits_bc = nn.Dense(self.classes, name="classifier")(pooled_bd)
        return logits_bc, {**out, "pooled_bd": pooled_bd}

    def _mixture(self, hidden_nbtd):
        count = len(hidden_nbtd)
        weight_init = nn.initializers.constant(1.0 / count)
        weight_n = jax.nn.softmax(self.param("layer_weights", weight_init, (count,)))
        return sum(
            weight * x_btd for weight, x_btd in zip(weight_n, hidden_nbtd, strict=True)
        )


def masked_mean(x_btd, mask_bt=None):
    """Mean of the real frames, [b, t, d] to [b, d]; zero where there are none."""
    if mask_bt is None:
        return x_btd.mean(axis=1)
    count_b = jnp.maximum(mask_bt.sum(axis=1), 1)
    total_bd = jnp.where(mask_bt[:, :, None], x_btd, 0.0).sum(axis=1)
    return total_bd / count_b[:, None].astype(x_btd.dtype)


CTC = (("lm_head", "scores", weights.linear),)
CLASSIFIER = (
    ("", "", weights.parameter("layer_weights", "layer_weights")),
    ("projector", "projector", weights.linear),
    ("classifier", "classifier", weights.linear),
)


def rules_with(head, encoder, prefix):
    """The table of an encoder with a head.

    Args:
      head: CTC or CLASSIFIER.
      encoder: the table of the encoder.
      prefix: of its PyTorch names: "wav2vec2_bert", "wav2vec2", "hubert", "wavlm".

    Returns:
      A table.
    """
    return (
        *head,
        *(
            (
                f"{prefix}.{torch}".removesuffix("."),
                f"encoder/{flax}".removesuffix("/"),
                kind,
            )
            for torch, flax, kind in encoder
        ),
    )
