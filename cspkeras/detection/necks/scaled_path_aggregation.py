"""The path aggregation networks of scaled YOLOv4 (arXiv 2011.08036) and of YOLOv7-tiny, for any number of levels."""

from functools import partial

from keras import layers

from ...backbones.elan import elan
from ...blocks import conv_bn_act
from ...cross_stage import cross_stage, divide
from ...layers import Upsample
from .parts import check_neck, spatial_pyramid_pooling

__all__ = ["csp_panet", "elan_panet"]

FINEST = "P3"


def csp_panet(features, *, blocks=2, activation="mish"):
    """Build scaled YOLOv4's neck, as yolov4-csp.cfg, yolov4-p5.cfg and yolov4-p6.cfg have it: PANet of cross stages.

    Args:
        features: pyramid, {"P3": KerasTensor, "P4": ..., ...}; finer levels are not used.
        blocks: 3x3 convolutions of each cross stage.
        activation: one of `blocks.ACTIVATIONS`.

    Returns:
        {"P3": ..., "P4": ..., ...}, KerasTensors with half as many channels as the pyramid's.

    Raises:
        ValueError: if the pyramid lacks a level, and for a level with an odd number of channels.
    """
    conv = partial(conv_bn_act, activation=activation)

    def csp(x, width, convolutions, name):
        options = dict(channels=2 * width, transition=width, fusion="fusion_first", activation=activation)
        return cross_stage(x, convolutions, **options, name=name)

    def pool(x, width, name):
        def convolutions(x):
            x = conv(conv(x, width, 3, name=f"{name}_conv1"), width, name=f"{name}_conv2")
            x = conv(spatial_pyramid_pooling(x, name=name), width, name=f"{name}_conv3")
            return conv(x, width, 3, name=f"{name}_conv4")

        return csp(x, width, convolutions, name)

    def join(x, width, name):
        def convolutions(x):
            for i in range(1, blocks + 1):
                if i > 1:
                    x = conv(x, width, name=f"{name}_block{i}_conv1")
                x = conv(x, width, 3, name=f"{name}_block{i}_conv2")
            return x

        return csp(conv(x, width, name=f"{name}_narrow"), width, convolutions, name)

    return _path_aggregation("csp_panet", features, pool, join, activation)


def elan_panet(features, *, activation="leaky_relu"):
    """Build YOLOv7-tiny's neck, as yolov7-tiny.cfg has it: PANet of `elan` stages.

    Args:
        features: pyramid, {"P3": KerasTensor, "P4": ..., ...}; finer levels are not used.
        activation: one of `blocks.ACTIVATIONS`.

    Returns:
        {"P3": ..., "P4": ..., ...}, KerasTensors with half as many channels as the pyramid's.

    Raises:
        ValueError: if the pyramid lacks a level, and for a level whose channels are not a multiple of 4.
    """

    def pool(x, width, name):
        part1, part2 = divide(x, (width, width), activation=activation, name=name)
        x = conv_bn_act(spatial_pyramid_pooling(part2, name=name), width, activation=activation, name=f"{name}_conv")
        x = layers.Concatenate(name=f"{name}_fuse")([part1, x])
        return conv_bn_act(x, width, activation=activation, name=f"{name}_transition")

    def join(x, width, name):
        return elan(x, width // 2, width, activation=activation, name=name)

    return _path_aggregation("elan_panet", features, pool, join, activation)


def _path_aggregation(neck, features, pool, join, activation):
    """Go down the pyramid by upsampling and up again by strided convolutions, each level at half of its channels.

    `pool` is a function of the coarsest map, its width and a name, `join` one of two maps' concatenation; each returns
    `width` channels.
    """
    levels = [FINEST, *(level for level in features if level > FINEST)]
    check_neck(neck, features, levels)
    widths = {level: features[level].shape[-1] // 2 for level in levels}
    conv = partial(conv_bn_act, activation=activation)

    def joined(maps, level, name):
        return join(layers.Concatenate(name=f"{name}_concat")(maps), widths[level], name)

    x = pool(features[levels[-1]], widths[levels[-1]], f"neck_{levels[-1].lower()}_pool")
    down = {levels[-1]: x}
    for level in levels[-2::-1]:
        name, width = f"neck_{level.lower()}_down", widths[level]
        x = Upsample(name=f"{name}_up")(conv(x, width, name=f"{name}_above"))
        own = conv(features[level], width, name=f"{name}_own")
        down[level] = x = joined([own, x], level, name)
    maps = {FINEST: x}
    for level in levels[1:]:
        name = f"neck_{level.lower()}"
        x = conv(x, widths[level], 3, strides=2, name=f"{name}_strided")
        maps[level] = x = joined([x, down[level]], level, name)
    return maps
