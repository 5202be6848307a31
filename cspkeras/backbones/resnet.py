"""ResNet (arXiv 1512.03385), ResNeXt (arXiv 1611.05431) and their CSP versions, as the published cfgs have them.

These differ from other people's networks of the same names: leaky ReLU throughout, no 1x1 convolution on a shortcut
(`layers.Shortcut`), and in the CSP networks 3, 3, 5 and 2 blocks. In the first stage of CSPResNet50 and CSPResNeXt50
part 2 has half the width of its blocks, and the dividing convolutions of the stages 2 and 3 are linear.
"""

import os
from dataclasses import dataclass
from functools import partial

import keras
from keras import layers

from ..blocks import activate, conv_bn_act, elastic
from ..cross_stage import check_cross_stage, divide, fuse, part_widths
from ..layers import Shortcut
from ..published import REPOSITORY, Published
from .assembly import STRIDE, Spec, assemble, documented
from .timm_layout import build_in

__all__ = [
    "CSPResNeXt50",
    "CSPResNeXt50Elastic",
    "CSPResNet50",
    "CSPResNet50Elastic",
    "ResNeXt50",
    "ResNet10",
    "ResNet50",
]


@dataclass(frozen=True)
class ResNetSpec(Spec):
    """The row of a variant."""

    blocks: tuple[int, ...]  # residual blocks of each stage
    widths: tuple[int, ...]  # their channels in each stage
    # A block's 3x3 convolution is narrower by this factor; None: two 3x3 convolutions of full width.
    squeeze: int | None
    groups: int = 1  # of the 3x3 convolutions
    cross_stage: bool = False
    elastic: bool = False
    expansion: int = 1  # the channels of M, as a multiple of the stage's width
    stem: int = 64  # channels

    @property
    def stride(self):
        return STRIDE * 2 if self.elastic else STRIDE  # the last stage is halved once more


WIDE, CSP = (256, 512, 1024, 2048), (128, 256, 512, 1024)

published = partial(Published, REPOSITORY, 256)
VARIANTS = {
    "ResNet10": ResNetSpec(
        (1, 1, 1, 1),
        (64, 128, 256, 512),
        squeeze=None,
        published=published(
            5.24, 5_244_968, bflops=2.273, top1=63.5, top5=85.0, cfg="resnet10", pyramid=(64, 128, 256, 512)
        ),
    ),
    "ResNet50": ResNetSpec(
        (3, 4, 6, 3),
        WIDE,
        squeeze=4,
        published=published(22.73, 22_780_456, bflops=9.74, top1=75.8, top5=92.9, cfg="resnet50", pyramid=WIDE),
    ),
    "CSPResNet50": ResNetSpec(
        (3, 3, 5, 2),
        CSP,
        squeeze=2,
        cross_stage=True,
        published=published(21.57, 21_607_848, bflops=8.97, top1=76.6, top5=93.3, cfg="csresnet50", pyramid=CSP),
    ),
    "CSPResNet50Elastic": ResNetSpec(
        (3, 3, 5, 2),
        CSP,
        squeeze=1,
        cross_stage=True,
        elastic=True,
        published=published(None, 29_848_360, bflops=9.36, top1=76.8, top5=93.5, cfg="csresnet50-elastic", pyramid=CSP),
    ),
    "ResNeXt50": ResNetSpec(
        (3, 4, 6, 3),
        WIDE,
        squeeze=2,
        groups=32,
        published=published(22.19, 22_252_328, bflops=10.11, top1=77.8, top5=94.2, cfg="resnext50", pyramid=WIDE),
    ),
    "CSPResNeXt50": ResNetSpec(
        (3, 3, 5, 2),
        CSP,
        squeeze=1,
        groups=32,
        cross_stage=True,
        expansion=2,
        published=published(20.50, 20_557_480, bflops=7.93, top1=77.9, top5=94.0, cfg="csresnext50", pyramid=WIDE),
    ),
    "CSPResNeXt50Elastic": ResNetSpec(
        (3, 3, 5, 2),
        CSP,
        squeeze=1,
        groups=32,
        cross_stage=True,
        elastic=True,
        expansion=2,
        published=published(
            None, 16_916_264, bflops=5.45, top1=77.2, top5=93.8, cfg="csresnext50-elastic", pyramid=WIDE
        ),
    ),
}


