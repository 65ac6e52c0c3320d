"""An exported file as a network to listen with; nothing else of its run is needed."""

from pathlib import Path

import numpy as np

from distill_jax import export, quant
from distill_jax.audio import front_end
from distill_jax.classifier import Classifier
from distill_jax.export import arrays, checking, runtimes


def load(path):
    """Opens an INT8 file.

    Args:
      path: of a .tflite file, run in LiteRT; an .onnx file, run in ONNX Runtime; or
        an .npz file, computed by the integer reference. Its manifest lies beside it.

    Returns:
      `Classifier`. Windows score the same to the last bit in a stream and in a whole
      recording, and in all three.

    Raises:
      FileNotFoundError: the file or its manifest is missing.
      ValueError: it is damaged, or not what its manifest says.
      runtimes.MissingRuntimeError: what runs it is not installed.
    """
    path = Path(path)
    opened = _opener(path)
    data, about = export.read(path)
    card, size, input_codes, output_codes = export.described(about)
    run, how = opened(data)
    _check(path, run, size, card.labels)

    def features(audio_bs):
        # Codes: in a stream every frame is in many windows, and rounded once.
        feature_btf = front_end.log_mel_in_turn(audio_bs, card.front)
        return quant.encode(feature_btf, input_codes)

    return Classifier(
        card.name,
        f"8-bit integers of {path.name} by {how}",
        card.labels,
        card.front,
        card.samples,
        size[0],
        features,
        lambda code_btf: quant.decode(run(code_btf), output_codes),
        chosen=card.threshold,
    )


def report_folder(path):
    """Where the report on a file goes."""
    path = Path(path)
    return path.with_name(path.name + ".report")


def _opener(path):
    """What turns the bytes of such a file into a function of codes, and its name."""
    if path.suffix == ".npz":
        return _reference
    for name, (form, package, _, opened) in checking.RUNTIMES.items():
        if path.suffix == export.FORMATS[form][1]:
            return lambda data: (opened(data), f"{name} {runtimes.version(package)}")
    raise ValueError(
        f"{path} cannot be run here; give a .tflite, .onnx or .npz file that "
        "distill-jax export wrote"
    )


def _reference(data):
    model = arrays.read(data)
    return lambda code_btf: quant.reference.run(model, code_btf)[0], "the reference"


def _check(path, run, size, labels):
    """Raises ValueError unless a file takes and gives what its manifest says."""
    try:
        code_bc = run(np.zeros((1, *size), np.int8))
    except ValueError as error:
        raise ValueError(
            f"{path} takes other windows than its manifest says ({error}); export the "
            "network again"
        ) from error
    if code_bc.shape != (1, len(labels)):
        raise ValueError(
            f"{path} tells {code_bc.shape[1]} classes apart, its manifest names "
            f"{len(labels)}: {', '.join(labels)}; export the network again"
        )
