"""The Path Aggregation Network (arXiv 1803.01534) with spatial pyramid pooling, YOLOv4's neck."""

from functools import partial

from keras import layers

from ...blocks import conv_bn_act
from ...layers import Upsample
from .parts import alternate, check_neck, spatial_pyramid_pooling

__all__ = ["panet_spp"]


def panet_spp(features, *, width=512, activation="leaky_relu"):
    """Build PANet-SPP, as csresnext50-panet-spp.cfg and yolov4.cfg have it: down to the finest scale and up again.

    Args:
        features: pyramid, {"P3": KerasTensor, "P4": ..., "P5": ...}.
        width: channels at stride 32, half as many at each finer scale; a map has twice the channels. A multiple of 16.
        activation: one of `blocks.ACTIVATIONS`.

    Returns:
        {"P3": ..., "P4": ..., "P5": ...}, KerasTensors.

    Raises:
        ValueError: if the pyramid lacks a level, and for another width.
    """
    check_neck("panet_spp", features, ("P3", "P4", "P5"), width, 16)
    conv, run = partial(conv_bn_act, activation=activation), partial(alternate, activation=activation)
    half, quarter = width // 2, width // 4

    def down(x, level, filters):
        name = f"neck_{level.lower()}"
        x = Upsample(name=f"{name}_up")(conv(x, filters, 1, name=f"{name}_narrow"))
        own = conv(features[level], filters, 1, name=f"{name}_own")
        x = layers.Concatenate(name=f"{name}_concat")([own, x])
        return run(x, filters, range(1, 6), name=name)

    def up(x, own, filters, name):
        x = conv(x, filters, 3, strides=2, name=f"{name}_strided")
        x = layers.Concatenate(name=f"{name}_concat")([x, own])
        return run(x, filters, range(1, 6), name=name)

    x = run(features["P5"], width, range(1, 4), name="neck_p5")
    p5 = run(spatial_pyramid_pooling(x, name="neck_p5"), width, range(5, 8), name="neck_p5")
    p4 = down(p5, "P4", half)
    p3 = down(p4, "P3", quarter)
    maps = {"P3": conv(p3, half, 3, name="neck_p3_conv6")}
    p4 = up(p3, p4, half, "neck_p4_again")
    maps["P4"] = conv(p4, width, 3, name="neck_p4_again_conv6")
    p5 = up(p4, p5, width, "neck_p5_again")
    maps["P5"] = conv(p5, 2 * width, 3, name="neck_p5_again_conv6")
    return maps
