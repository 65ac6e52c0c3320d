"""The integer network as an .onnx file of standard operations on integers.

ONNX has no addition of codes among its standard operations; XNNPACK's is written out
in 64-bit integers. The mean is a convolution with ones.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from distill_jax.quant import integer, rounding
from distill_jax.quant.codes import HIGHEST, LOWEST

# Of 2021 and 2022: read by every runtime that is still looked after.
OPSET, IR_VERSION = 17, 9
# Divisions round towards zero; so much is added before and taken off after.
AWAY = 1024


def write(model, description):
    """Makes the file.

    Args:
      model: `integer.Model`.
      description: a line that the file keeps.

    Returns:
      bytes; input int8 [b, frames, mels, 1], output int8 [b, classes], as in the
      .tflite file but for the batch.
    """
    graph = _Graph()
    graph.operate("Transpose", ["features"], "picture", perm=[0, 3, 1, 2])
    given = ["picture"]
    for number in range(len(model.convs)):
        given.append(_conv(graph, model, number, given))
    _head(graph, model, given[-1])
    rows, columns = model.size
    shapes = [
        helper.make_tensor_value_info(name, TensorProto.INT8, shape)
        for name, shape in (
            ("features", ["b", rows, columns, 1]),
            ("logits", ["b", len(model.dense.bias_o)]),
        )
    ]
    inside = helper.make_graph(
        graph.nodes, "main", shapes[:1], shapes[1:], graph.weights
    )
    whole = helper.make_model(
        inside,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="distill_jax",
        doc_string=description,
    )
    onnx.checker.check_model(whole, full_check=True)
    return whole.SerializeToString()


def _conv(graph, model, number, given):
    """Adds a unit; returns the name of its result."""
    conv, name = model.convs[number], f"layer_{number}"
    depthwise, taps = conv.kind == "depthwise", len(conv.weight_yxio)
    # Kernels are [out, in, y, x]; those of a depthwise one have one input.
    axes = (3, 2, 0, 1)
    weight = conv.weight_yxio.transpose(axes), conv.scale_o, conv.bias_o
    first = name if conv.adds is None else f"branch_{number}"
    graph.convolve(
        (given[number], first),
        (model.before(number), conv.first),
        weight,
        group=weight[0].shape[0] if depthwise else 1,
        strides=[conv.stride] * 2,
        pads=[taps // 2] * 4,
    )
    if conv.adds is None:
        if conv.out.zero > LOWEST:
            graph.clip(first, f"{name}/relu", conv.out.zero)
            return f"{name}/relu"
        return first
    codes = conv.branch, model.before(conv.adds), conv.out
    return _added(graph, name, (first, given[conv.adds]), codes)


def _added(graph, name, given, codes):
    """Adds the addition of two results; XNNPACK's, in whole numbers."""
    branch, other, out = codes
    *factors, shift = rounding.add_factors(branch.scale, other.scale, out.scale)
    terms, known = [], (1 << (shift - 1)) + (AWAY << shift)
    for side, (source, factor, each) in enumerate(
        zip(given, factors, (branch, other), strict=True)
    ):
        wide, term = f"{name}/wide_{side}", f"{name}/term_{side}"
        graph.operate("Cast", [source], wide, to=TensorProto.INT64)
        graph.operate("Mul", [wide, graph.number(f"{term}/factor", factor)], term)
        known -= factor * each.zero
        terms.append(term)
    graph.operate("Add", terms, f"{name}/terms")
    steps = (
        ("Add", "nudged", known),
        ("Div", "shifted", 1 << shift),
        ("Add", "placed", out.zero - AWAY),
        ("Max", "above", max(LOWEST, out.zero)),
        ("Min", "below", HIGHEST),
    )
    source = f"{name}/terms"
    for kind, suffix, value in steps:
        result = f"{name}/{suffix}"
        graph.operate(kind, [source, graph.number(f"{result}/by", value)], result)
        source = result
    graph.operate("Cast", [source], name, to=TensorProto.INT8)
    return name


def _head(graph, model, source):
    """Adds the mean and the last layer."""
    rows, columns, depth = integer.sizes(model)[-1]
    ones = np.ones((depth, 1, rows, columns), np.int8)
    scale_o = np.full(depth, 1 / (rows * columns), np.float32)
    last = model.before(len(model.convs))
    graph.convolve(
        (source, "embed"),
        (last, model.embed),
        (ones, scale_o, np.zeros(depth, np.int32)),
        group=depth,
    )
    dense = model.dense
    weight = dense.weight_io.T[:, :, None, None], np.array([dense.scale]), dense.bias_o
    graph.convolve(("embed", "scores"), (model.embed, model.logits), weight)
    graph.operate("Flatten", ["scores"], "logits")


class _Graph:
    """Operations and weights by name."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def operate(self, kind, inputs, result, **attributes):
        """Adds an operation."""
        self.nodes.append(helper.make_node(kind, inputs, [result], **attributes))

    def weight(self, name, values):
        """Adds an array; returns its name."""
        values = np.ascontiguousarray(values)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def number(self, name, value):
        """Adds a 64-bit integer; returns its name."""
        return self.weight(name, np.array(value, np.int64))

    def convolve(self, names, codes, weight, **attributes):
        """Adds a convolution between codes; `weight` are values, scales and bias."""
        source, result = names
        values, scale_o, bias_o = weight
        scales = scale_o if len(scale_o) > 1 else scale_o[0]
        inputs = [
            source,
            *self._codes(f"{result}/in", codes[0]),
            self.weight(f"{result}/weight", values),
            self.weight(f"{result}/weight_scale", np.float32(scales)),
            self.weight(f"{result}/weight_zero", np.zeros(np.shape(scales), np.int8)),
            *self._codes(f"{result}/out", codes[1]),
            self.weight(f"{result}/bias", bias_o),
        ]
        self.operate("QLinearConv", inputs, result, **attributes)

    def _codes(self, name, codes):
        yield self.weight(f"{name}_scale", np.float32(codes.scale))
        yield self.weight(f"{name}_zero", np.int8(codes.zero))

    def clip(self, source, result, lowest):
        """Adds a limit from below, in codes."""
        limit = self.weight(f"{result}/lowest", np.int8(lowest))
        self.operate("Max", [source, limit], result)
