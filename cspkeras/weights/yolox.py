"""Load YOLOX's published files, .onnx and .pth, into the detectors of `cspkeras.detection.models.yolox`.

A .onnx file is the network in inference mode: batch-norms are folded into the convolutions, and the names of the
layers are lost. What remains is the order of computation, which is that of Megvii's code.
"""

import math
import os
import re

import numpy as np
from keras import layers

from .folded import assign_folded
from .impostors import check_is_weights
from .torch_file import is_torch
from .yolox_parts import classes_error, focused, kernel_error
from .yolox_torch import load_checkpoint


def load_yolox(model, path, skip_mismatch=False):
    """Load a .onnx or .pth file into a `Detector` of YOLOX's; no layer is touched unless all of the file fits.

    A .pth file has the batch-norms, whose epsilon becomes YOLOX's; a .onnx file has them folded. With `skip_mismatch`
    the file may have another number of classes; the class predictions stay as they are. A ValueError names the layer
    that doesn't fit.
    """
    if is_torch(path):
        load_checkpoint(model, path, skip_mismatch)
        return
    found, order, values = read_convolutions(path), execution_order(model), []
    for number, name in enumerate(order):
        layer = model.get_layer(name)
        shape = _torch_shape(layer)
        if number == len(found):
            raise ValueError(f"{path}: ends before {name}: {number} convolutions, {model.name} has {len(order)}")
        kernel, bias = found[number]
        if kernel.shape != shape:
            if _differ_in_classes(name, kernel.shape, shape):
                if skip_mismatch:
                    continue
                raise classes_error(path, name, shape[0], kernel.shape[0])
            raise kernel_error(path, name, shape, kernel.shape, model.name)
        values.append((layer, kernel, bias))
    if len(found) > len(order):
        raise ValueError(
            f"{path}: continues after {order[-1]}: {len(found)} convolutions, {model.name} has {len(order)}"
        )
    for layer, kernel, bias in values:
        _assign(model, layer, kernel, bias)


def execution_order(model):
    """Return the names of the convolutions in the order in which Megvii's code runs them."""
    known = {layer.name for layer in model.layers}

    def conv3x3(name):
        return [part for part in (f"{name}_depthwise", name) if part in known]

    def csp(name):
        blocks = sum(bool(re.fullmatch(rf"{name}_block\d+_conv1", layer)) for layer in known)
        inner = [[f"{name}_block{i}_conv1", *conv3x3(f"{name}_block{i}_conv2")] for i in range(1, blocks + 1)]
        return [f"{name}_part2", f"{name}_part1", *sum(inner, []), f"{name}_transition"]

    order = ["stem_conv"]
    for stage in ("stage1", "stage2", "stage3", "stage4"):
        spp = ["stage4_spp_conv1", "stage4_spp_conv2"] if stage == "stage4" else []
        order += [*conv3x3(f"{stage}_downsample"), *spp, *csp(stage)]
    order += ["neck_p5_narrow", *csp("neck_p4_down"), "neck_p4_narrow", *csp("neck_p3")]
    order += [*conv3x3("neck_p3_strided"), *csp("neck_p4"), *conv3x3("neck_p4_strided"), *csp("neck_p5")]
    for head in ("head_p3", "head_p4", "head_p5"):
        order.append(f"{head}_stem")
        for way, predictions in (("classes", ["classes"]), ("boxes", ["boxes", "objectness"])):
            order += [*conv3x3(f"{head}_{way}_conv1"), *conv3x3(f"{head}_{way}_conv2")]
            order += [f"{head}_{prediction}" for prediction in predictions]
    return order


def read_convolutions(path):
    """Return each convolution of a .onnx file in order: (kernel, bias), kernels as (filters, channels, h, w)."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: missing; expected a .onnx or .pth file of YOLOX's")
    check_is_weights(path)
    try:
        import onnx
    except ImportError as e:
        raise ModuleNotFoundError(f"{path}: .onnx files need the package onnx; pip install 'cspkeras[onnx]'") from e
    try:
        graph = onnx.load(path, format="protobuf", load_external_data=False).graph
        tensors = {tensor.name: _floats(tensor) for tensor in graph.initializer}
    except Exception as e:  # protobuf's and onnx's own errors, and whatever their readers raise
        reason = (str(e) or type(e).__name__).splitlines()[0]
        raise ValueError(f"{path}: not a whole .onnx file ({reason})") from e
    nodes = [node for node in graph.node if node.op_type == "Conv"]
    if not nodes:
        raise ValueError(f"{path}: not a .onnx file with convolutions")
    for node in nodes:
        if len(node.input) != 3 or not all(name in tensors for name in node.input[1:]):
            raise ValueError(
                f"{path}: convolution {node.name or node.output[0]!r} has no kernel and bias of its own; expected an "
                "export in inference mode, as YOLOX's tools/export_onnx.py makes it"
            )
    return [tuple(tensors[name] for name in node.input[1:]) for node in nodes]


def _floats(tensor):
    """Return the numbers of an ONNX tensor in the file, which may claim any shape, as float32."""
    import onnx

    held = tensor.ByteSize()
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise ValueError(f"tensor {tensor.name[:40]!r} lies in another file")
    if math.prod(tensor.dims) > 8 * held:  # the smallest types have some numbers in a byte
        raise ValueError(f"tensor {tensor.name[:40]!r} claims {math.prod(tensor.dims):,} numbers in {held:,} bytes")
    return np.asarray(onnx.numpy_helper.to_array(tensor), "float32")


def _torch_shape(layer):
    """Return a kernel's shape in PyTorch's order: (filters, channels per filter, height, width)."""
    height, width, channels, filters = layer.kernel.shape
    if layer.name == "stem_conv":  # 3x3 on the four pixels of each 2x2, side by side in the channels
        return filters, 4 * channels, height // 2, width // 2
    if isinstance(layer, layers.DepthwiseConv2D):
        return channels * filters, 1, height, width
    return filters, channels, height, width


def _differ_in_classes(name, found, expected):
    return name.endswith("_classes") and found[1:] == expected[1:]


def _assign(model, layer, kernel, bias):
    if layer.name == "stem_conv":
        kernel = focused(kernel)
    elif isinstance(layer, layers.DepthwiseConv2D):
        kernel = kernel.transpose(2, 3, 0, 1)
    else:
        kernel = kernel.transpose(2, 3, 1, 0)
    if layer.use_bias:
        layer.set_weights([kernel, bias])
    else:
        assign_folded(layer, model.get_layer(f"{layer.name}_bn"), kernel, bias)
