"""Wav2Vec2, HuBERT and WavLM: convolutions over a waveform, then a transformer."""

from collections.abc import Callable
from functools import partial

import flax.linen as nn

from distill_jax import weights
from distill_jax.models.adapter import Adapter, AdapterSizes, GatedConv, LanguageAdapter
from distill_jax.models.gated_attention import BucketBias, Buckets, GatedAttention
from distill_jax.models.self_attention import Context, Positions, SelfAttention
from distill_jax.models.spec_augment import SpecAugment, hide_frames
from distill_jax.models.transformer import (
    Dropouts,
    FeedForward,
    LayerStack,
    dropout,
    layer_norm,
    length_mask,
    zero_padding,
)
from distill_jax.models.waveform import (
    NORM_EPSILON,
    PositionConv,
    PositionSizes,
    WaveformEncoder,
    WaveformSizes,
)


class TransformerLayer(nn.Module):
    """Attention and feed-forward, each normed after it, or before it if stable.

    Attributes:
      attention: gives the attention, `attention(name=...)`.
      inner: width between the dense layers of the feed-forward.
      activation: a key of `transformer.ACTIVATIONS`.
      epsilon: of the norms.
      stable: norm first.
      language: width of the adapter of a language, or None; stable layers only.
      dropouts: see `Dropouts`.
    """

    attention: Callable
    inner: int
    activation: str
    epsilon: float
    stable: bool
    language: int | None = None
    dropouts: Dropouts = Dropouts()

    @nn.compact
    def __call__(self, x_btd, context, train=False):
        """Maps [b, t, d] to [b, t, d]; `context` is a `Context`."""
        attend = self.attention(name="attention")
        feed_forward = FeedForward(
            self.inner, self.activation, self.dropouts, name="feed_forward"
        )
        norm = layer_norm("attention_norm", self.epsilon)
        final_norm = layer_norm("final_norm", self.epsilon)
        drop = partial(dropout, self.dropouts.hidden, train=train)
        if not self.stable:
            x_btd = norm(x_btd + drop(attend(x_btd, context, train)))
            return final_norm(x_btd + feed_forward(x_btd, train))
        x_btd = x_btd + drop(attend(norm(x_btd), context, train))
        x_btd = x_btd + feed_forward(final_norm(x_btd), train)
        if self.language is None:
            return x_btd
        return x_btd + LanguageAdapter(self.language, name="language")(x_btd)


class Wav2Vec2(nn.Module):
    """The encoder of Wav2Vec2, HuBERT and, with `buckets`, WavLM.

    Attributes:
      width: d.
      count: layers.
      heads: of attention.
      inner: width between the dense layers of a feed-forward.
      activation: of the feed-forward, a key of `transformer.ACTIVATIONS`.
      epsilon: of the norms that the config speaks of.
      waveform: the convolutions.
      position: the convolution that tells positions.
      stable: norm before attention and feed-forward, and once at the end.
      projection_norm: whether there is one before the projection.
      buckets: of the gated bias of distances; None but for WavLM.
      language: width of the adapters of a language in every layer, or None.
      dropouts: in train mode.
      augment: what SpecAugment hides in train mode.
      adapter: `AdapterSizes`, or None.
      form: of attention: "auto", "dense" or "blocks".
      scan: loop over the layers, with stacked parameters; see `LayerStack`.
      remat: recompute layers in the backward pass.
    """

    width: int = 768
    count: int = 12
    heads: int = 12
    inner: int = 3072
    activation: str = "gelu"
    epsilon: float = 1e-5
    waveform: WaveformSizes = WaveformSizes()
    position: PositionSizes = PositionSizes()
    stable: bool = False
    projection_norm: bool = True
    buckets: Buckets | None = None
    language: int | None = None
    dropouts: Dropouts = Dropouts(0.1, 0.1, 0.1, layer=0.1)
    augment: SpecAugment = SpecAugment()
    adapter: AdapterSizes | None = None
    form: str = "auto"
    scan: bool = False
    remat: bool = False

    @nn.compact
    def __call__(self, wave_bs, mask_bs=None, train=False, hidden_bt=None):
        """Encodes audio.

        Args:
          wave_bs: [b, s], normalised as the checkpoint wants it.
          mask_bs: True where a sample is real, the padding at the end; None if all
            are. Real frames depend on the padding where `waveform.norm` is "group".
          train: dropouts, LayerDrop and SpecAugment, rng stream "dropout".
          hidden_bt: frames to hide behind the mask embedding, in any mode; then
            SpecAugment draws none itself.

        Returns:
          The last state [b, t, d], shortened by the adapter if there is one, and
          `hidden_nbtd`, a tuple of the input of the first layer and the result of
          each, [b, t, d], and `mask_bt` of the returned frames, None if no mask was
          given. A stable model has `pre_norm_btd`, the last of `hidden_nbtd`, and
          `post_norm_btd`, the same after the last norm: transformers 5 calls the
          first one hidden_states[-1], transformers 4 the second.
        """
        x_btd = WaveformEncoder(self.waveform, name="waveform")(wave_bs)
        mask_bt = None
        if mask_bs is not None:
            length_b = self.waveform.frames(mask_bs.sum(axis=1))
            mask_bt = length_mask(length_b, x_btd.shape[1])
        x_btd = self._project(x_btd, train)
        x_btd = hide_frames(self, x_btd, mask_bt, train, hidden_bt)
        x_btd, out = self._encode(zero_padding(x_btd, mask_bt), mask_bt, train)
        if self.adapter is not None:
            x_btd, mask_bt = self._adapt(x_btd, mask_bt, train)
        return x_btd, {**out, "mask_bt": mask_bt}

    def _project(self, x_btd, train):
        if self.projection_norm:
            x_btd = layer_norm("projection_norm", self.epsilon)(x_btd)
        x_btd = nn.Dense(self.width, name="projection")(x_btd)
        return dropout(self.dropouts.projection, x_btd, train)

    def _encode(self, x_btd, mask_bt, train):
        conv = PositionConv(self.position, self.waveform.activation, name="position")
        x_btd = x_btd + conv(x_btd, train)
        norm = layer_norm("encoder_norm", self.epsilon)
        if not self.stable:
            x_btd = norm(x_btd)
        x_btd = dropout(self.dropouts.hidden, x_btd, train)
        context = Context(mask_bt, self._bias(x_btd.shape[1]))
        stack = LayerStack(
            self._layer(),
            self.count,
            self.dropouts.layer,
            self.scan,
            self.remat,
            keep_first=self.buckets is not None,
            name="encoder",
        )
        x_btd, hidden_nbtd = stack(x_btd, context, train)
        out = {"hidden_nbtd": hidden_nbtd}
        if self.stable:
            normed_btd = norm(x_btd)
            out |= {"pre_norm_btd": x_btd, "post_norm_btd": normed_btd}
            x_btd = normed_btd
        return x_btd, out

    def _bias(self, frames):
        if self.buckets is None:
            return None
        return BucketBias(self.heads, self.buckets, name="distance")(frames)

    def _layer(self):
        # Not a method that makes a layer: flax would make it a child of this module.
        drop = self.dropouts.attention
        if self.buckets is not None and self.form == "blocks":
            raise ValueError(
                "attention with buckets has no form 'blocks'; set form='auto' or "
                "'dense'"
            )
        attend = partial(SelfAttention, self.heads, Positions("none"), drop, self.form)
        if self.buckets is not None:
            attend = partial(GatedAttention, self.heads, drop)
        return partial(
            TransformerLayer,
            attention=attend,
            inner=self.inner,
            activation=self.activation,
            epsilon=self.epsilon,
            stable=self.stable,
            language=self.language,
            dropouts=self.dropouts,
        )

    def _adapt(self, x_btd, mask_bt, train):
        sizes = self.adapter
        layer = partial(GatedConv, sizes.kernel_size, sizes.stride, 1)
        shorten = partial(shortened, sizes.stride)
        adapt = Adapter(
            layer, sizes.count, sizes.width, NORM_EPSILON, shorten, name="adapter"
        )
        return adapt(x_btd, mask_bt, train)


