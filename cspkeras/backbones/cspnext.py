"""CSPNeXt, the backbone of RTMDet (arXiv 2212.07784; OpenMMLab's mmdetection, Apache-2.0), as timm has it.

A CSP layer is a cross stage without the transition T, the paper's fusion_first, whose channels are gated before M. Its
blocks end in a depthwise convolution of 5x5 pixels. The input is normalized: `preprocess_input(x, layout="timm")`.
"""

import os
from dataclasses import dataclass
from functools import partial

import keras
from keras import layers

from ..blocks import conv_bn_act
from ..cross_stage import cross_stage
from ..published import Published
from .assembly import TIMM_ARGUMENTS, Preparation, Spec, assemble, documented
from .yolox_darknet import pooling_pyramid

__all__ = ["CSPNeXtL", "CSPNeXtM", "CSPNeXtS", "CSPNeXtTiny", "CSPNeXtX"]

LARGE = 5  # pixels, the side of the depthwise kernels
# timm's module by a pattern of the layers' names; the last stage has its pooling before the CSP layer.
CSP_LAYER = {
    "part1": "short_conv",
    "part2": "main_conv",
    r"block(\d+)_conv": "blocks.{}.conv1",
    r"block(\d+)_depthwise": "blocks.{}.conv2.depthwise_conv",
    r"block(\d+)_pointwise": "blocks.{}.conv2.pointwise_conv",
    "attention": "attention.fc",
    "transition": "final_conv",
}
MODULES = {
    r"stem_conv(\d)": "stem.{}",
    r"stage(\d)_downsample": "stages.{}.0",
    r"stage4_spp_(conv\d)": "stages.3.1.{}",
    **{rf"stage([1-3])_{ours}": f"stages.{{}}.1.{theirs}" for ours, theirs in CSP_LAYER.items()},
    **{rf"stage(4)_{ours}": f"stages.{{}}.2.{theirs}" for ours, theirs in CSP_LAYER.items()},
}


@dataclass(frozen=True)
class CSPNeXtSpec(Spec):
    """The row of a variant."""

    timm: str  # timm's name of it and its published ImageNet weights, see weights/published/rows.py
    width: int  # channels of the stem; the stages have 2, 4, 8 and 16 times as many
    blocks: tuple[int, ...]  # of each stage


cspnext = partial(CSPNeXtSpec, preparation=Preparation(interpolation="bicubic", crop=0.949))
published = partial(Published, "github.com/open-mmlab/mmdetection, configs/rtmdet/classification", 224)
VARIANTS = {
    "CSPNeXtTiny": cspnext(
        "cspnext_tiny.rsb_a1_in1k",
        24,
        (1, 1, 1, 1),
        published=published(trainable=2_733_700, counted=0.671, top1=69.44, top5=89.45, pyramid=(48, 96, 192, 384)),
    ),
    "CSPNeXtS": cspnext(
        "cspnext_s.rsb_a1_in1k",
        32,
        (1, 2, 2, 1),
        published=published(trainable=4_891_320, counted=1.318, top1=74.41, top5=92.23, pyramid=(64, 128, 256, 512)),
    ),
    "CSPNeXtM": cspnext(
        "cspnext_m.rsb_a1_in1k",
        48,
        (2, 4, 4, 2),
        published=published(trainable=13_048_432, counted=3.832, top1=79.27, top5=94.79, pyramid=(96, 192, 384, 768)),
    ),
    "CSPNeXtL": cspnext(
        "cspnext_l.rsb_a1_in1k",
        64,
        (3, 6, 6, 3),
        published=published(trainable=27_163_912, counted=8.354, top1=81.3, top5=95.62, pyramid=(128, 256, 512, 1024)),
    ),
    "CSPNeXtX": cspnext(
        "cspnext_x.rsb_a1_in1k",
        80,
        (4, 8, 8, 4),
        published=published(trainable=48_850_560, counted=15.462, top1=82.1, top5=95.69, pyramid=(160, 320, 640, 1280)),
    ),
}


