"""The batch-norms that are left in a .tflite file as a multiplication and an addition of each channel.

A norm after a convolution becomes part of its kernel and bias, and costs nothing. One without a convolution before it,
as in DenseNet's pre-activated layers, has to stay.
"""

from collections import Counter
from pathlib import Path

import keras
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from cspkeras.graph import calls, operation_of
from cspkeras.tflite.export.flatbuffer import operator_kind, unpack

KINDS = (schema.BuiltinOperator.MUL, schema.BuiltinOperator.ADD, schema.BuiltinOperator.SUB)


def left_norms(path):
    """List the tensors that a file computes by adding or multiplying a constant to each channel of a map."""
    model = unpack(Path(path).read_bytes())
    return [name for graph in model.subgraphs for name in _channelwise(model, graph)]


def _channelwise(model, graph):
    made = {index: operator for operator in graph.operators for index in operator.outputs}

    def constant(index):
        if (operator := made.get(index)) is not None:  # 16-bit floats pass a DEQUANTIZE
            return operator_kind(model, operator) == schema.BuiltinOperator.DEQUANTIZE and constant(operator.inputs[0])
        return model.buffers[graph.tensors[index].buffer].data is not None

    for operator in graph.operators:
        output = graph.tensors[operator.outputs[0]]
        if operator_kind(model, operator) not in KINDS or len(output.shape) != 4:
            continue
        sizes = [graph.tensors[index].shape.prod() for index in operator.inputs if constant(index)]
        if output.shape[-1] in sizes:
            yield output.name.decode()


def lone_norms(model):
    """List a Keras 3 model's batch-norms that no convolution can take in: it has other users too, or there is none.

    A `Rescaling` of each channel is one as well.
    """
    steps = calls(model)
    users = Counter(id(x) for call in steps for x in call.input_tensors)
    lone = []
    for call in steps:
        layer, x = call.operation, call.input_tensors[0] if call.input_tensors else None
        if isinstance(layer, keras.layers.BatchNormalization):
            before = operation_of(x)
            kernel = hasattr(before, "kernel") or hasattr(before, "depthwise_kernel")
            if not kernel or users[id(x)] > 1:
                lone.append(layer.name)
        elif isinstance(layer, keras.layers.Rescaling) and np.ndim(layer.scale):
            lone.append(layer.name)
    return lone
