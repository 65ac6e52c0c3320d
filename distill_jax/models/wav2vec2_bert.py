"""Wav2Vec2-BERT: a conformer over stacked Kaldi filterbanks."""

from functools import partial

import flax.linen as nn

from distill_jax import weights
from distill_jax.models.adapter import Adapter, AdapterSizes, ConformerAdapterLayer
from distill_jax.models.conformer import ConformerLayer
from distill_jax.models.self_attention import Context, Positions
from distill_jax.models.spec_augment import SpecAugment, hide_frames
from distill_jax.models.transformer import (
    Dropouts,
    FeedForward,
    LayerStack,
    dropout,
    layer_norm,
    zero_padding,
)


class Wav2Vec2Bert(nn.Module):
    """The encoder of w2v-BERT 2.0 (Seamless, 2023), as transformers has it.

    Attributes:
      width: d.
      count: layers.
      heads: of attention.
      inner: width between the dense layers of a feed-forward.
      kernel_size: taps of the depthwise convolution.
      activation: of the layers, a key of `transformer.ACTIVATIONS`.
      epsilon: of every norm.
      positions: how attention is told positions.
      dropouts: in train mode.
      augment: what SpecAugment hides in train mode.
      adapter: `AdapterSizes`, or None.
      form: of attention: "auto", "dense" or "blocks".
      scan: loop over the layers, with stacked parameters; see `LayerStack`.
      remat: recompute layers in the backward pass.
    """

    width: int = 1024
    count: int = 24
    heads: int = 16
    inner: int = 4096
    kernel_size: int = 31
    activation: str = "swish"
    epsilon: float = 1e-5
    positions: Positions = Positions()
    dropouts: Dropouts = Dropouts(conv=0.1, layer=0.1)
    augment: SpecAugment = SpecAugment(active=False)
    adapter: AdapterSizes | None = None
    form: str = "auto"
    scan: bool = False
    remat: bool = False

    @nn.compact
    def __call__(self, feature_btf, mask_bt=None, train=False, hidden_bt=None):
        """Encodes features.

        Args:
          feature_btf: [b, t, f], f = 160 for the public checkpoint.
          mask_bt: True where a frame is real, the padding at the end; None if all
            are. Real frames of the result do not depend on the padding.
          train: dropouts, LayerDrop and SpecAugment, rng stream "dropout".
          hidden_bt: frames to hide behind the mask embedding, in any mode; then
            SpecAugment draws none itself.

        Returns:
          The last state [b, t, d], shortened by the adapter if there is one, and
          `hidden_nbtd`, a tuple of the input of the first layer and the result of
          each, [b, t, d] (number 17 is what the 17th layer gives), and `mask_bt` of
          the returned frames, None if it was not given.
        """
        drops = self.dropouts
        x_btd = layer_norm("projection_norm", self.epsilon)(feature_btf)
        x_btd = nn.Dense(self.width, name="projection")(x_btd)
        x_btd = dropout(drops.projection, x_btd, train)
        x_btd = hide_frames(self, x_btd, mask_bt, train, hidden_bt)
        x_btd = dropout(drops.hidden, zero_padding(x_btd, mask_bt), train)
        stack = LayerStack(
            self._layer(),
            self.count,
            drops.layer,
            self.scan,
            self.remat,
            name="encoder",
        )
        x_btd, hidden_nbtd = stack(x_btd, Context(mask_bt), train)
        if self.adapter is not None:
            x_btd, mask_bt = self._adapt(x_btd, mask_bt, train)
        return x_btd, {"hidden_nbtd": hidden_nbtd, "mask_bt": mask_bt}

    def _layer(self):
        # Not a method that makes a layer: flax would make it a child of this module.
        return partial(
            ConformerLayer,
            heads=self.heads,
            inner=self.inner,
            kernel_size=self.kernel_size,
            activation=self.activation,
            epsilon=self.epsilon,
            positions=self.positions,
            dropouts=self.dropouts,
            form=self.form,
        )

    def _adapt(self, x_btd, mask_bt, train):
        sizes, drops = self.adapter, self.dropouts
        if sizes.feed_forward:
            extra = FeedForward(self.inner, "relu", drops, name="extra_feed_forward")
            x_btd = x_btd + 0.5 * extra(x_btd, train)
        layer = partial(
            ConformerAdapterLayer,
            self.heads,
            self.inner,
            sizes.kernel_size,
            sizes.stride,
            sizes.activation,
            self.epsilon,
            drops,
        )
        shorten = partial(shortened, sizes.kernel_size, sizes.stride)
        adapt = Adapter(
            layer, sizes.count, sizes.width, self.epsilon, shorten, name="adapter"
        )
        return adapt(x_btd, mask_bt, train)


