"""YOLOX's CSPDarknet (arXiv 2107.08430; Megvii's YOLOX, Apache-2.0) and the parts that its neck shares.

A CSP layer there leaves out the transition T: the paper's fusion_first.
"""

from functools import partial

from keras import layers

from ..blocks import activate, conv_bn_act, norm
from ..cross_stage import cross_stage
from .assembly import assemble

POOL = 5  # pixels


def conv3x3(x, filters, *, strides=1, depthwise=False, activation="swish", name):
    """Apply a 3x3 `conv_bn_act`; if `depthwise`, a depthwise one and a 1x1, each with norm and activation."""
    if not depthwise:
        return conv_bn_act(x, filters, 3, strides=strides, activation=activation, name=name)
    groups = x.shape[-1]
    x = conv_bn_act(x, groups, 3, strides=strides, groups=groups, activation=activation, name=f"{name}_depthwise")
    return conv_bn_act(x, filters, 1, activation=activation, name=name)


def csp_layer(x, filters, blocks, *, shortcut=False, depthwise=False, activation="swish", name):
    """Apply `blocks` bottlenecks, a 1x1 and a `conv3x3` each, to one half of the channels; return `filters` channels.

    With `shortcut` a bottleneck's input is added to its output.
    """

    def bottlenecks(x):
        for i in range(1, blocks + 1):
            y = conv_bn_act(x, x.shape[-1], 1, activation=activation, name=f"{name}_block{i}_conv1")
            y = conv3x3(y, x.shape[-1], depthwise=depthwise, activation=activation, name=f"{name}_block{i}_conv2")
            x = layers.Add(name=f"{name}_block{i}_add")([y, x]) if shortcut else y
        return x

    return cross_stage(
        x, bottlenecks, channels=filters, transition=filters, fusion="fusion_first", activation=activation, name=name
    )


def pooling_pyramid(x, *, activation="swish", name):
    """Concatenate a map and its maxima over 5x5, 9x9 and 13x13 pixels, between two 1x1 convolutions (SPP)."""
    filters = x.shape[-1]
    x = conv_bn_act(x, filters // 2, activation=activation, name=f"{name}_conv1")
    maps = [x]
    for i in range(1, 4):  # 9x9 is 5x5 twice, 13x13 three times, in fewer comparisons
        maps.append(layers.MaxPooling2D(POOL, 1, padding="same", name=f"{name}_pool{i}")(maps[-1]))
    x = layers.Concatenate(name=f"{name}_concat")(maps)
    return conv_bn_act(x, filters, activation=activation, name=f"{name}_conv2")


def focus(x, filters, *, activation="swish", name):
    """Apply YOLOX's Focus, space-to-depth and a 3x3 convolution, in one of 6x6 pixels; height and width are even."""
    # With an even input "same" pads by 2 on each side.
    x = layers.Conv2D(filters, 6, strides=2, padding="same", use_bias=False, name=name)(x)
    return activate(norm(x, f"{name}_bn"), activation, f"{name}_act")


def build(width, depth, *, depthwise=False, activation="swish", name="yoloxdarknet", **options):
    """Build the backbone, without a top unless the options, those of `assemble`, say so.

    `width` is the number of the stem's channels; the four stages have 2, 4, 8 and 16 times as many. `depth` is the
    number of bottlenecks in the first and the last stage; the two between have three times as many. With `depthwise`
    all 3x3 convolutions but the stem's are depthwise separable.
    """
    conv, csp = (partial(f, depthwise=depthwise, activation=activation) for f in (conv3x3, csp_layer))

    def features(x):
        x = focus(x, width, activation=activation, name="stem_conv")
        for index, blocks in enumerate((depth, 3 * depth, 3 * depth, depth), 1):
            stage, filters, last = f"stage{index}", width * 2**index, index == 4
            x = conv(x, filters, strides=2, name=f"{stage}_downsample")
            if last:
                x = pooling_pyramid(x, activation=activation, name=f"{stage}_spp")
            x = csp(x, filters, blocks, shortcut=not last, name=stage)
        return x

    return assemble(features, **{"include_top": False, **options}, name=name)
