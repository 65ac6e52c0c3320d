"""What belongs to an exported network besides its weights."""

import hashlib
from typing import Any, NamedTuple

import distill_jax
from distill_jax.audio import front_end
from distill_jax.quant import integer


class Card(NamedTuple):
    """What the user of a file has to know.

    Attributes:
      name: of the run.
      step: how many updates it was trained for.
      labels: of the classes, in order.
      front: settings of the features, `front_end.FrontEnd`.
      samples: length of a window.
      bits: of the weights.
      threshold: {"word", "threshold", …} as `evaluate` found it, or None.
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


def _codes(codes):
    """How int8 codes stand for numbers: number = scale * (code - zero)."""
    return {"type": "int8", "scale": float(codes.scale), "zero": codes.zero}
