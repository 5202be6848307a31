"""Parameters, BFLOPs and memory traffic of a functional Keras model, by the paper's own rules.

    #Param    convolution and dense weights alone
    BFLOPs    2 x multiply-adds of convolutions and dense layers, and k x k x C x H x W of each max-pooling, in 1e9;
              batch-norm, activation, addition, upsampling and average pooling count nothing
    CIO       convolutional input and output: the elements that convolutions, dense layers, poolings and the softmax
              read and write

These rules give the figures of the paper's tables to the last printed digit.
"""

import math
from collections import Counter
from dataclasses import dataclass

import keras

from ..graph import activation_name, call_of, calls, row_of
from .kinds import FREE, KINDS


@dataclass(frozen=True)
class LayerCost:
    """The cost of one layer, for one image.

    A layer that is called on several maps has one for each call, and its weights at the first.

    Attributes:
        name: the layer's name, with the call's number from the second on.
        kind: its class's name and its kernel's size, such as "Conv2D 3x3".
        shape: its output's shape, without the batch.
        weights: number of weights of a convolution or dense layer, without bias.
        bflops: floating point operations in 1e9.
        cio: elements read and written, the paper's memory traffic.

    Example:
        >>> from cspkeras.analysis import LayerCost
        >>> LayerCost("stem", "Conv2D 3x3", (16, 16, 32), 864, 0.000442, 11264).activations
        8192
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    weights: int
    bflops: float
    cio: int

    @property
    def activations(self) -> int:
        """Number of elements of its output."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Complexity:
    """The cost of a model, for one image.

    Attributes:
        trainable: number of trainable parameters as Keras counts them.
        each: a `LayerCost` for every layer whose traffic or weights count, in the order of the graph.

    Example:
        See `complexity`.
    """

    trainable: int
    each: tuple[LayerCost, ...]

    @property
    def layers(self) -> dict[str, float]:
        """{layer's name: its BFLOPs}, of the layers that cost any."""
        return {layer.name: layer.bflops for layer in self.each if layer.bflops}

    @property
    def weights(self) -> int:
        """Number of convolution and dense weights alone, the paper's #Param."""
        return sum(layer.weights for layer in self.each)

    @property
    def cio(self) -> int:
        """Elements read and written, the paper's memory traffic."""
        return sum(layer.cio for layer in self.each)

    @property
    def bflops(self) -> float:
        """BFLOPs of the whole model."""
        return sum(layer.bflops for layer in self.each)

    @property
    def costliest(self) -> tuple[str, float]:
        """(name, BFLOPs) of the costliest layer, the computational bottleneck."""
        return max(self.layers.items(), key=lambda item: item[1])


def complexity(model: keras.Model) -> Complexity:
    """Count the parameters, operations and memory traffic of a model.

    Args:
        model: a functional Keras model with a fixed input size.

    Returns:
        A `Complexity`, for one image.

    Raises:
        ValueError: for a layer whose cost is not known, and for a model without a fixed input size.

    Example:
        >>> import cspkeras
        >>> from cspkeras.analysis import complexity
        >>> cost = complexity(cspkeras.YOLOv4Tiny())
        >>> f"{cost.weights:,} weights, {cost.bflops:.3f} BFLOPs"
        '6,049,888 weights, 6.910 BFLOPs'
        >>> cost.costliest[0]
        'neck_p4_conv'
    """
    if any(None in x.shape[1:] for x in model.inputs):
        raise ValueError(f"counting needs a fixed input size. Received: {model.name} with {model.input_shape}")
    each, times = [], Counter()
    for call in calls(model):
        operation = call.operation
        times[operation] += 1
        if (kind := row_of(operation, KINDS)) is None:
            raise ValueError(
                f"the cost of layer {operation.name!r} ({type(operation).__name__}) is not known; known are "
                + ", ".join(cls.__name__ for cls in KINDS)
            )
        shape, cio = tuple(call.output_tensors[0].shape[1:]), _traffic(call, kind)
        weights, flops = _count(operation, kind, shape)
        if weights or cio:
            again = times[operation] > 1
            name, own = (f"{operation.name}_{times[operation]}", 0) if again else (operation.name, weights)
            each.append(LayerCost(name, _description(operation), shape, own, flops / 1e9, cio))
    return Complexity(sum(math.prod(v.shape) for v in model.trainable_weights), tuple(each))


def _description(operation):
    """The name of an operation's class and the size of its kernel."""
    kernel = getattr(operation, "kernel_size", None) or getattr(operation, "pool_size", ())
    return " ".join([type(operation).__name__, "x".join(map(str, kernel))]).strip()


def _count(operation, kind, shape):
    """(weights, floating point operations) of one call of a layer, whose output has a shape."""
    if kind.kernel:
        kernel = math.prod(operation.kernel.shape)
        return kernel, 2 * kernel * math.prod(shape[:-1])
    if kind.compares:
        return 0, math.prod(operation.pool_size) * math.prod(shape)
    return 0, 0


def _traffic(call, kind):
    """The elements that one call reads and writes; a padding before a convolution is the convolution's own."""
    made = math.prod(call.output_tensors[0].shape[1:])
    softmax = 2 * made if activation_name(call.operation) == "softmax" else 0
    if not kind.traffic:
        return softmax
    (given,) = call.input_tensors
    before = call_of(given)
    if row_of(before.operation, KINDS, FREE).padding:
        (given,) = before.input_tensors
    return math.prod(given.shape[1:]) + made + softmax
