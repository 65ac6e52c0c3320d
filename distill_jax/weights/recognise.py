"""Tells which model a checkpoint is, by its config and by the names of its tensors."""

import re
from typing import NamedTuple

# (model_type as transformers has it, patterns of names that it has, that it has not)
MODELS = (
    ("wavlm", (r"attention\.gru_rel_pos_const$",), ()),
    (
        "wav2vec2-conformer",
        (r"conv_module\.depthwise_conv\.", r"feature_extractor\.conv_layers\."),
        (),
    ),
    (
        "wav2vec2-bert",
        (r"conv_module\.depthwise_conv\.", r"feature_projection\.projection\."),
        (r"^speech_encoder\.",),
    ),
    ("hubert", (r"^hubert\.",), ()),
    ("wav2vec2", (r"^wav2vec2\.",), ()),
    # HuBERT's encoder has the same names; only its config can tell them apart.
    ("wav2vec2", (r"feature_extractor\.conv_layers\.", r"pos_conv_embed\."), ()),
    ("conv_vae", (r"^encoder\.fc_mu\.", r"^decoder\.deconvs\."), ()),
)
SAME_NAMES = ({"wav2vec2", "hubert"},)
HEADS = (
    ("XVector", r"^tdnn\."),
    ("CTC", r"^lm_head\."),
    ("PreTraining", r"^quantizer\."),
    ("SequenceClassification", r"^projector\."),
    ("AudioFrameClassification", r"^classifier\."),
)


class Recognised(NamedTuple):
    """Which model a checkpoint is.

    Attributes:
      model: its `model_type`; None if nothing tells.
      head: such as "CTC"; None for a bare encoder.
      how: what told.
      doubt: what speaks against it, or None.
    """

    model: str | None
    head: str | None
    how: str
    doubt: str | None = None


def recognise(config, names):
    """Which model a checkpoint is.

    Args:
      config: its `config.json` as a dictionary, {} where there is none.
      names: of its tensors.

    Returns:
      `Recognised`. The config goes before the names; where they disagree, that is
      the doubt.
    """
    names = list(names)
    by_name = next((model for model, *signs in MODELS if _has(names, *signs)), None)
    head = next((head for head, sign in HEADS if _has(names, (sign,), ())), None)
    model = config.get("model_type")
    if not isinstance(model, str):
        how = "names of tensors" if by_name else "nothing tells"
        return Recognised(by_name, head, how)
    how = f"config.json: {', '.join(_architectures(config)) or model}"
    if by_name in (None, model) or {by_name, model} in SAME_NAMES:
        return Recognised(model, head, how)
    return Recognised(model, head, how, f"the names of the tensors say {by_name}")


def _architectures(config):
    found = config.get("architectures")
    return [str(name) for name in found] if isinstance(found, list) else []


def _has(names, wanted, unwanted):
    def found(sign):
        return any(re.search(sign, name) for name in names)

    return all(map(found, wanted)) and not any(map(found, unwanted))
