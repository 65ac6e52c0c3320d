"""Runs and exported files, opened as what `streaming` listens with."""

import numpy as np

from distill_jax import export, quant, streaming, student
from distill_jax.app import places
from distill_jax.audio import front_end
from distill_jax.export import arrays, runtimes
from distill_jax.quant.codes import Codes
from distill_jax.word_report import network


def opened(root, name, word=""):
    """A run or a file.

    Args:
      root: work directory.
      name: of a folder or of an exported file in it.
      word: to listen for; "" where there is only one.

    Returns:
      (name, word, `streaming.Scorer`).

    Raises:
      OSError, ValueError: there is none, or it is damaged.
      checkpoints.CheckpointError: a run without a good checkpoint.
      runtimes.MissingRuntimeError: what runs the file is not installed.
    """
    path = places.inside(root, name)
    if path.is_file():
        return (name, *_of_file(path, word))
    trained = student.load(path)
    number = network.chosen_word(trained.labels, word)
    return name, trained.labels[number], network.scorer(trained, number)


def _of_file(path, word):
    data, about = export.read(path)
    run = _run(path.suffix, data)
    number = network.chosen_word(tuple(about["labels"]), word)
    front = front_end.FrontEnd(**about["front_end"])
    source, result = (
        Codes(np.float32(about[side]["scale"]), about[side]["zero"])
        for side in ("input", "output")
    )

    def score(feature_btf):
        code_bc = run(quant.encode(feature_btf, source))
        return student.probabilities(quant.decode(code_bc, result))[:, number]

    scorer = streaming.Scorer(
        lambda audio_bs: front_end.log_mel(audio_bs, front),
        score,
        front.rate_hz,
        front.window,
        front.hop,
        about["frames"],
    )
    return about["labels"][number], scorer


def _run(suffix, data):
    """Codes in, codes out."""
    if suffix == ".tflite":
        return runtimes.litert(data)
    if suffix == ".onnx":
        return runtimes.onnx(data)
    model = arrays.read(data)
    return lambda code_btf: quant.reference.run(model, code_btf)[0]
