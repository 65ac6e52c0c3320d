"""Files held against the reference, code by code."""

from typing import NamedTuple

import numpy as np

from distill_jax.export import arrays, runtimes
from distill_jax.quant import reference

# Runtime: the format it reads, its package, how it rounds, and what opens it.
RUNTIMES = {
    "LiteRT (XNNPACK)": ("tflite", "ai_edge_litert", "xnnpack", runtimes.litert),
    "TFLite Micro": ("tflite", "tflite_micro", "tflm", runtimes.tflm),
    "ONNX Runtime": ("onnx", "onnxruntime", "xnnpack", runtimes.onnx),
}


class Outcome(NamedTuple):
    """What a runtime gives against the reference under its rounding.

    Attributes:
      runtime: its name.
      version: its release.
      rounding: "xnnpack" or "tflm".
      code_bc: its int8 logits.
      wrong: how many differ from the reference.
      largest: the largest difference in codes.
    """

    runtime: str
    version: str
    rounding: str
    code_bc: np.ndarray
    wrong: int
    largest: int


def outcomes(model, code_btf, content_of):
    """Runs files wherever a runtime for them is installed.

    Args:
      model: `integer.Model`.
      code_btf: int8 windows.
      content_of: {format: bytes} of its files.

    Returns:
      [`Outcome`] and the reasons, strings, for which others are missing.

    Raises:
      ValueError: an .npz file does not come back as the same network.
    """
    expected = {
        rounding: reference.run(model, code_btf, rounding)[0]
        for rounding in ("xnnpack", "tflm")
    }
    found, missing = [], []
    for name, (form, package, rounding, opened) in RUNTIMES.items():
        if form not in content_of:
            continue
        try:
            code_bc = opened(content_of[form])(code_btf)
        except runtimes.MissingRuntimeError as error:
            missing.append(str(error))
            continue
        apart_bc = np.abs(code_bc.astype(int) - expected[rounding])
        wrong, largest = int(np.sum(apart_bc > 0)), int(apart_bc.max(initial=0))
        version = runtimes.version(package)
        found.append(Outcome(name, version, rounding, code_bc, wrong, largest))
    if "npz" in content_of and not same(arrays.read(content_of["npz"]), model):
        raise ValueError("the .npz file holds another network than was written to it")
    return found, missing


def same(one, other):
    """Whether two networks are equal in every number."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return np.array_equal(one, other)
