"""The backbone of YOLOv4-tiny, as its cfg has it."""

from dataclasses import dataclass

from keras import layers

from ..blocks import conv_bn_act
from ..layers import ChannelSlice
from ..published import Published
from .assembly import Spec, assemble, documented

__all__ = ["CSPDarknet53Tiny"]


@dataclass(frozen=True)
class DarknetTinySpec(Spec):
    """One row a variant."""

    widths: tuple[int, ...] = (64, 128, 256)  # channels of each stage
    last: int = 512  # channels of the convolution that is the last stage
    stem: int = 32  # channels


VARIANTS = {
    "CSPDarknet53Tiny": DarknetTinySpec(
        published=Published("github.com/AlexeyAB/darknet, yolov4-tiny.cfg", 416, trainable=4_142_728),
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


@documented(VARIANTS)
def CSPDarknet53Tiny(
    include_top=True,
    weights=None,
    input_tensor=None,
    input_shape=(416, 416, 3),
    pooling=None,
    classes=1000,
    classifier_activation="softmax",
    activation="leaky_relu",
    skip_mismatch=False,
    name="cspdarknet53tiny",
):
    """The small CSPDarknet-53 of YOLOv4-tiny, whose last stage is one convolution; published within it alone."""
    return build(VARIANTS["CSPDarknet53Tiny"], **locals())
