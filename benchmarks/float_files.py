"""A keyword network in float32 as .tflite and .onnx, to measure INT8 files against.

Batch norm is folded, so that both have the operations of the INT8 files and no more.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper, numpy_helper

from distill_jax.export import onnx_file, tflite
from distill_jax.models.layers import BatchNorm
from distill_jax.quant import integer, units


def folded(module, variables):
    """The network as an `integer.Model` whose weights and biases are floats."""
    plan, convs = units.units(module.plan()), []
    params, stats = variables["params"], variables["batch_stats"]
    for number, unit in enumerate(plan):
        norm, seen = params[f"norm_{number}"], stats[f"norm_{number}"]
        gain_o = norm["scale"] / np.sqrt(seen["var"] + BatchNorm.epsilon)
        weight = params[f"conv_{number}"]["kernel"] * gain_o
        bias_o = norm["bias"] - seen["mean"] * gain_o
        arrays = np.float32(weight), np.float32(bias_o), np.ones_like(bias_o)
        convs.append(integer.Conv(*unit, *arrays, None, None))
    kernel_io, bias_o = params["dense"]["kernel"], params["dense"]["bias"]
    dense = integer.Dense(np.float32(kernel_io), np.float32(bias_o), np.float32(1))
    return integer.Model(tuple(module.size), None, tuple(convs), None, dense, None)


class _Codes:
    """Stands where the INT8 writer asks for scales."""

    scale, zero = np.float32(1), 0


class _Graph(tflite._Graph):
    """The INT8 writer's, whose tensors are floats without scales."""

    def activation(self, name, shape, codes):
        return self._tensor(name, shape, (schema.TensorType.FLOAT32, 0, None))

    def weight(self, name, values, scaled=None):
        if values.dtype == np.int32:
            return super().weight(name, values)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self.buffers.append(buffer)
        place = schema.TensorType.FLOAT32, len(self.buffers) - 1, None
        return self._tensor(name, values.shape, place)


def in_tflite(model):
    """Bytes of a float .tflite file: [1, frames, mels, 1] to logits."""
    convs = [conv._replace(out=_Codes) for conv in model.convs]
    model = model._replace(input=_Codes, convs=convs, embed=_Codes, logits=_Codes)
    graph = _Graph()
    shapes = [(1, *size) for size in integer.sizes(model)]
    given = [graph.activation("features", shapes[0], _Codes)]
    for number, conv in enumerate(convs):
        around = shapes[number:], _Codes
        given.append(tflite._conv(graph, (number, conv), given, around))
    embed = tflite._mean(graph, model, given[-1], shapes[-1][-1])
    return graph.packed(given[0], tflite._dense(graph, model, embed), "floats")


def in_onnx(model):
    """Bytes of a float .onnx file: [b, frames, mels, 1] to logits."""
    nodes, weights, source = [], [], "picture"

    def operate(kind, inputs, result, **attributes):
        nodes.append(helper.make_node(kind, inputs, [result], **attributes))
        return result

    def weight(name, values):
        weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    operate("Transpose", ["features"], source, perm=[0, 3, 1, 2])
    for number, conv in enumerate(model.convs):
        kernel = weight(f"weight_{number}", conv.weight_yxio.transpose(3, 2, 0, 1))
        inputs = [source, kernel, weight(f"bias_{number}", conv.bias_o)]
        group = len(conv.bias_o) if conv.kind == "depthwise" else 1
        pads = [len(conv.weight_yxio) // 2] * 4
        strides = [conv.stride] * 2
        name = f"conv_{number}"
        operate("Conv", inputs, name, group=group, pads=pads, strides=strides)
        source = operate("Relu", [name], f"layer_{number}")
    mean = operate("ReduceMean", [source], "embed", axes=[2, 3], keepdims=0)
    dense = weight("dense", model.dense.weight_io), weight("bias", model.dense.bias_o)
    operate("Gemm", [mean, *dense], "logits")
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (
            ("features", ["b", *model.size, 1]),
            ("logits", ["b", len(model.dense.bias_o)]),
        )
    ]
    graph = helper.make_graph(nodes, "main", ends[:1], ends[1:], weights)
    opset = [helper.make_opsetid("", onnx_file.OPSET)]
    whole = helper.make_model(
        graph, opset_imports=opset, ir_version=onnx_file.IR_VERSION
    )
    return whole.SerializeToString()
