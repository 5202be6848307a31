"""Bring grouped convolutions into the form that the GPU delegate computes correctly.

The delegate holds channels in fours, and computes a grouped convolution correctly only if every group has a multiple of
four channels, in and out. Others, such as CSPMobileNetV2's of two channels to one, it accepts and computes wrongly, or
fails on. So groups are merged, as many as needed, into one whose kernel is zero between them; results stay the same.

The finished file is changed, where the kernels of all precisions look alike: a quantized zero is a zero.
"""

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from .flatbuffer import operator_kind

DTYPES = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT8: np.int8,
}


def merge_groups(model):
    """Merge the groups of a file's convolutions where the GPU delegate needs it; its `schema.ModelT` is changed."""
    for graph in model.subgraphs:
        for operator in graph.operators:
            _merge_kernel(model, graph, operator)


def merged(kernel, groups):
    """Widen the kernel of a grouped convolution for fewer groups, each of a multiple of four channels.

    Args:
        kernel: (filters, height, width, channels of a group), as in TFLite.
        groups: their number.

    Returns:
        The wider kernel, for as many groups as possible, at worst one; `kernel` itself if nothing has to be merged.
    """
    filters, height, width, inner = kernel.shape
    outer = filters // groups
    sizes = (size for size in range(1, groups) if groups % size == 0)
    size = next((size for size in sizes if size * inner % 4 == 0 and size * outer % 4 == 0), groups)
    if size == 1:
        return kernel
    wide = np.zeros((filters, height, width, size, inner), kernel.dtype)
    each = np.arange(filters)
    wide[each, :, :, each // outer % size] = kernel
    return wide.reshape(filters, height, width, size * inner)


def _merge_kernel(model, graph, operator):
    """Merge an operator's groups where it is a convolution that needs it."""
    if operator_kind(model, operator) != schema.BuiltinOperator.CONV_2D:
        return
    image, tensor = (graph.tensors[index] for index in operator.inputs[:2])
    groups = image.shape[-1] // tensor.shape[-1]
    if groups == 1:
        return
    tensors = [tensor]
    if model.buffers[tensor.buffer].data is None:  # 16-bit floats pass a DEQUANTIZE
        source = next(other for other in graph.operators if operator.inputs[1] in other.outputs)
        tensors.append(graph.tensors[source.inputs[0]])
    constant = tensors[-1]
    kernel = np.frombuffer(model.buffers[constant.buffer].data, DTYPES[constant.type]).reshape(constant.shape)
    wide = merged(kernel, groups)
    if wide is kernel:
        return
    constant.buffer = len(model.buffers)  # one of its own: constants that are alike may share theirs
    model.buffers.append(schema.BufferT())
    model.buffers[-1].data = np.frombuffer(wide.tobytes(), np.uint8)
    for tensor in tensors:
        tensor.shape = np.array(wide.shape, np.int32)
