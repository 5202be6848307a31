"""Layers in other words: each function takes a layer and its new name, and gives a function that computes the same.

The activation at a layer's end is left out, as it becomes a layer of its own.
"""

import keras
import numpy as np
from keras import layers, ops

from ...graph import copied, with_weights
from ...layers import Upsample


def separable(layer, name):
    """A depthwise convolution, and a convolution of the old name."""
    config, (depthwise, pointwise, *bias) = layer.get_config(), layer.get_weights()
    shared = ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier")
    first = layers.DepthwiseConv2D(**{k: config[k] for k in shared}, use_bias=False, name=f"{name}_depthwise")
    second = layers.Conv2D(layer.filters, 1, use_bias=layer.use_bias, name=name)
    in_depth, across = with_weights(first, [depthwise]), with_weights(second, [pointwise, *bias])
    return lambda x, **kwargs: across(in_depth(x, **kwargs), **kwargs)


def normalization(layer, name):
    """A `Rescaling`."""
    mean, variance = (np.squeeze(keras.ops.convert_to_numpy(x), 0) for x in (layer.mean, layer.variance))
    while mean.ndim and 1 in mean.shape[:1]:
        mean, variance = mean[0], variance[0]
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    scale, offset = (deviation, mean) if layer.invert else (1 / deviation, -mean / deviation)
    return layers.Rescaling(scale.tolist(), offset.tolist(), name=name)


def upsampling(layer, name):
    """An `Upsample` where that can do it."""
    if layer.interpolation in ("nearest", "bilinear") and len(set(layer.size)) == 1:
        return Upsample(layer.size[0], layer.interpolation, name=name)
    return with_weights(*copied(layer, name))


def inner_layer(wrapper, name):
    """The layer inside a wrapper that does something in training alone."""
    return with_weights(*copied(wrapper.layer, name))


def row_convolution(layer, name):
    """A convolution in one dimension as one in two, of images of one row."""
    config = layer.get_config()
    (size,), (stride,), (dilation,) = (config[k] for k in ("kernel_size", "strides", "dilation_rate"))
    depthwise = isinstance(layer, layers.DepthwiseConv1D)
    shared = {"kernel_size": (1, size), "strides": (1, stride), "dilation_rate": (1, dilation), "name": name}
    shared["use_bias"] = layer.use_bias
    shared["padding"] = "valid" if layer.padding == "causal" else layer.padding
    if depthwise:
        made = layers.DepthwiseConv2D(**shared, depth_multiplier=layer.depth_multiplier)
    else:
        made = layers.Conv2D(layer.filters, groups=layer.groups, **shared)
    kernel, *bias = layer.get_weights()
    across = with_weights(made, [kernel[np.newaxis], *bias])

    def call(x, **kwargs):
        if layer.padding == "causal":
            x = layers.ZeroPadding1D((dilation * (size - 1), 0), name=f"{name}_padding")(x)
        y = across(layers.Reshape((1, *x.shape[1:]), name=f"{name}_row")(x), **kwargs)
        return layers.Reshape(y.shape[2:], name=f"{name}_values")(y)

    return call


def separable_row(layer, name):
    """A depthwise convolution in one dimension, and a convolution of the old name, both of images of one row."""
    config, (depthwise, pointwise, *bias) = layer.get_config(), layer.get_weights()
    shared = ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier")
    first = layers.DepthwiseConv1D(**{k: config[k] for k in shared}, use_bias=False, name=f"{name}_depthwise")
    second = layers.Conv1D(layer.filters, 1, use_bias=layer.use_bias, name=name)
    first.build(layer.input.shape)
    first.set_weights([depthwise])
    second.build(first.compute_output_shape(layer.input.shape))
    second.set_weights([pointwise, *bias])
    in_depth, across = row_convolution(first, first.name), row_convolution(second, name)
    return lambda x, **kwargs: across(in_depth(x, **kwargs), **kwargs)


def attention(operation, name):
    """Two products of matrices with a softmax between, of what `keras.ops` computes in one step."""

    def call(query, key, value, bias=None, mask=None, scale=None, **options):
        if bias is not None or mask is not None or operation.is_causal or operation.attn_logits_soft_cap:
            return copied(operation, name)[0](query, key, value, bias, mask, scale, **options)
        scale = query.shape[-1] ** -0.5 if scale is None else scale
        likeness = ops.einsum("btnh,bsnh->bnts", query, key) * scale
        return ops.einsum("bnts,bsnh->btnh", layers.Softmax(name=name)(likeness), value)

    return call


def division(operation, name):
    """A multiplication, where the divisor is a number."""

    def call(x, y):
        return x * (1 / y) if isinstance(y, int | float) else copied(operation, name)[0](x, y)

    return call


def in_pairs(layer, name):
    """A sum of several tensors, or another layer like it, as those of two."""

    def call(inputs):
        made = inputs[0]
        for i, x in enumerate(inputs[1:], 2):
            made = type(layer)(name=name if i == len(inputs) else f"{name}_{i}")([made, x])
        return made

    return call


def average(layer, name):
    """A sum and a multiplication."""
    summed = in_pairs(layers.Add(), name)
    return lambda inputs: summed(inputs) * (1 / len(inputs))


def negative(operation, name):
    """A multiplication."""
    return lambda x: x * -1.0


def square(operation, name):
    """A multiplication."""
    return lambda x: layers.Multiply(name=name)([x, x])
