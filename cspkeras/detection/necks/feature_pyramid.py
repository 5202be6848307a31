"""Feature Pyramid Networks (arXiv 1612.03144) as YOLO has them: coarse maps are passed down to the finer scales."""

from functools import partial

from keras import layers

from ...blocks import conv_bn_act
from ...layers import Upsample
from .parts import alternate, check_neck

__all__ = ["fpn", "fpn_tiny"]


def fpn(features, *, width=512, activation="leaky_relu"):
    """Build YOLOv3's neck (arXiv 1804.02767), as yolov3.cfg has it.

    Args:
        features: pyramid, {"P3": KerasTensor, "P4": ..., "P5": ...}.
        width: channels at stride 32, half as many at each finer scale; a map has twice the channels. A multiple of 16.
        activation: one of `blocks.ACTIVATIONS`.

    Returns:
        {"P3": ..., "P4": ..., "P5": ...}, KerasTensors.

    Raises:
        ValueError: if the pyramid lacks a level, and for another width.
    """
    check_neck("fpn", features, ("P3", "P4", "P5"), width, 16)
    conv, maps, x = partial(conv_bn_act, activation=activation), {}, features["P5"]
    for level, filters in (("P5", width), ("P4", width // 2), ("P3", width // 4)):
        name = f"neck_{level.lower()}"
        if maps:
            x = Upsample(name=f"{name}_up")(conv(x, filters, 1, name=f"{name}_narrow"))
            x = layers.Concatenate(name=f"{name}_concat")([x, features[level]])
        x = alternate(x, filters, range(1, 6), activation=activation, name=name)
        maps[level] = conv(x, 2 * filters, 3, name=f"{name}_conv6")
    return dict(sorted(maps.items()))


def fpn_tiny(features, *, width=256, activation="leaky_relu"):
    """Build YOLOv4-tiny's neck, as yolov4-tiny.cfg has it: two scales, one convolution per map.

    Args:
        features: pyramid, {"P4": KerasTensor, "P5": ...}.
        width: channels at stride 32; the coarse map has twice as many, the map that is passed down half as many. A
            multiple of 8.
        activation: one of `blocks.ACTIVATIONS`.

    Returns:
        {"P4": ..., "P5": ...}, KerasTensors.

    Raises:
        ValueError: if the pyramid lacks a level, and for another width.
    """
    check_neck("fpn_tiny", features, ("P4", "P5"), width, 8)
    conv = partial(conv_bn_act, activation=activation)
    x = conv(features["P5"], width, 1, name="neck_p5_conv1")
    p5 = conv(x, 2 * width, 3, name="neck_p5_conv2")
    x = Upsample(name="neck_p4_up")(conv(x, width // 2, 1, name="neck_p4_narrow"))
    x = layers.Concatenate(name="neck_p4_concat")([x, features["P4"]])
    return {"P4": conv(x, width, 3, name="neck_p4_conv"), "P5": p5}
