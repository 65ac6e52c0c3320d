"""The exported files in the programs that run them: codes in, codes out."""

import contextlib
import os
import re
import tempfile
from importlib import metadata

import numpy as np

from distill_jax.quant import reference

# Package: what brings it.
BROUGHT_BY = {
    "ai_edge_litert": "pip install 'distill_jax[export]'",
    "onnxruntime": "pip install 'distill_jax[export]'",
    "tflite_micro": "pip install 'distill_jax[micro]', on Linux on x86-64 only",
}


class MissingRuntimeError(RuntimeError):
    """A runtime is not installed; the message says how to get it."""


def litert(content):
    """LiteRT, which runs this on XNNPACK.

    Args:
      content: bytes of a .tflite file.

    Returns:
      (code_btf, int8) -> int8 logits [b, classes]; ValueError for codes of another
      size or type.

    Raises:
      ValueError: the file is damaged or something else.
      MissingRuntimeError: LiteRT is not there.
    """
    interpreter = _interpreter(content)
    interpreter.allocate_tensors()
    (source,), (result,) = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )

    def one(code_tf):
        interpreter.set_tensor(source["index"], code_tf[None, ..., None])
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])[0]

    return _each(one, source["shape"][1:3], result["shape"][1])


def tflm(content):
    """TFLite Micro's own kernels; as `litert`.

    Raises:
      ValueError, MissingRuntimeError: as of `litert`.
    """
    with _installed("tflite_micro"):
        from tflite_micro import runtime
    # It trusts the file: a damaged one is found by LiteRT, which does not.
    source = _interpreter(content).get_input_details()[0]
    interpreter = runtime.Interpreter.from_bytes(content)

    def one(code_tf):
        interpreter.set_input(code_tf[None, ..., None], 0)
        interpreter.invoke()
        return interpreter.get_output(0)[0].copy()

    classes = interpreter.get_output_details(0)["shape"][1]
    return _each(one, source["shape"][1:3], classes)


def arena(content):
    """Bytes of working memory that TFLite Micro takes for a .tflite file.

    Raises:
      ValueError, MissingRuntimeError: as of `litert`.
    """
    with _installed("tflite_micro"):
        from tflite_micro import runtime
    _interpreter(content)
    interpreter = runtime.Interpreter.from_bytes(content)
    with _complaints() as said:
        interpreter.print_allocations()
    return int(re.search(r"Arena allocation total (\d+) bytes", said[0])[1])


@contextlib.contextmanager
def _complaints():
    """Catches what is written to the standard error below Python; a list of one."""
    said = []
    with tempfile.TemporaryFile() as file:
        before = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(before, 2)
            os.close(before)
            file.seek(0)
            said.append(file.read().decode(errors="replace"))


def onnx(content):
    """ONNX Runtime on one thread of a CPU; as `litert`, of an .onnx file.

    Raises:
      ValueError, MissingRuntimeError: as of `litert`.
    """
    with _installed("onnxruntime"):
        import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    kinds = "InvalidProtobuf", "InvalidGraph", "InvalidArgument", "Fail"
    raised = [getattr(ort.capi.onnxruntime_pybind11_state, kind) for kind in kinds]
    try:
        session = ort.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
    except tuple(raised) as error:
        raise _damaged("ONNX Runtime", error) from error
    (source,), (result,) = session.get_inputs(), session.get_outputs()
    size = tuple(source.shape[1:3])

    def run(code_btf):
        reference.check(size, code_btf)
        if not len(code_btf):
            return np.zeros((0, result.shape[1]), np.int8)
        return session.run(None, {source.name: code_btf[..., None]})[0]

    return run


def version(name):
    """Version of an installed package, such as "ai_edge_litert"."""
    return metadata.version(name)


def _interpreter(content):
    with _installed("ai_edge_litert"):
        from ai_edge_litert import interpreter
    try:
        return interpreter.Interpreter(model_content=content, num_threads=1)
    except ValueError as error:
        raise _damaged("LiteRT", error) from error


def _each(one, size, classes):
    """A function of batches out of one of single windows."""
    size = tuple(map(int, size))

    def run(code_btf):
        reference.check(size, code_btf)
        rows = [one(code_tf) for code_tf in code_btf]
        return np.array(rows, np.int8).reshape(len(rows), classes)

    return run


@contextlib.contextmanager
def _installed(package):
    """Around an import: these packages are extras."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingRuntimeError(
            f"{package} is not installed: {BROUGHT_BY[package]}"
        ) from error


def _damaged(who, error):
    return ValueError(
        f"{who} cannot open the file ({error}); it is cut short, damaged or something "
        "else: export it again"
    )
