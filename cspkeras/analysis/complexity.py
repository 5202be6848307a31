"""Parameters, BFLOPs and memory traffic of a functional Keras model, by the paper's own rules.

    #Param    convolution and dense weights alone
    BFLOPs    2 x multiply-adds of convolutions and dense layers, and k x k x C x H x W of each max-pooling, in 1e9;
              batch-norm, activation, addition, upsampling and average pooling count nothing
    CIO       convolutional input and output: the elements that convolutions, dense layers, poolings and the softmax
              read and write

With these rules the figures of the paper's tables are met to the last printed digit.
"""

import math
from dataclasses import dataclass

import keras
from keras import layers

from ..detection.heads import RawHead
from ..layers import ChannelSlice, Maxout, Shortcut, Upsample

CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D)
POOLINGS = (
    layers.MaxPooling2D,
    layers.AveragePooling2D,
    layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling2D,
)
FREE = (
    layers.InputLayer,
    layers.BatchNormalization,
    layers.Activation,
    layers.LeakyReLU,
    layers.ReLU,
    layers.Softmax,
    layers.Add,
    layers.Multiply,
    layers.Concatenate,
    layers.ZeroPadding2D,
    layers.Flatten,
    layers.Reshape,
    layers.Dropout,
    layers.Rescaling,
    ChannelSlice,
    Maxout,
    RawHead,
    Shortcut,
    Upsample,
)
KNOWN = (*CONVOLUTIONS, layers.Dense, *POOLINGS, *FREE)


@dataclass(frozen=True)
class LayerCost:
    """What one layer costs, for one image.

    Attributes:
        name: the layer's.
        kind: its class's name and its kernel, such as "Conv2D 3x3".
        shape: of its output, without the batch.
        weights: of a convolution or dense layer, without bias.
        bflops: floating point operations in 1e9.
        cio: elements read and written, the paper's memory traffic.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    weights: int
    bflops: float
    cio: int

    @property
    def activations(self):
        """Elements of its output."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Complexity:
    """What a model costs.

    Attributes:
        trainable: trainable parameters as Keras counts them.
        each: a `LayerCost` for every layer that reads and writes or has weights, in the order of the graph.
    """

    trainable: int
    each: tuple[LayerCost, ...]

    @property
    def layers(self):
        """{layer's name: its BFLOPs}, of the layers that cost any."""
        return {layer.name: layer.bflops for layer in self.each if layer.bflops}

    @property
    def weights(self):
        """Convolution and dense weights alone, the paper's #Param."""
        return sum(layer.weights for layer in self.each)

    @property
    def cio(self):
        """Elements read and written, the paper's memory traffic."""
        return sum(layer.cio for layer in self.each)

    @property
    def bflops(self):
        """BFLOPs of the whole model."""
        return sum(layer.bflops for layer in self.each)

    @property
    def costliest(self):
        """(name, BFLOPs) of the costliest layer, the computational bottleneck."""
        return max(self.layers.items(), key=lambda item: item[1])


def complexity(model):
    """Count a functional Keras model with a fixed input size.

    Args:
        model: the model.

    Returns:
        `Complexity`, for one image.

    Raises:
        ValueError: for a layer whose cost is not known, or a model without a fixed input size.
    """
    if any(None in x.shape[1:] for x in model.inputs):
        raise ValueError(f"counting needs a fixed input size. Received: {model.name} with {model.input_shape}")
    each = []
    for operation in model.operations:
        if not isinstance(operation, KNOWN):
            raise ValueError(
                f"the cost of layer {operation.name!r} ({type(operation).__name__}) is not known; known are "
                + ", ".join(cls.__name__ for cls in KNOWN)
            )
        (weights, flops), cio = _count(operation), _traffic(operation)
        if weights or cio:
            shape = tuple(operation.output.shape[1:])
            each.append(LayerCost(operation.name, _kind(operation), shape, weights, flops / 1e9, cio))
    return Complexity(sum(math.prod(v.shape) for v in model.trainable_weights), tuple(each))


def _kind(operation):
    kernel = getattr(operation, "kernel_size", None) or getattr(operation, "pool_size", ())
    return " ".join([type(operation).__name__, "x".join(map(str, kernel))]).strip()


def _count(operation):
    """(weights, floating point operations) of one layer."""
    if isinstance(operation, (*CONVOLUTIONS, layers.Dense)):
        kernel = math.prod(operation.kernel.shape)
        return kernel, 2 * kernel * math.prod(operation.output.shape[1:-1])
    if isinstance(operation, layers.MaxPooling2D):
        return 0, math.prod(operation.pool_size) * math.prod(operation.output.shape[1:])
    return 0, 0


def _traffic(operation):
    """The elements that one layer reads and writes; a padding before a convolution is the convolution's own."""
    softmax = 0
    if getattr(operation, "activation", None) is keras.activations.softmax or isinstance(operation, layers.Softmax):
        softmax = 2 * math.prod(operation.output.shape[1:])
    if not isinstance(operation, (*CONVOLUTIONS, layers.Dense, *POOLINGS)):
        return softmax
    source = operation.input._keras_history.operation
    given = source.input if isinstance(source, layers.ZeroPadding2D) else operation.input
    return sum(math.prod(x.shape[1:]) for x in (given, operation.output)) + softmax