def shortened(stride, length_b):
    """Frames of which an adapter layer makes real ones, as transformers counts."""
    return (length_b - 1) // stride + 1


FEED_FORWARD = (
    ("intermediate_dense", "inner", weights.linear),
    ("output_dense", "outer", weights.linear),
)
ATTENTION = (
    ("q_proj", "query", weights.linear),
    ("k_proj", "key", weights.linear),
    ("v_proj", "value", weights.linear),
    ("out_proj", "out", weights.linear),
    ("gru_rel_pos_linear", "gate", weights.linear),
)
LANGUAGE = (
    ("norm", "norm", weights.layer_norm),
    ("linear_1", "inner", weights.linear),
    ("linear_2", "outer", weights.linear),
)
LAYER = (
    *weights.inside("attention.", "attention/", ATTENTION),
    (
        "attention",
        "attention",
        weights.parameter("gru_rel_pos_const", "gate_constant", "ahbc -> ahbc"),
    ),
    ("layer_norm", "attention_norm", weights.layer_norm),
    *weights.inside("feed_forward.", "feed_forward/", FEED_FORWARD),
    ("final_layer_norm", "final_norm", weights.layer_norm),
    *weights.inside("adapter_layer.", "language/", LANGUAGE),
)
WEIGHT_RULES = (
    ("", "", weights.parameter("masked_spec_embed", "mask_embedding")),
    ("feature_extractor.conv_layers.{i}.conv", "waveform/conv_{i}", weights.conv1d),
    (
        "feature_extractor.conv_layers.{i}.layer_norm",
        "waveform/norm_{i}",
        weights.layer_norm,
    ),
    ("feature_projection.layer_norm", "projection_norm", weights.layer_norm),
    ("feature_projection.projection", "projection", weights.linear),
    ("encoder.pos_conv_embed.conv", "position", weights.weight_norm_conv1d),
    (
        "encoder.pos_conv_embed.batch_norm",
        "position/batch_norm",
        weights.batch_norm,
    ),
    ("encoder.layer_norm", "encoder_norm", weights.layer_norm),
    (
        "encoder.layers.0.attention.rel_attn_embed",
        "distance",
        weights.parameter("weight", "embedding", "nh -> nh"),
    ),
    *weights.inside("encoder.layers.{i}.", "encoder/layers_{i}/", LAYER),
    ("adapter.proj", "adapter/projection", weights.linear),
    ("adapter.proj_layer_norm", "adapter/projection_norm", weights.layer_norm),
    ("adapter.layers.{i}.conv", "adapter/stage_{i}/conv", weights.conv1d),
)
CHECKPOINT = weights.Checkpoint(
    WEIGHT_RULES,
    prefixes=("wav2vec2.", "hubert.", "wavlm."),
    optional=("masked_spec_embed",),
    aliases=(
        (r"\.weight_g$", ".parametrizations.weight.original0"),
        (r"\.weight_v$", ".parametrizations.weight.original1"),
        (r"mask_time_emb_vector$", "masked_spec_embed"),
    ),
    ignored=(
        (r"lm_head\..*", "the head of a recogniser"),
        (r"quantizer\..*", "codebook of the pretraining loss"),
        (r"project_(hid|q)\..*", "projection of the pretraining loss"),
    ),
)
