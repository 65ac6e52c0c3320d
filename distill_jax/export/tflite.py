"""The integer network as a .tflite file, operation by operation.

Every weight, bias and scale is written as it is; no converter chooses another one.
"""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from distill_jax.quant import integer

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
RELU = schema.ActivationFunctionType.RELU
NONE = schema.ActivationFunctionType.NONE
TYPES = {
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int32): schema.TensorType.INT32,
}
# The oldest version of each operation that takes int8 as it is used here.
VERSIONS = {
    "PAD": 2,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "ADD": 2,
    "MEAN": 2,
    "FULLY_CONNECTED": 4,
}


def write(model, description):
    """Makes the file.

    Args:
      model: `integer.Model`.
      description: a line that the file keeps.

    Returns:
      bytes; input int8 [1, frames, mels, 1], output int8 [1, classes].
    """
    graph = _Graph()
    shapes = [(1, *size) for size in integer.sizes(model)]
    given = [graph.activation("features", shapes[0], model.input)]
    for number, conv in enumerate(model.convs):
        code = model.before(number)
        given.append(_conv(graph, (number, conv), given, (shapes[number:], code)))
    embed = _mean(graph, model, given[-1], shapes[-1][-1])
    result = _dense(graph, model, embed)
    return graph.packed(given[0], result, description)


def _conv(graph, numbered, given, around):
    """Adds a unit; returns the number of its tensor."""
    number, conv = numbered
    (before, after, *_), codes = around
    name, source = f"layer_{number}", given[number]
    padding = schema.Padding.SAME
    if _needs_pad(conv, before):
        source = _pad(graph, source, (name, before, codes))
        padding = schema.Padding.VALID
    weight, depthwise = conv.weight_yxio, conv.kind == "depthwise"
    # Depthwise kernels are [1, y, x, out], others [out, y, x, in].
    weight = weight.transpose(2, 0, 1, 3) if depthwise else weight.transpose(3, 0, 1, 2)
    axis = 3 if depthwise else 0
    inputs = [
        source,
        graph.weight(f"{name}/weight", weight, (conv.scale_o, axis)),
        graph.weight(f"{name}/bias", conv.bias_o, (codes.scale * conv.scale_o, 0)),
    ]
    options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
    options.padding = padding
    options.strideH = options.strideW = conv.stride
    options.dilationHFactor = options.dilationWFactor = 1
    options.fusedActivationFunction = RELU if conv.adds is None else NONE
    if depthwise:
        options.depthMultiplier = 1
    kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    first = name if conv.adds is None else f"branch_{number}"
    result = graph.activation(first, after, conv.first)
    graph.operate(kind, inputs, result, options)
    if conv.adds is None:
        return result
    total = graph.activation(name, after, conv.out)
    options = schema.AddOptionsT()
    options.fusedActivationFunction = RELU
    graph.operate("ADD", [result, given[conv.adds]], total, options)
    return total


def _needs_pad(conv, before):
    """Whether TFLite's SAME would pad on other sides than one on every side."""
    _, rows, columns, _ = before
    return conv.kind != "pointwise" and conv.stride == 2 and (rows * columns) % 2 == 0


def _pad(graph, source, around):
    name, (_, rows, columns, depth), codes = around
    # At stride 2 an even size never sees the zeros after its end.
    side_42 = np.array([[0, 0], [1, rows % 2], [1, columns % 2], [0, 0]], np.int32)
    shape = (1, rows + 1 + rows % 2, columns + 1 + columns % 2, depth)
    result = graph.activation(f"{name}/padded", shape, codes)
    sides = graph.weight(f"{name}/sides", side_42)
    graph.operate("PAD", [source, sides], result, schema.PadOptionsT())
    return result


def _mean(graph, model, source, depth):
    result = graph.activation("embed", (1, depth), model.embed)
    axes = graph.weight("embed/axes", np.array([1, 2], np.int32))
    options = schema.ReducerOptionsT()
    options.keepDims = False
    graph.operate("MEAN", [source, axes], result, options)
    return result


def _dense(graph, model, source):
    dense = model.dense
    result = graph.activation("logits", (1, len(dense.bias_o)), model.logits)
    inputs = [
        source,
        graph.weight("dense/weight", dense.weight_io.T, ([dense.scale], 0)),
        graph.weight(
            "dense/bias", dense.bias_o, ([model.embed.scale * dense.scale], 0)
        ),
    ]
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = NONE
    graph.operate("FULLY_CONNECTED", inputs, result, options)
    return result


class _Graph:
    """Tensors, buffers and operations as the schema wants them, numbered."""

    def __init__(self):
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        # The first buffer is empty: that of every tensor that is computed.
        self.buffers, self.codes = [schema.BufferT()], []

    def activation(self, name, shape, codes):
        """Adds a tensor that is computed; returns its number."""
        scaling = schema.QuantizationParametersT()
        scaling.scale, scaling.zeroPoint = [float(codes.scale)], [codes.zero]
        return self._tensor(name, shape, (schema.TensorType.INT8, 0, scaling))

    def weight(self, name, values, scaled=None):
        """Adds a tensor with its values; `scaled` are scales and their axis."""
        buffer, scaling = schema.BufferT(), None
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self.buffers.append(buffer)
        if scaled is not None:
            scales, axis = scaled
            scaling = schema.QuantizationParametersT()
            scaling.scale = [float(scale) for scale in scales]
            scaling.zeroPoint = [0] * len(scaling.scale)
            scaling.quantizedDimension = axis
        place = TYPES[values.dtype], len(self.buffers) - 1, scaling
        return self._tensor(name, values.shape, place)

    def _tensor(self, name, shape, place):
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name, list(shape)
        tensor.type, tensor.buffer, tensor.quantization = place
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operate(self, kind, inputs, result, options):
        """Adds an operation on numbered tensors."""
        code = getattr(schema.BuiltinOperator, kind)
        known = [each.builtinCode for each in self.codes]
        if code not in known:
            used = schema.OperatorCodeT()
            used.builtinCode = used.deprecatedBuiltinCode = code
            used.version = VERSIONS[kind]
            self.codes.append(used)
            known.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = known.index(code)
        operator.inputs, operator.outputs = inputs, [result]
        name = type(options).__name__.removesuffix("T")
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
        operator.builtinOptions = options
        self.graph.operators.append(operator)

    def packed(self, source, result, description):
        """The bytes of a file with this one graph."""
        self.graph.name = "main"
        self.graph.inputs, self.graph.outputs = [source], [result]
        whole = schema.ModelT()
        whole.version, whole.description = SCHEMA_VERSION, description
        whole.operatorCodes, whole.buffers = self.codes, self.buffers
        whole.subgraphs = [self.graph]
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(whole.Pack(builder), IDENTIFIER)
        return bytes(builder.Output())
