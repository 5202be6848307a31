"""What a quantization-aware model computes, in the form in which the converter makes it an int8 file.

Kernels and ranges are constants. A batch-norm or a `Rescaling` after a kernel becomes part of it; elsewhere it is a
depthwise convolution of one pixel, whose kernels by channel hold any factor without loss.
"""

import math
from collections import Counter

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from ...graph import followers, run_graph
from .activations import SteppedActivation
from .flattening import plain_name
from .kinds import by_channel, kind_of
from .quantizers import NARROWEST, FakeQuant, QuantizedLayer, kernel_of

APART = 1e-5  # what the ranges of equal kernels differ by
NO_BIAS = 1e-20  # which rounds to 0
SMALLEST = 1e-5  # a channel's kernel over its bias: below, the bias, in steps of the kernel's scale, overflows


def deployed(model, ranges=None):
    """Return a function of a quantization-aware model's inputs, a flat list of tensors, to its outputs.

    Args:
        model: the model.
        ranges: {`FakeQuant`: the range to use in place of its own}.
    """
    ranges = ranges or {}
    after_each, folded = followers(model), {}
    for operation in model.operations:
        after = after_each.get(operation, [])
        alone = isinstance(operation, QuantizedLayer) and len(after) == 1
        if alone and kind_of(after[0]).folds and by_channel(after[0]):
            folded[operation] = after[0]
    norms, equal = set(folded.values()), Counter()

    def make(operation):
        if operation in norms:
            return lambda x, **_: x
        if isinstance(operation, QuantizedLayer):
            variable, kernel, ends, bias = _numbers(_kernel, operation, folded.get(operation))
            # Of equal kernels, as untrained ones may be, the converter would make one, and leave it in floats.
            equal[kernel.tobytes()] += 1
            ends = ends * np.float32(1 + (equal[kernel.tobytes()] - 1) * APART)
            rounded = _rounded_kernel(kernel, ends, operation.channel_axes)
            return lambda x, **_: _called(operation.layer, variable, rounded, bias, x)
        if kind_of(operation).folds:
            return lambda x, **_: _depthwise(x, *_numbers(_affine, operation, x.shape))
        if isinstance(operation, FakeQuant):
            if operation in ranges:
                return lambda x, **_: _rounded(x, *ranges[operation])
            return lambda x, **options: _rounded(x, *_numbers(operation.steps, **options))
        if isinstance(operation, SteppedActivation):
            steps = [lambda x, q=q: _rounded(x, *_numbers(q.steps)) for q in operation.quantizers]
            return lambda x, **_: operation.compute(x, steps)
        return operation

    def named(operation):
        """Compute under the operation's name, which becomes that of tensors in the file."""
        compute = make(operation)

        def call(*args, **kwargs):
            with tf.name_scope(plain_name(operation.name)):
                return compute(*args, **kwargs)

        return call

    def compute(inputs):
        with tf.name_scope("network"):
            return run_graph(model, inputs, named)

    return compute


def _numbers(function, *args, **kwargs):
    """Call a function that reads the values of variables, which a graph that is traced would not give."""
    with tf.init_scope():
        return function(*args, **kwargs)


def _rounded(x, low, high):
    return tf.quantization.fake_quant_with_min_max_args(x, low, high)


def _affine(operation, shape):
    """The factor and the offset of a batch-norm or a `Rescaling`, for each channel or each element."""
    if isinstance(operation, layers.Rescaling):
        scale, offset = (np.float64(x) for x in (operation.scale, operation.offset))
        each = shape[-1:] if by_channel(operation) else shape[1:]
        return [np.broadcast_to(x, each) for x in (scale, offset)]
    mean, variance = (np.float64(x) for x in (operation.moving_mean, operation.moving_variance))
    scale = 1 / np.sqrt(variance + operation.epsilon)
    if operation.gamma is not None:
        scale = scale * np.float64(operation.gamma)
    offset = -mean * scale
    if operation.beta is not None:
        offset = offset + np.float64(operation.beta)
    return scale, offset


def _kernel(operation, norm):
    """The rounded kernel and the bias of a layer and the batch-norm after it: the variable, its numbers,
    how far each channel reaches, the bias or None.
    """
    layer, axes = operation.layer, operation.channel_axes
    variable = kernel_of(operation)
    kernel = np.float64(variable)
    bias = next((np.float64(v) for v in layer.variables if v.name == "bias"), None)
    shape = [kernel.shape[axis] if axis - len(kernel.shape) in axes else 1 for axis in range(len(kernel.shape))]
    if norm:
        scale, offset = _affine(norm, operation.output.shape)
        kernel = kernel * np.reshape(scale, shape)
        bias = offset if bias is None else bias * scale + offset
    others = tuple(axis for axis, size in enumerate(shape) if axis - len(shape) not in axes)
    ends = np.abs(kernel).max(others).reshape(-1)
    if bias is not None:
        ends = np.maximum(ends, SMALLEST * np.abs(bias))
    ends = np.float32(np.maximum(ends, NARROWEST))
    if isinstance(layer, layers.Conv2DTranspose) and (bias is None or not bias.any()):
        # Without a bias the converter leaves it, and the relu after it, in floats.
        bias = np.eye(1, kernel.shape[-2])[0] * NO_BIAS
    return variable, np.float32(kernel), ends, None if bias is None else _uneven(bias)


def _uneven(bias):
    """A bias of numbers that are not all equal: the converter would round all of them to the first channel's scale."""
    bias = np.float32(np.ravel(bias))
    if bias[0] and (bias == bias[0]).all():
        bias[0] = np.nextafter(bias[0], np.float32(np.inf))
    return bias


def _rounded_kernel(kernel, ends, axes):
    """A kernel rounded by channel; as it is where the converter turns it round, and rounds it by channel then."""
    if axes[-1] != -1 or len(kernel.shape) == 2:
        return kernel
    flat = kernel if len(axes) == 1 else kernel.reshape(*kernel.shape[:2], 1, -1)
    made = tf.quantization.fake_quant_with_min_max_vars_per_channel(flat, -ends, ends, narrow_range=True)
    return made if len(axes) == 1 else tf.reshape(made, kernel.shape)


def _called(layer, variable, kernel, bias, x):
    """Call a layer with another kernel and another bias, if any."""
    own = {"bias": bias, variable.name: kernel}
    values = [(v, tf.convert_to_tensor(own.get(v.name, v))) for v in layer.variables]
    with keras.StatelessScope(state_mapping=values):
        y = layer(x)
    return y if bias is None or any(v.name == "bias" for v in layer.variables) else tf.nn.bias_add(y, bias)


def _depthwise(x, scale, offset):
    """Multiply and add by channel."""
    scale, offset = np.float32(np.ravel(scale)), _uneven(offset)
    shape, size = x.shape, scale.size
    rows = math.prod(shape[1:]) // size
    if len(shape) != 4 or shape[-1] != size:
        x = tf.reshape(x, (shape[0], 1, rows, size))
    ends = np.maximum(np.abs(scale), np.maximum(SMALLEST * np.abs(offset), NARROWEST))
    kernel = scale.reshape(1, 1, 1, size)
    kernel = tf.quantization.fake_quant_with_min_max_vars_per_channel(kernel, -ends, ends, narrow_range=True)
    y = tf.nn.depthwise_conv2d(x, tf.reshape(kernel, (1, 1, size, 1)), (1, 1, 1, 1), "VALID")
    y = tf.nn.bias_add(y, offset)
    return y if x.shape == shape else tf.reshape(y, shape)