def shortened(kernel_size, stride, length_b):
    """Frames of which an adapter layer makes real ones, as transformers counts."""
    return (length_b + 2 * (kernel_size // 2) - kernel_size) // stride + 1


FEED_FORWARD = (
    ("intermediate_dense", "inner", weights.linear),
    ("output_dense", "outer", weights.linear),
)
ATTENTION = (
    ("linear_q", "query", weights.linear),
    ("linear_k", "key", weights.linear),
    ("linear_v", "value", weights.linear),
    ("linear_out", "out", weights.linear),
)
LAYER = (
    ("ffn1_layer_norm", "feed_forward_1_norm", weights.layer_norm),
    *weights.inside("ffn1.", "feed_forward_1/", FEED_FORWARD),
    ("self_attn_layer_norm", "attention_norm", weights.layer_norm),
    *weights.inside("self_attn.", "attention/", ATTENTION),
    (
        "self_attn.distance_embedding",
        "attention",
        weights.parameter("weight", "distance", "rk -> rk"),
    ),
    ("self_attn.linear_pos", "attention/position", weights.linear),
    (
        "self_attn",
        "attention",
        weights.parameter("pos_bias_u", "content_bias", "hk -> hk"),
    ),
    (
        "self_attn",
        "attention",
        weights.parameter("pos_bias_v", "position_bias", "hk -> hk"),
    ),
    ("conv_module.layer_norm", "conv/norm", weights.layer_norm),
    ("conv_module.pointwise_conv1", "conv/gate", weights.pointwise_conv1d),
    ("conv_module.depthwise_conv", "conv/depthwise", weights.conv1d),
    ("conv_module.depthwise_layer_norm", "conv/depthwise_norm", weights.layer_norm),
    ("conv_module.pointwise_conv2", "conv/out", weights.pointwise_conv1d),
    ("ffn2_layer_norm", "feed_forward_2_norm", weights.layer_norm),
    *weights.inside("ffn2.", "feed_forward_2/", FEED_FORWARD),
    ("final_layer_norm", "final_norm", weights.layer_norm),
)
ADAPTER_LAYER = (
    ("residual_layer_norm", "residual_norm", weights.layer_norm),
    ("residual_conv", "residual_conv/conv", weights.conv1d),
    ("self_attn_layer_norm", "attention_norm", weights.layer_norm),
    ("self_attn_conv", "attention_conv/conv", weights.conv1d),
    *weights.inside("self_attn.", "attention/", ATTENTION),
    ("ffn_layer_norm", "feed_forward_norm", weights.layer_norm),
    *weights.inside("ffn.", "feed_forward/", FEED_FORWARD),
)
WEIGHT_RULES = (
    ("", "", weights.parameter("masked_spec_embed", "mask_embedding")),
    ("feature_projection.layer_norm", "projection_norm", weights.layer_norm),
    ("feature_projection.projection", "projection", weights.linear),
    *weights.inside("encoder.layers.{i}.", "encoder/layers_{i}/", LAYER),
    *weights.inside("intermediate_ffn.", "extra_feed_forward/", FEED_FORWARD),
    ("adapter.proj", "adapter/projection", weights.linear),
    ("adapter.proj_layer_norm", "adapter/projection_norm", weights.layer_norm),
    *weights.inside("adapter.layers.{i}.", "adapter/stage_{i}/", ADAPTER_LAYER),
)
CHECKPOINT = weights.Checkpoint(
    WEIGHT_RULES,
    prefixes=("wav2vec2_bert.",),
    optional=("masked_spec_embed",),
    ignored=((r"lm_head\..*", "the head of a recogniser"),),
)
