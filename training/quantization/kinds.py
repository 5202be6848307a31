"""What quantization-aware training knows of each layer class and of each activation.

A new layer is a row of `KINDS`, with a function here where it is to be rewritten, and a row of the test of this module.
A layer class without a row is `PLAIN`: it must have no weights, and its output gets a range of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import keras
import numpy as np
from keras import layers

from ...detection.heads import RawHead
from ...graph import activation_name, copied, row_of, with_weights
from ...layers import BatchNormalization, ChannelSlice, GroupedConv2D, Maxout, Upsample

UNLIMITED = (-inf, inf)


@dataclass(frozen=True)
class Kind:
    """What becomes of the layers of one class.

    Attributes:
        training_only: they do nothing outside of training, and are left out.
        rewrite: function of a layer and its new name; it gives a function of the layer's inputs that computes the same
            with layers of other kinds. None: the layer is copied.
        twin: name of the tf-keras class that takes over their configuration and weights, of `tf_keras.layers` or of
            `translation`. None: they have no weights, and tf-keras calls them as they are.
        kernel: the attribute of the twin that holds the kernel, which is quantized.
        channel_axes: how many of the kernel's last axes number the output channels, each of which gets a scale of its
            own; 0: one scale for all.
        folds: they become part of the kernel before them.
        passes: they keep their input's numbers, and so its scale.
        joins: they hold all their inputs' numbers, and share one scale with them.
        leaky: XNNPACK has to find their input's scale in a certain ratio to their output's, see `quantizers`.
        instead: what to use in place of them, for the error of those that can't be quantized.
    """

    training_only: bool = False
    rewrite: Callable | None = None
    twin: str | None = None
    kernel: str | None = None
    channel_axes: int = 0
    folds: bool = False
    passes: bool = False
    joins: bool = False
    leaky: bool = False
    instead: str | None = None


@dataclass(frozen=True)
class Activation:
    """What becomes of an activation.

    Attributes:
        fused: a kernel applies it to its output in the same step, so that what lies between has no scale.
        unit: its output is in 0..1, for which int8 kernels have one fixed scale.
        limits: smallest and largest input; beyond, its output changes by less than a step of 8 bits.
        twin: the tf-keras class of `translation` that rounds as an int8 file does where that computes it in several
            steps. None: it is one step.
    """

    fused: bool = False
    unit: bool = False
    limits: tuple[float, float] = UNLIMITED
    twin: str | None = None


def _separable(layer, name):
    """A depthwise convolution, and a convolution of the old name."""
    config, (depthwise, pointwise, *bias) = layer.get_config(), layer.get_weights()
    shared = ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier")
    first = layers.DepthwiseConv2D(**{k: config[k] for k in shared}, use_bias=False, name=f"{name}_depthwise")
    second = layers.Conv2D(layer.filters, 1, use_bias=layer.use_bias, activation=layer.activation, name=name)
    in_depth, across = with_weights(first, [depthwise]), with_weights(second, [pointwise, *bias])
    return lambda x, **kwargs: across(in_depth(x, **kwargs), **kwargs)


def _normalization(layer, name):
    """A `Rescaling`."""
    mean, variance = (np.ravel(keras.ops.convert_to_numpy(x)) for x in (layer.mean, layer.variance))
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    scale, offset = (deviation, mean) if layer.invert else (1 / deviation, -mean / deviation)
    return layers.Rescaling(scale.tolist(), offset.tolist(), name=name)


def _upsampling(layer, name):
    """An `Upsample` where that can do it."""
    if layer.interpolation in ("nearest", "bilinear") and len(set(layer.size)) == 1:
        return Upsample(layer.size[0], layer.interpolation, name=name)
    return with_weights(*copied(layer, name))


KINDS = {
    # With weights. A transposed convolution's kernel doesn't end in its output channels.
    layers.Conv2D: Kind(twin="Conv2D", kernel="kernel", channel_axes=1),
    GroupedConv2D: Kind(twin="GroupedConv2D", kernel="kernel", channel_axes=1),
    layers.DepthwiseConv2D: Kind(twin="DepthwiseConv2D", kernel="depthwise_kernel", channel_axes=2),
    layers.Conv2DTranspose: Kind(twin="Conv2DTranspose", kernel="kernel"),
    layers.Dense: Kind(twin="Dense", kernel="kernel"),
    layers.BatchNormalization: Kind(twin="BatchNormalization", folds=True),
    BatchNormalization: Kind(twin="BatchNormalization", folds=True),
    # Rewritten.
    layers.SeparableConv2D: Kind(rewrite=_separable),
    layers.Normalization: Kind(rewrite=_normalization),
    layers.UpSampling2D: Kind(rewrite=_upsampling, passes=True),
    # Without numbers of their own.
    layers.MaxPooling2D: Kind(passes=True),
    layers.ZeroPadding2D: Kind(passes=True),
    layers.Cropping2D: Kind(passes=True),
    layers.Reshape: Kind(passes=True),
    layers.Flatten: Kind(passes=True),
    layers.Permute: Kind(passes=True),
    ChannelSlice: Kind(passes=True),
    Maxout: Kind(passes=True),
    Upsample: Kind(passes=True),
    RawHead: Kind(passes=True),
    # With scales that depend on others.
    layers.Concatenate: Kind(joins=True),
    layers.LeakyReLU: Kind(leaky=True),
    # Left out.
    layers.ActivityRegularization: Kind(training_only=True),
    layers.AlphaDropout: Kind(training_only=True),
    layers.Dropout: Kind(training_only=True),
    layers.GaussianDropout: Kind(training_only=True),
    layers.GaussianNoise: Kind(training_only=True),
    layers.RandomBrightness: Kind(training_only=True),
    layers.RandomContrast: Kind(training_only=True),
    layers.RandomFlip: Kind(training_only=True),
    layers.RandomRotation: Kind(training_only=True),
    layers.RandomTranslation: Kind(training_only=True),
    layers.RandomZoom: Kind(training_only=True),
    layers.SpatialDropout2D: Kind(training_only=True),
    # Refused.
    layers.PReLU: Kind(instead="LeakyReLU"),
    layers.GroupNormalization: Kind(instead="BatchNormalization"),
    layers.LayerNormalization: Kind(instead="BatchNormalization"),
    layers.Conv1D: Kind(instead="Conv2D with a kernel of one row"),
}
PLAIN = Kind()

ACTIVATIONS = {
    "relu": Activation(fused=True),
    "relu6": Activation(fused=True),
    "sigmoid": Activation(unit=True, limits=(-8.0, 8.0)),
    "softmax": Activation(unit=True),
    "silu": Activation(limits=(-8.0, inf), twin="Swish"),
    "mish": Activation(limits=(-8.0, inf)),
    "hard_silu": Activation(limits=(-3.0, inf)),
}
OTHER = Activation()


def kind_of(operation):
    """Return the `Kind` of an operation's class; a class without a row has that of the class that it inherits from."""
    kind = row_of(operation, KINDS, PLAIN)
    # What inherits from a layer with weights may compute something else with them than the layer's twin.
    return PLAIN if kind.twin and type(operation) not in KINDS else kind


def activation_of(operation):
    """Return the `Activation` that an operation is or ends in."""
    return ACTIVATIONS.get(activation_name(operation), OTHER)
