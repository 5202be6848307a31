"""Darknet-53 (arXiv 1804.02767), CSPDarknet-53 and its Elastic form, as the published cfgs have them."""

import os
from dataclasses import dataclass
from functools import partial

import keras
from keras import layers

from ..blocks import conv_bn_act, elastic
from ..cross_stage import check_cross_stage, cross_stage
from ..published import REPOSITORY, Published
from .assembly import Spec, assemble, documented
from .timm_layout import build_in

__all__ = ["CSPDarknet53", "CSPDarknet53Elastic", "Darknet53"]


@dataclass(frozen=True)
class DarknetSpec(Spec):
    """The row of a variant."""

    blocks: tuple[int, ...] = (1, 2, 8, 8, 4)  # residual blocks of each stage
    widths: tuple[int, ...] = (64, 128, 256, 512, 1024)  # channels of each stage
    cross_stage: bool = False
    first_parts: int = 2  # both parts of the first cross stage, in widths of the stage; 0 for a stage without parts
    elastic: bool = False  # the last stage is halved once more
    stem: int = 32  # channels

    @property
    def stride(self):
        return 2 ** (len(self.blocks) + self.elastic)


published = partial(Published, REPOSITORY, 256, pyramid=(64, 128, 256, 512, 1024))
VARIANTS = {
    "Darknet53": DarknetSpec(
        published=published(41.57, 41_609_928, bflops=18.57, top1=77.2, top5=93.8, cfg="darknet53"),
    ),
    "CSPDarknet53": DarknetSpec(
        cross_stage=True,
        published=published(27.61, 27_642_184, bflops=13.07, top1=77.2, top5=93.6, cfg="csdarknet53"),
    ),
    "CSPDarknet53Elastic": DarknetSpec(
        cross_stage=True,
        elastic=True,
        published=published(None, 19_081_608, bflops=7.74, top1=76.1, top5=93.3, cfg="csdarknet53-elastic"),
    ),
}


def residual_block(x, *, squeeze, halved, activation, name):
    """Add a 1x1 and a 3x3 convolution to their input; if `halved`, in two halves of the channels."""

    def convolutions(x, name):
        width = x.shape[-1]
        x = conv_bn_act(x, width // squeeze, 1, activation=activation, name=f"{name}_conv1")
        return conv_bn_act(x, width, 3, activation=activation, name=f"{name}_conv2")

    y = elastic(x, convolutions, name=name) if halved else convolutions(x, name)
    return layers.Add(name=f"{name}_add")([y, x])


def stage(x, index, spec, *, fusion, gamma, activation):
    """Apply stage `index` (from 1), which halves the resolution."""
    name, width = f"stage{index}", spec.widths[index - 1]
    parts = spec.cross_stage * width * (spec.first_parts if index == 1 else 1)
    x = conv_bn_act(x, width, 3, strides=2, activation=activation, name=f"{name}_downsample")
    squeeze = 1 if spec.elastic or parts == width else 2  # parts of half the width need no narrower convolutions

    def blocks(x):
        for i in range(1, spec.blocks[index - 1] + 1):
            x = residual_block(x, squeeze=squeeze, halved=spec.elastic, activation=activation, name=f"{name}_block{i}")
        return x

    if not parts:
        return blocks(x)
    return cross_stage(
        x,
        blocks,
        channels=parts,
        multiple=2,
        transition=width,
        fusion=fusion,
        gamma=gamma,
        activation=activation,
        name=name,
    )


def build(spec, *, activation="leaky_relu", fusion="csp", gamma=0.5, name="darknet", **options):
    """Build any network of the family from its `DarknetSpec`; see `CSPDarknet53` for the arguments."""
    check_cross_stage(fusion, gamma)

    def features(x):
        x = conv_bn_act(x, spec.stem, 3, activation=activation, name="stem_conv")
        for index in range(1, len(spec.blocks) + 1):
            x = stage(x, index, spec, fusion=fusion, gamma=gamma, activation=activation)
        return x

    return assemble(features, **options, stride=spec.stride, name=name)


@documented(VARIANTS)
def Darknet53(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (256, 256, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "leaky_relu",
    layout: str | None = None,
    skip_mismatch: bool = False,
    name: str = "darknet53",
) -> keras.Model:
    """Build Darknet-53, the base of CSPDarknet53."""
    return build_in("Darknet53", partial(build, VARIANTS["Darknet53"]), **locals())


@documented(VARIANTS)
def CSPDarknet53(
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
    name: str = "cspdarknet53",
) -> keras.Model:
    """Build CSPDarknet-53."""
    return build_in("CSPDarknet53", partial(build, VARIANTS["CSPDarknet53"]), **locals())


@documented(VARIANTS)
def CSPDarknet53Elastic(
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
    name: str = "cspdarknet53elastic",
) -> keras.Model:
    """Build CSPDarknet-53-Elastic, whose blocks run half of their channels at half resolution (arXiv 1812.05262)."""
    return build(VARIANTS["CSPDarknet53Elastic"], **locals())