def residual_block(x, width, spec, *, strides=1, activation, name):
    """Apply convolutions to `width` channels, the last one linear, add the shortcut and activate."""
    groups = max(spec.groups // 2, 1) if spec.elastic else spec.groups

    def convolutions(x, name, width=width // 2 if spec.elastic else width):
        conv = dict(activation=activation)
        if spec.squeeze is None:
            x = conv_bn_act(x, width, 3, strides=strides, **conv, name=f"{name}_conv1")
            return conv_bn_act(x, width, 3, activation=None, name=f"{name}_conv2")
        narrow = width // spec.squeeze
        x = conv_bn_act(x, narrow, 1, **conv, name=f"{name}_conv1")
        x = conv_bn_act(x, narrow, 3, strides=strides, groups=groups, **conv, name=f"{name}_conv2")
        return conv_bn_act(x, width, 1, activation=None, name=f"{name}_conv3")

    y = elastic(x, convolutions, name=name) if spec.elastic else convolutions(x, name)
    same = strides == 1 and x.shape[-1] == width
    add = layers.Add(name=f"{name}_add") if same else Shortcut(strides, name=f"{name}_add")
    return activate(add([y, x]), activation, f"{name}_out")


def stage(x, index, spec, *, fusion, gamma, activation):
    """Apply stage `index` (from 1), which halves the resolution except for the first."""
    name, width = f"stage{index}", spec.widths[index - 1]
    strides = 1 if index == 1 else 2

    def blocks(x, width, strides=1):
        for i in range(1, spec.blocks[index - 1] + 1):
            block = dict(strides=strides if i == 1 else 1, activation=activation, name=f"{name}_block{i}")
            x = residual_block(x, width, spec, **block)
        return x

    if not spec.cross_stage:
        return blocks(x, width, strides)
    if strides > 1:
        filters = spec.expansion * spec.widths[index - 2]
        strided = dict(strides=strides, groups=spec.groups, activation=activation)
        x = conv_bn_act(x, filters, 3, **strided, name=f"{name}_downsample")
    crossing, inner = part_widths(2 * width, gamma, max(spec.groups, 2) * (spec.squeeze or 1))
    entering = inner // 2 if index == 1 and not spec.elastic else inner
    linear = index in (2, 3)
    part1, part2 = divide(x, (crossing, entering), activation=None if linear else activation, name=name)
    part2 = blocks(part2, inner)
    return fuse(part2, part1, transition=spec.expansion * width, fusion=fusion, activation=activation, name=name)


def build(spec, *, activation="leaky_relu", fusion="csp", gamma=0.5, name="resnet", **options):
    """Build any network of the family from its `ResNetSpec`; see `CSPResNet50` for the arguments."""
    check_cross_stage(fusion, gamma)

    def features(x):
        x = conv_bn_act(x, spec.stem, 7, strides=2, activation=activation, name="stem_conv")
        x = layers.MaxPooling2D(2, name="stem_pool")(x)
        for index in range(1, len(spec.blocks) + 1):
            x = stage(x, index, spec, fusion=fusion, gamma=gamma, activation=activation)
        return x

    return assemble(features, **options, stride=spec.stride, name=name)


@documented(VARIANTS)
def ResNet10(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (256, 256, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "leaky_relu",
    skip_mismatch: bool = False,
    name: str = "resnet10",
) -> keras.Model:
    """Build ResNet-10, four blocks of two 3x3 convolutions."""
    return build(VARIANTS["ResNet10"], **locals())


@documented(VARIANTS)
def ResNet50(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (256, 256, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "leaky_relu",
    skip_mismatch: bool = False,
    name: str = "resnet50",
) -> keras.Model:
    """Build ResNet-50, the base of CSPResNet50."""
    return build(VARIANTS["ResNet50"], **locals())


@documented(VARIANTS)
def CSPResNet50(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (256, 256, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "leaky_relu",
    fusion: str = "csp",
    gamma: float = 0.5,
    layout: str | None = None,
    skip_mismatch: bool = False,
    name: str = "cspresnet50",
) -> keras.Model:
    """Build CSPResNet-50."""
    return build_in("CSPResNet50", partial(build, VARIANTS["CSPResNet50"]), **locals())


@documented(VARIANTS)
def CSPResNet50Elastic(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (256, 256, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "leaky_relu",
    fusion: str = "csp",
    gamma: float = 0.5,
    skip_mismatch: bool = False,
    name: str = "cspresnet50elastic",
) -> keras.Model:
    """Build CSPResNet-50-Elastic, whose blocks run half of their channels at half resolution (arXiv 1812.05262)."""
    return build(VARIANTS["CSPResNet50Elastic"], **locals())


@documented(VARIANTS)
def ResNeXt50(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (256, 256, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "leaky_relu",
    skip_mismatch: bool = False,
    name: str = "resnext50",
) -> keras.Model:
    """Build ResNeXt-50, 32 groups, the base of CSPResNeXt50."""
    return build(VARIANTS["ResNeXt50"], **locals())


@documented(VARIANTS)
def CSPResNeXt50(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (256, 256, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "leaky_relu",
    fusion: str = "csp",
    gamma: float = 0.5,
    layout: str | None = None,
    skip_mismatch: bool = False,
    name: str = "cspresnext50",
) -> keras.Model:
    """Build CSPResNeXt-50."""
    return build_in("CSPResNeXt50", partial(build, VARIANTS["CSPResNeXt50"]), **locals())


@documented(VARIANTS)
def CSPResNeXt50Elastic(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (256, 256, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "leaky_relu",
    fusion: str = "csp",
    gamma: float = 0.5,
    skip_mismatch: bool = False,
    name: str = "cspresnext50elastic",
) -> keras.Model:
    """Build CSPResNeXt-50-Elastic, whose blocks run half of their channels at half resolution (arXiv 1812.05262)."""
    return build(VARIANTS["CSPResNeXt50Elastic"], **locals())
