"""What each layer class costs, a row a class: for counting operations, memory traffic and held feature maps."""

from dataclasses import dataclass

from keras import layers

from ..detection.heads import RawHead
from ..layers import ChannelSlice, Maxout, Shortcut, Upsample


@dataclass(frozen=True)
class Kind:
    """What the layers of one class cost."""

    kernel: bool = False  # whether their kernel's weights and multiply-adds count
    compares: bool = False  # each element of their output costs as many comparisons as their window has elements
    traffic: bool = False  # what they read and write counts
    in_place: bool = False  # each element of their output replaces one of their input's, as on phones' runtimes
    padding: bool = False  # they are computed by the layer after them, so that their output is never held


FREE = Kind()
KERNEL = Kind(kernel=True, traffic=True)
POOLING = Kind(traffic=True)
IN_PLACE = Kind(in_place=True)

KINDS = {
    layers.Conv2D: KERNEL,
    layers.DepthwiseConv2D: KERNEL,
    layers.Dense: KERNEL,
    layers.MaxPooling2D: Kind(compares=True, traffic=True),
    layers.AveragePooling2D: POOLING,
    layers.GlobalAveragePooling2D: POOLING,
    layers.GlobalMaxPooling2D: POOLING,
    layers.BatchNormalization: IN_PLACE,
    layers.Activation: IN_PLACE,
    layers.LeakyReLU: IN_PLACE,
    layers.ReLU: IN_PLACE,
    layers.Softmax: IN_PLACE,
    layers.Dropout: IN_PLACE,
    layers.Flatten: IN_PLACE,
    layers.Reshape: IN_PLACE,
    layers.Rescaling: IN_PLACE,
    layers.ZeroPadding2D: Kind(in_place=True, padding=True),
    layers.InputLayer: FREE,
    layers.Add: FREE,
    layers.Multiply: FREE,
    layers.Concatenate: FREE,
    ChannelSlice: FREE,
    Maxout: FREE,
    RawHead: FREE,
    Shortcut: FREE,
    Upsample: FREE,
}
