"""The backbone of YOLOv7-tiny (arXiv 2207.02696), as its cfg has it, and its stage, which the neck shares."""

from functools import partial

from keras import layers

from ..blocks import conv_bn_act
from ..cross_stage import divide
from .assembly import assemble

BLOCKS = 2  # 3x3 convolutions of a stage


def elan(x, width, filters, *, activation="leaky_relu", name):
    """Apply ELAN (arXiv 2211.04800): a cross stage that fuses the output of each of its convolutions, not the last's.

    Both parts and the convolutions have `width` channels, the transition after the fusion has `filters`.
    """
    maps = divide(x, (width, width), activation=activation, name=name)
    for i in range(1, BLOCKS + 1):
        maps.append(conv_bn_act(maps[-1], width, 3, activation=activation, name=f"{name}_conv{i}"))
    x = layers.Concatenate(name=f"{name}_fuse")(maps)
    return conv_bn_act(x, filters, activation=activation, name=f"{name}_transition")


def build(width=32, *, activation="leaky_relu", name="elan", **options):
    """Build the backbone, without a top unless the options, those of `assemble`, say so.

    `width` is the number of the stem's channels; the four stages have 2, 4, 8 and 16 times as many.
    """
    conv = partial(conv_bn_act, kernel=3, strides=2, activation=activation)

    def features(x):
        x = conv(conv(x, width, name="stem_conv1"), 2 * width, name="stem_conv2")
        for index in range(1, 5):
            stage, filters = f"stage{index}", width * 2**index
            if index > 1:
                x = layers.MaxPooling2D(2, name=f"{stage}_downsample")(x)
            x = elan(x, filters // 2, filters, activation=activation, name=stage)
        return x

    return assemble(features, **{"include_top": False, **options}, name=name)
