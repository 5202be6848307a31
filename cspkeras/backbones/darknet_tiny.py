"""The backbones of YOLOv4-tiny and YOLOv7-tiny, as their cfgs have them."""

import os
from dataclasses import dataclass

import keras
from keras import layers

from ..blocks import conv_bn_act
from ..cross_stage import elan
from ..layers import ChannelSlice
from ..published import Published
from .assembly import Spec, assemble, documented

__all__ = ["CSPDarknet53Tiny"]


@dataclass(frozen=True)
class DarknetTinySpec(Spec):
    """The row of a variant."""

    widths: tuple[int, ...] = (64, 128, 256)  # channels of each stage
    last: int = 512  # channels of the convolution that is the last stage
    stem: int = 32  # channels


VARIANTS = {
    "CSPDarknet53Tiny": DarknetTinySpec(
        published=Published(
            "github.com/AlexeyAB/darknet, yolov4-tiny.cfg",
            416,
            trainable=4_142_728,
            counted=5.129,
            pyramid=(64, 128, 256, 512),
        ),
    ),
}


def build(spec, *, activation="leaky_relu", name="darknet_tiny", **options):
    """Build any network of the family from its `DarknetTinySpec`; see `CSPDarknet53Tiny` for the arguments."""

    def conv(x, filters, kernel, name, strides=1):
        return conv_bn_act(x, filters, kernel, strides=strides, activation=activation, name=name)

    def features(x):
        x = conv(x, spec.stem, 3, "stem_conv1", strides=2)
        x = conv(x, spec.widths[0], 3, "stem_conv2", strides=2)
        crossing = None
        for index, width in enumerate([*spec.widths, spec.last], 1):
            stage = f"stage{index}"
            if crossing is not None:
                x = layers.Concatenate(name=f"{stage}_fuse")([crossing, x])
                x = layers.MaxPooling2D(2, name=f"{stage}_downsample")(x)
            x = crossing = conv(x, width, 3, f"{stage}_conv1")
            if index <= len(spec.widths):
                # Half of the channels takes part; all of them cross the stage and join the next one's input.
                x = ChannelSlice(width // 2, width, name=f"{stage}_part2")(x)
                x = near = conv(x, width // 2, 3, f"{stage}_conv2")
                x = conv(x, width // 2, 3, f"{stage}_conv3")
                x = layers.Concatenate(name=f"{stage}_concat")([x, near])
                x = conv(x, width, 1, f"{stage}_transition")
        return x

    return assemble(features, **options, name=name)


def build_elan(width=32, *, activation="leaky_relu", name="elan", **options):
    """Build YOLOv7-tiny's backbone (arXiv 2207.02696), without a top unless the options, those of `assemble`, say so.

    `width` is the number of the stem's channels; the four stages have 2, 4, 8 and 16 times as many.
    """

    def features(x):
        for i in (1, 2):
            x = conv_bn_act(x, i * width, 3, strides=2, activation=activation, name=f"stem_conv{i}")
        for index in range(1, 5):
            stage, filters = f"stage{index}", width * 2**index
            if index > 1:
                x = layers.MaxPooling2D(2, name=f"{stage}_downsample")(x)
            x = elan(x, filters // 2, filters, activation=activation, name=stage)
        return x

    return assemble(features, **{"include_top": False, **options}, name=name)


@documented(VARIANTS)
def CSPDarknet53Tiny(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (416, 416, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "leaky_relu",
    skip_mismatch: bool = False,
    name: str = "cspdarknet53tiny",
) -> keras.Model:
    """Build the small CSPDarknet-53 of YOLOv4-tiny, published only as part of it; the last stage is one convolution."""
    return build(VARIANTS["CSPDarknet53Tiny"], **locals())