def attention(x, *, name):
    """Gate each channel by a hard logistic of one 1x1 convolution of all channels' means."""
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(x)
    gate = layers.Conv2D(x.shape[-1], 1, name=name)(gate)
    gate = layers.Activation("hard_sigmoid", name=f"{name}_gate")(gate)
    return layers.Multiply(name=f"{name}_multiply")([x, gate])


def csp_layer(x, filters, blocks, *, shortcut=False, gated=False, activation="swish", name):
    """Apply `blocks` of CSPNeXt to one half of the channels; return `filters` channels.

    A block is a 3x3 convolution, a depthwise one of 5x5 and a 1x1; with `shortcut` its input is added to its output. If
    `gated`, `attention` comes before the transition.
    """

    def run(x):
        for i in range(1, blocks + 1):
            block, width = f"{name}_block{i}", x.shape[-1]
            y = conv_bn_act(x, width, 3, activation=activation, name=f"{block}_conv")
            y = conv_bn_act(y, width, LARGE, groups=width, activation=activation, name=f"{block}_depthwise")
            y = conv_bn_act(y, width, 1, activation=activation, name=f"{block}_pointwise")
            x = layers.Add(name=f"{block}_add")([y, x]) if shortcut else y
        return x

    return cross_stage(
        x,
        run,
        channels=filters,
        transition=filters,
        pool=partial(attention, name=f"{name}_attention") if gated else None,
        fusion="fusion_first",
        activation=activation,
        name=name,
    )


def build(spec, *, activation="swish", name="cspnext", **options):
    """Build any network of the family from its `CSPNeXtSpec`; see `CSPNeXtTiny` for the arguments."""
    conv = partial(conv_bn_act, kernel=3, activation=activation)

    def features(x):
        x = conv(x, spec.width // 2, strides=2, name="stem_conv1")
        x = conv(x, spec.width // 2, name="stem_conv2")
        x = conv(x, spec.width, name="stem_conv3")
        for index, blocks in enumerate(spec.blocks, 1):
            stage, filters, last = f"stage{index}", spec.width * 2**index, index == len(spec.blocks)
            x = conv(x, filters, strides=2, name=f"{stage}_downsample")
            if last:
                x = pooling_pyramid(x, activation=activation, name=f"{stage}_spp")
            x = csp_layer(x, filters, blocks, shortcut=not last, gated=True, activation=activation, name=stage)
        return x

    return assemble(features, **options, preparation=spec.preparation, modules=MODULES, name=name)


@documented(VARIANTS, TIMM_ARGUMENTS)
def CSPNeXtTiny(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "swish",
    skip_mismatch: bool = False,
    name: str = "cspnexttiny",
) -> keras.Model:
    """Build the smallest CSPNeXt, the backbone of RTMDet-tiny."""
    return build(VARIANTS["CSPNeXtTiny"], **locals())


@documented(VARIANTS, TIMM_ARGUMENTS)
def CSPNeXtS(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "swish",
    skip_mismatch: bool = False,
    name: str = "cspnexts",
) -> keras.Model:
    """Build the small CSPNeXt, the backbone of RTMDet-S."""
    return build(VARIANTS["CSPNeXtS"], **locals())


@documented(VARIANTS, TIMM_ARGUMENTS)
def CSPNeXtM(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "swish",
    skip_mismatch: bool = False,
    name: str = "cspnextm",
) -> keras.Model:
    """Build the CSPNeXt of medium size, the backbone of RTMDet-M."""
    return build(VARIANTS["CSPNeXtM"], **locals())


@documented(VARIANTS, TIMM_ARGUMENTS)
def CSPNeXtL(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "swish",
    skip_mismatch: bool = False,
    name: str = "cspnextl",
) -> keras.Model:
    """Build the large CSPNeXt, the backbone of RTMDet-L."""
    return build(VARIANTS["CSPNeXtL"], **locals())


@documented(VARIANTS, TIMM_ARGUMENTS)
def CSPNeXtX(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "swish",
    skip_mismatch: bool = False,
    name: str = "cspnextx",
) -> keras.Model:
    """Build the largest CSPNeXt, the backbone of RTMDet-X."""
    return build(VARIANTS["CSPNeXtX"], **locals())
