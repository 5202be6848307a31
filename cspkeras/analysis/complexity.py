"""Parameters and BFLOPs of a functional Keras model, by the paper's own rules.

`#Param` counts convolution and dense weights alone; BFLOPs are 2 x multiply-adds of convolutions and dense layers, and
k x k x C x H x W of each max-pooling, in 1e9. Batch-norm, activation, addition, upsampling and average pooling count
nothing. With these rules the figures of the paper's tables are met to the last printed digit.
"""

import math
from dataclasses import dataclass

from keras import layers

from ..blocks import Maxout, Upsample
from ..detection.heads import RawHead

CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D)
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
    layers.AveragePooling2D,
    layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling2D,
    layers.Flatten,
    layers.Reshape,
    layers.Dropout,
    layers.Rescaling,
    Maxout,
    Upsample,
    RawHead,
)


@dataclass(frozen=True)
class Complexity:
    """What a model costs.

    Attributes:
        trainable: trainable parameters as Keras counts them.
        weights: convolution and dense weights alone, the paper's #Param.
        layers: {layer's name: its BFLOPs}, of the layers that cost any.
    """

    trainable: int
    weights: int
    layers: dict[str, float]

    @property
    def bflops(self):
        """BFLOPs of the whole model."""
        return sum(self.layers.values())

    @property
    def costliest(self):
        """(name, BFLOPs) of the costliest layer, the computational bottleneck."""
        return max(self.layers.items(), key=lambda item: item[1])


def complexity(model):
    """Count a functional Keras model with a fixed input size.

    Args:
        model: the model.

    Returns:
        `Complexity`, for one picture.

    Raises:
        ValueError: for a layer whose cost is not known, or a model without a fixed input size.
    """
    if any(None in x.shape[1:] for x in model.inputs):
        raise ValueError(f"counting needs a fixed input size. Received: {model.name} with {model.input_shape}")
    weights, bflops = 0, {}
    for operation in model.operations:
        kernels, flops = _count(operation)
        weights += kernels
        if flops:
            bflops[operation.name] = flops / 1e9
    trainable = sum(math.prod(v.shape) for v in model.trainable_weights)
    return Complexity(trainable, weights, bflops)


def _count(operation):
    """(weights, floating point operations) of one layer."""
    if isinstance(operation, CONVOLUTIONS):
        kernel = math.prod(operation.kernel.shape)
        _, height, width, _ = operation.output.shape
        return kernel, 2 * kernel * height * width
    if isinstance(operation, layers.Dense):
        kernel = math.prod(operation.kernel.shape)
        return kernel, 2 * kernel * math.prod(operation.output.shape[1:-1])
    if isinstance(operation, layers.MaxPooling2D):
        return 0, math.prod(operation.pool_size) * math.prod(operation.output.shape[1:])
    if isinstance(operation, FREE):
        return 0, 0
    raise ValueError(
        f"the cost of layer {operation.name!r} ({type(operation).__name__}) is not known; known are "
        + ", ".join(cls.__name__ for cls in (*CONVOLUTIONS, layers.Dense, layers.MaxPooling2D, *FREE))
    )
