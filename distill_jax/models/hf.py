"""From a config.json of transformers to a model: every field is read or refused."""

from collections import ChainMap
from typing import NamedTuple

from distill_jax import weights
from distill_jax.models import hf_fields, wav2vec2, wav2vec2_bert
from distill_jax.models.adapter import AdapterSizes
from distill_jax.models.gated_attention import Buckets
from distill_jax.models.heads import ClassifierHead, CTCHead
from distill_jax.models.self_attention import Positions
from distill_jax.models.spec_augment import SpecAugment
from distill_jax.models.transformer import ACTIVATIONS, Dropouts
from distill_jax.models.waveform import PositionSizes, WaveformSizes

CHOICES = {
    "hidden_act": tuple(ACTIVATIONS),
    "feat_extract_activation": tuple(ACTIVATIONS),
    "adapter_act": tuple(ACTIVATIONS),
    "feat_extract_norm": ("group", "layer"),
    "position_embeddings_type": ("relative_key", "relative", "rotary", None),
}


def from_config(config, head=None, **options):
    """Builds the model that a config.json describes.

    Args:
      config: the file as a dictionary; absent fields have transformers' defaults.
      head: None for the encoder alone, "ctc" or "classifier".
      **options: fields of the encoder that no config has: form, scan, remat.

    Returns:
      A module.

    Raises:
      ValueError: fields have values that the model does not reproduce; all of them
        are named.
    """
    full = checked(config)
    encoder = MODELS[full["model_type"]].make(full, **options)
    if head is None:
        return encoder
    if head == "ctc":
        return CTCHead(encoder, full["vocab_size"], full["final_dropout"])
    if head != "classifier":
        raise ValueError(f"there is no head {head!r}; use 'ctc' or 'classifier'")
    return ClassifierHead(
        encoder,
        _classes(full),
        full["classifier_proj_size"],
        full["use_weighted_layer_sum"],
    )


def checked(config):
    """A config with transformers' defaults filled in.

    Args:
      config: a config.json as a dictionary.

    Returns:
      A mapping with every field that the model of its type reads.

    Raises:
      ValueError: a field has a value that the model does not reproduce; all are named.
    """
    kind = config.get("model_type")
    if kind not in MODELS:
        raise ValueError(
            f"model_type is {kind!r}, expected one of {', '.join(MODELS)}; other "
            "encoders have no model here"
        )
    defaults = hf_fields.DEFAULTS[kind]
    handled = hf_fields.HANDLED[kind]
    full = ChainMap(config, defaults)
    problems = [
        f"  {field} = {_plain(value)!r}, expected {_plain(defaults.get(field))!r}"
        for field, value in config.items()
        if field not in handled
        and field not in hf_fields.INERT
        and _plain(value) != _plain(defaults.get(field))
    ]
    problems += [
        f"  {field} = {full[field]!r}, expected one of {choices}"
        for field, choices in CHOICES.items()
        if field in handled and full[field] not in choices
    ]
    problems += _misfits(full)
    if problems:
        raise ValueError(
            "\n".join(
                [
                    f"{len(problems)} fields of the {kind} config ask for what this "
                    "model does not do; its results would differ from transformers':",
                    *sorted(problems),
                ]
            )
        )
    return full


def _misfits(full):
    """Fields that contradict each other."""
    width, heads = full["hidden_size"], full["num_attention_heads"]
    if width % heads:
        yield f"  hidden_size = {width}, expected a multiple of {heads} heads"
    if full.get("conv_depthwise_kernel_size", 1) % 2 == 0:
        yield "  conv_depthwise_kernel_size is even, expected an odd number"
    extra = full.get("use_intermediate_ffn_before_adapter", False)
    if extra and not full["add_adapter"]:
        yield "  use_intermediate_ffn_before_adapter = True, expected an adapter"
    if full.get("adapter_attn_dim") is not None and not full["do_stable_layer_norm"]:
        yield "  adapter_attn_dim is set, expected do_stable_layer_norm = True"
    lengths = {len(full[name]) for name in hf_fields.CONVS if name in full}
    if len(lengths) > 1:
        yield f"  {', '.join(hf_fields.CONVS)} differ in length"


