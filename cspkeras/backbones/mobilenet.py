"""MobileNetV2 (arXiv 1801.04381) and CSPMobileNetV2, as the published cfgs have them.

The cfg's MobileNetV2 halves the resolution one stage later than the original: its 64 channels come at stride 8. In
CSPMobileNetV2 the two parts of a stage are depthwise convolutions of the same expanded map, and the transition M of one
stage is the expansion of the next one's first block. T is the linear projection that every block ends in.
"""

import math
import os
from dataclasses import dataclass
from functools import partial

import keras
from keras import layers

from ..blocks import conv_bn_act
from ..cross_stage import check_cross_stage
from ..published import REPOSITORY, Published
from .assembly import Spec, assemble, documented

__all__ = ["CSPMobileNetV2", "MobileNetV2"]


@dataclass(frozen=True)
class MobileNetV2Spec(Spec):
    """The row of a variant."""

    channels: tuple[tuple[int, ...], ...]  # of each stage's blocks
    expansion: int  # of a block's input by its 1x1 convolution
    depth_multiplier: int  # filters per channel of its depthwise convolution
    cross_stage: bool
    top: int  # channels of the last 1x1 convolution, which is M in the CSP network
    stem: int = 32  # channels


CHANNELS = ((16,), (24,) * 2, (32,) * 3 + (64,) * 4, (96,) * 3, (160,) * 3 + (320,))

published = partial(Published, REPOSITORY, 224)
VARIANTS = {
    "MobileNetV2": MobileNetV2Spec(
        CHANNELS,
        expansion=6,
        depth_multiplier=1,
        cross_stage=False,
        top=1280,
        published=published(
            3.47,
            3_505_960,
            bflops=0.858,
            top1=67.0,
            top5=87.7,
            cfg="mobilenet-v2",
            pyramid=(16, 24, 64, 96, 1280),
        ),
    ),
    "CSPMobileNetV2": MobileNetV2Spec(
        CHANNELS,
        expansion=3,
        depth_multiplier=2,
        cross_stage=True,
        top=640,
        published=published(
            2.51,
            2_541_424,
            bflops=0.764,
            top1=67.7,
            top5=88.3,
            cfg="csmobilenet-v2",
            pyramid=(48, 72, 192, 288, 640),
        ),
    ),
}


def inverted_residual(x, filters, *, expansion, depth_multiplier=1, strides=1, activation, name):
    """Apply a 1x1 expansion to `expansion` times the channels (None: none), a 3x3 depthwise and a linear projection."""
    y = x
    if expansion is not None:
        y = conv_bn_act(y, expansion * x.shape[-1], 1, activation=activation, name=f"{name}_expand")
    inner = y.shape[-1]
    depthwise = dict(strides=strides, groups=inner, activation=activation)
    y = conv_bn_act(y, depth_multiplier * inner, 3, **depthwise, name=f"{name}_depthwise")
    y = conv_bn_act(y, filters, 1, activation=None, name=f"{name}_project")
    return layers.Add(name=f"{name}_add")([y, x]) if strides == 1 and x.shape[-1] == filters else y


def stage(x, index, spec, *, fusion, gamma, activation):
    """Apply stage `index` (from 1), which halves the resolution except for the first."""
    name, channels, first = f"stage{index}", spec.channels[index - 1], index == 1
    strides = 1 if first else 2

    block = dict(expansion=spec.expansion, depth_multiplier=spec.depth_multiplier)
    if first:
        block = dict(expansion=1, depth_multiplier=1)

    def blocks(x, expanded=False):
        for i, filters in enumerate(channels, 1):
            entry = dict(strides=strides) if i == 1 else {}
            if i == 1 and expanded:
                entry["expansion"] = None
            x = inverted_residual(x, filters, **(block | entry), activation=activation, name=f"{name}_block{i}")
        return x

    if not spec.cross_stage:
        return blocks(x)
    width = x.shape[-1] // 2 if first else x.shape[-1]
    crossing = max(8, round(2 * gamma * width / 8) * 8)  # by eights, so that groups can be formed
    part1 = dict(strides=strides, groups=math.gcd(x.shape[-1], crossing), activation=activation)
    part1 = conv_bn_act(x, crossing, 3, **part1, name=f"{name}_part1")
    part2 = blocks(x, expanded=not first and fusion != "fusion_last")
    x = layers.Concatenate(name=f"{name}_fuse")([part2, part1])
    if fusion == "fusion_last":
        return x
    transition = spec.top if index == len(spec.channels) else spec.expansion * channels[-1]
    return conv_bn_act(x, transition, 1, activation=activation, name=f"{name}_transition")


def build(spec, *, activation="relu", fusion="csp", gamma=0.5, name="mobilenetv2", **options):
    """Build any network of the family from its `MobileNetV2Spec`; see `CSPMobileNetV2` for the arguments."""
    check_cross_stage(fusion, gamma)

    def features(x):
        x = conv_bn_act(x, spec.stem, 3, strides=2, activation=activation, name="stem_conv")
        for index in range(1, len(spec.channels) + 1):
            x = stage(x, index, spec, fusion=fusion, gamma=gamma, activation=activation)
        if not spec.cross_stage:
            x = conv_bn_act(x, spec.top, 1, activation=activation, name=f"stage{index}_top")
        return x

    return assemble(features, **options, name=name)


@documented(VARIANTS)
def MobileNetV2(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "relu",
    skip_mismatch: bool = False,
    name: str = "mobilenetv2",
) -> keras.Model:
    """Build MobileNetV2 in the cfg's form, the base of CSPMobileNetV2."""
    return build(VARIANTS["MobileNetV2"], **locals())


@documented(VARIANTS)
def CSPMobileNetV2(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "relu",
    fusion: str = "csp",
    gamma: float = 0.5,
    skip_mismatch: bool = False,
    name: str = "cspmobilenetv2",
) -> keras.Model:
    """Build CSPMobileNetV2.

    Here a `gamma` of 0.5 stands for the published width of the crossing part, which is in proportion to it; the other
    part keeps its own. The blocks' linear projection is T, so that "csp" and "fusion_first" are the same network. With
    "fusion_last" every stage's first block has an expansion of its own.
    """
    return build(VARIANTS["CSPMobileNetV2"], **locals())
