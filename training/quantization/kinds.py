"""What quantization knows of each layer class, and of each operation of `keras.ops`.

A new layer is a row of `KINDS`, with a function in `rewrites` where it is to be rewritten, and a row of the test of
this module. A class without a row is `PLAIN`: it is computed as it is, and its output gets a range of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from ...detection.heads import RawHead
from ...graph import class_in
from ...layers import BatchNormalization, ChannelSlice, GroupedConv2D, Maxout, Upsample
from . import rewrites


@dataclass(frozen=True)
class Kind:
    """What becomes of the layers of one class.

    Attributes:
        training_only: they do nothing outside of training, and are left out.
        rewrite: function of a layer and its new name; it gives a function of the layer's inputs that computes the same
            with layers of other kinds. None: the layer is copied.
        kernel: the name of the kernel, which is quantized.
        channel_axes: the kernel's axes that number the output channels, each of which gets a scale of its own.
        folds: they multiply and add constants: part of the kernel before them, or a depthwise convolution.
        passes: they keep their input's numbers, and so its scale.
        joins: they hold all their inputs' numbers, and share one scale with them.
        leaky: XNNPACK has to find their input's scale in a certain ratio to their output's, see `quantizers`.
        sums: int8 kernels apply a fused activation to their output in the same step, as those with a kernel do.
    """

    training_only: bool = False
    rewrite: Callable | None = None
    kernel: str | None = None
    channel_axes: tuple[int, ...] = ()
    folds: bool = False
    passes: bool = False
    joins: bool = False
    leaky: bool = False
    sums: bool = False


def _training_only():
    """Keras' layers of random, noise and augmentation; not all of them are in each release."""
    names = [name for name in dir(layers) if name.startswith(("Random", "Gaussian", "SpatialDropout"))]
    names += ["ActivityRegularization", "AlphaDropout", "Dropout"]
    names += ["AugMix", "CutMix", "Equalization", "MaxNumBoundingBoxes", "MixUp", "RandAugment", "Solarization"]
    found = (getattr(layers, name, None) for name in names)
    return {cls: Kind(training_only=True) for cls in found if isinstance(cls, type)}


KINDS = {
    # With a kernel.
    layers.Conv2D: Kind(kernel="kernel", channel_axes=(-1,)),
    GroupedConv2D: Kind(kernel="kernel", channel_axes=(-1,)),
    layers.DepthwiseConv2D: Kind(kernel="kernel", channel_axes=(-2, -1)),
    layers.Conv2DTranspose: Kind(kernel="kernel", channel_axes=(-2,)),
    layers.Dense: Kind(kernel="kernel", channel_axes=(-1,)),
    # Multiply and add by channel.
    layers.BatchNormalization: Kind(folds=True),
    BatchNormalization: Kind(folds=True),
    layers.Rescaling: Kind(folds=True),
    # Rewritten.
    layers.SeparableConv2D: Kind(rewrite=rewrites.separable),
    layers.Conv1D: Kind(rewrite=rewrites.row_convolution),
    layers.DepthwiseConv1D: Kind(rewrite=rewrites.row_convolution),
    layers.SeparableConv1D: Kind(rewrite=rewrites.separable_row),
    layers.Normalization: Kind(rewrite=rewrites.normalization),
    layers.UpSampling2D: Kind(rewrite=rewrites.upsampling, passes=True),
    layers.SpectralNormalization: Kind(rewrite=rewrites.inner_layer),
    layers.Average: Kind(rewrite=rewrites.average),
    # Without numbers of their own.
    layers.Identity: Kind(passes=True),
    layers.MaxPooling1D: Kind(passes=True),
    layers.MaxPooling2D: Kind(passes=True),
    layers.GlobalMaxPooling2D: Kind(passes=True),
    layers.AveragePooling1D: Kind(passes=True),  # int8 kernels have no other scale for it
    layers.AveragePooling2D: Kind(passes=True),
    layers.ZeroPadding1D: Kind(passes=True),
    layers.ZeroPadding2D: Kind(passes=True),
    layers.Cropping1D: Kind(passes=True),
    layers.Cropping2D: Kind(passes=True),
    layers.Reshape: Kind(passes=True),
    layers.Flatten: Kind(passes=True),
    layers.Permute: Kind(passes=True),
    layers.RepeatVector: Kind(passes=True),
    ChannelSlice: Kind(passes=True),
    Maxout: Kind(passes=True),
    Upsample: Kind(passes=True),
    RawHead: Kind(passes=True),
    # With scales that depend on others.
    layers.Concatenate: Kind(joins=True),
    layers.LeakyReLU: Kind(leaky=True),
    # An activation is computed in the same step.
    layers.Add: Kind(sums=True),
    layers.Multiply: Kind(sums=True),
    **_training_only(),
}
PLAIN = Kind()
PAIRED, IN_PAIRS = (layers.Add, layers.Multiply, layers.Maximum, layers.Minimum), Kind(rewrite=rewrites.in_pairs)
# The operations of keras.ops, by the names of their classes.
OPERATIONS = {
    **dict.fromkeys(("BroadcastTo", "ExpandDims", "Flip", "GetItem", "Moveaxis", "Repeat"), Kind(passes=True)),
    **dict.fromkeys(("Pad", "Reshape", "Split", "Squeeze", "StopGradient", "Swapaxes", "Tile"), Kind(passes=True)),
    "Transpose": Kind(passes=True),
    **dict.fromkeys(("Concatenate", "Stack"), Kind(joins=True)),
    **dict.fromkeys(("Add", "Multiply"), Kind(sums=True)),
    **dict.fromkeys(("Divide", "TrueDivide"), Kind(rewrite=rewrites.division)),
    "DotProductAttention": Kind(rewrite=rewrites.attention),
    "Negative": Kind(rewrite=rewrites.negative),
    "Square": Kind(rewrite=rewrites.square),
}


def kind_of(operation):
    """Return the `Kind` of an operation's class; a class without a row has that of the class whose code it runs."""
    if not isinstance(operation, keras.Layer):
        kind = OPERATIONS.get(type(operation).__name__, PLAIN)
        return PLAIN if kind.passes and _pads_with_numbers(operation) else kind
    if type(operation) in PAIRED and len(operation.input) > 2:
        return IN_PAIRS
    known = class_in(operation, KINDS)
    kind = KINDS[known] if known and _runs_code_of(type(operation), known) else PLAIN
    # What inherits from a layer with weights may compute something else with them.
    if (kind.kernel or kind.folds) and type(operation) is not known:
        return PLAIN
    return PLAIN if "channels_first" in (getattr(operation, "data_format", None),) and kind.kernel else kind


def _pads_with_numbers(operation):
    """Whether an operation puts numbers around its input that may be out of the input's range."""
    return operation._inbound_nodes[0].arguments.kwargs.get("constant_values") not in (None, 0)


def by_channel(operation):
    """Whether an operation that `folds` multiplies and adds one number for each of its last axis."""
    if isinstance(operation, layers.Rescaling):
        return max(np.ndim(operation.scale), np.ndim(operation.offset)) < 2
    return operation.axis in (-1, len(operation.input.shape) - 1)


def _runs_code_of(cls, known):
    """Whether a class has no methods of its own that change what the one that it inherits from computes."""
    own = {name for one in cls.__mro__[: cls.__mro__.index(known)] for name, x in vars(one).items() if callable(x)}
    return own <= {"__init__", "build", "compute_output_shape", "compute_output_spec", "get_config"}
