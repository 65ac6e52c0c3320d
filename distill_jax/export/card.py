"""What belongs to an exported network besides its weights."""

import hashlib
from typing import Any, NamedTuple

import numpy as np

import distill_jax
from distill_jax.audio import front_end
from distill_jax.quant import integer
from distill_jax.quant.codes import Codes


class Card(NamedTuple):
    """What the user of a file has to know.

    Attributes:
      name: of the run.
      step: how many updates it was trained for.
      labels: of the classes, in order.
      front: settings of the features, `front_end.FrontEnd`.
      samples: length of a window.
      bits: of the weights.
      threshold: what `evaluate` found, see `Classifier.chosen`; None where it was
        not asked or found none.
    """

    name: str
    step: int
    labels: tuple[str, ...]
    front: front_end.FrontEnd
    samples: int
    bits: int = 8
    threshold: dict[str, Any] | None = None

    @property
    def description(self):
        """One line."""
        return f"{self.name}, step {self.step}: {', '.join(self.labels)}"


def manifest(card, model, file):
    """What is written beside a file, as JSON values.

    Args:
      card: `Card`.
      model: `integer.Model`.
      file: its name and its bytes.
    """
    name, content = file
    frames, mels = model.size
    return {
        "made_by": f"distill_jax {distill_jax.__version__}",
        "file": name,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "run": card.name,
        "step": card.step,
        "labels": list(card.labels),
        "weights": integer.parameters(model),
        "weight_bits": card.bits,
        "front_end": card.front._asdict(),
        "window_samples": card.samples,
        "frames": frames,
        "mels": mels,
        "input": _codes(model.input),
        "output": _codes(model.logits),
        "threshold": card.threshold,
    }


class Described(NamedTuple):
    """What a manifest says of a file.

    Attributes:
      card: `Card`.
      size: frames and mels of a window.
      input: `Codes` of the features.
      output: `Codes` of the logits.
    """

    card: Card
    size: tuple[int, int]
    input: Codes
    output: Codes


def described(about):
    """`Described` of the JSON values that `manifest` made.

    Raises:
      ValueError: something is missing or cannot be.
    """
    try:
        front = front_end.FrontEnd(**about["front_end"])
        size = about["frames"], about["mels"]
        samples, labels = about["window_samples"], tuple(about["labels"])
        bits, threshold = about["weight_bits"], about["threshold"]
        if threshold is not None:
            # Of before integers could be evaluated.
            threshold = {"arithmetic": "32-bit floats", **threshold}
        card = Card(
            about["run"], about["step"], labels, front, samples, bits, threshold
        )
        codes = [
            Codes(np.float32(side["scale"]), int(side["zero"]))
            for side in (about["input"], about["output"])
        ]
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"the manifest is not one of this program: {type(error).__name__} {error}; "
            "export the network again"
        ) from error
    front_end.check(front)
    made = front_end.frames(samples, front), front.mels
    if made != size:
        raise ValueError(
            f"the manifest has windows of {size} frames and mels, but its front end "
            f"makes {made} of {samples} samples; export the network again"
        )
    return Described(card, size, *codes)


def _codes(codes):
    """How int8 codes stand for numbers: number = scale * (code - zero)."""
    return {"type": "int8", "scale": float(codes.scale), "zero": codes.zero}