def _plain(value):
    """A value as JSON has it: no tuples."""
    return list(value) if isinstance(value, tuple) else value


def _classes(full):
    labels = full.get("id2label")
    return len(labels) if labels else full.get("num_labels", 2)


def _wav2vec2_bert(full, **options):
    positions = Positions(
        full["position_embeddings_type"] or "none",
        full["left_max_position_embeddings"],
        full["right_max_position_embeddings"],
        full["rotary_embedding_base"],
    )
    return wav2vec2_bert.Wav2Vec2Bert(
        kernel_size=full["conv_depthwise_kernel_size"],
        positions=positions,
        **_shared(full),
        **options,
    )


def _wav2vec2(full, **options):
    waveform = WaveformSizes(
        tuple(full["conv_dim"]),
        tuple(full["conv_kernel"]),
        tuple(full["conv_stride"]),
        full["conv_bias"],
        full["feat_extract_norm"],
        full["feat_extract_activation"],
    )
    position = PositionSizes(
        full["num_conv_pos_embeddings"],
        full["num_conv_pos_embedding_groups"],
        full.get("conv_pos_batch_norm", False),
    )
    return wav2vec2.Wav2Vec2(
        waveform=waveform,
        position=position,
        stable=full["do_stable_layer_norm"],
        projection_norm=full.get("feat_proj_layer_norm", True),
        language=full.get("adapter_attn_dim"),
        **_shared(full),
        **options,
    )


def _wavlm(full, **options):
    buckets = Buckets(full["num_buckets"], full["max_bucket_distance"])
    return _wav2vec2(full, buckets=buckets, **options)


def _shared(full):
    """Fields that both encoders have."""
    return {
        "width": full["hidden_size"],
        "count": full["num_hidden_layers"],
        "heads": full["num_attention_heads"],
        "inner": full["intermediate_size"],
        "activation": full["hidden_act"],
        "epsilon": full["layer_norm_eps"],
        "dropouts": _dropouts(full),
        "augment": _augment(full),
        "adapter": _adapter(full),
    }


def _dropouts(full):
    return Dropouts(
        full["hidden_dropout"],
        full["activation_dropout"],
        full["attention_dropout"],
        full["feat_proj_dropout"],
        full.get("conformer_conv_dropout", 0.0),
        full["layerdrop"],
    )


def _augment(full):
    return SpecAugment(
        full["mask_time_prob"],
        full["mask_time_length"],
        full["mask_time_min_masks"],
        full["mask_feature_prob"],
        full["mask_feature_length"],
        full["mask_feature_min_masks"],
        full["apply_spec_augment"],
    )


def _adapter(full):
    if not full.get("add_adapter", False):
        return None
    return AdapterSizes(
        full["num_adapter_layers"],
        full["output_hidden_size"] or full["hidden_size"],
        full["adapter_kernel_size"],
        full["adapter_stride"],
        full.get("adapter_act", "relu"),
        full.get("use_intermediate_ffn_before_adapter", False),
    )


class Model(NamedTuple):
    """What to do with a model_type.

    Attributes:
      make: maps a checked config to the encoder.
      checkpoint: how its tensors are found in files.
      prefix: of the encoder's tensors where there is a head.
    """

    make: object
    checkpoint: weights.Checkpoint
    prefix: str


MODELS = {
    "wav2vec2-bert": Model(_wav2vec2_bert, wav2vec2_bert.CHECKPOINT, "wav2vec2_bert"),
    "wav2vec2": Model(_wav2vec2, wav2vec2.CHECKPOINT, "wav2vec2"),
    "hubert": Model(_wav2vec2, wav2vec2.CHECKPOINT, "hubert"),
    "wavlm": Model(_wavlm, wav2vec2.CHECKPOINT, "wavlm"),
}
