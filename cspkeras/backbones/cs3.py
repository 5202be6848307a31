"""timm's CS3 networks (pytorch-image-models, Apache-2.0), YOLOv5's and YOLOX's backbones trained as classifiers.

A C3 stage is a cross stage without the transition T, the paper's fusion_first. timm divides the stage's input by one
convolution and a split, and runs the first half through the blocks; here two convolutions share its weights. The
input is normalized: `preprocess_input(x, name="CS3DarknetM")`.
"""

import os
from dataclasses import dataclass, replace
from functools import partial

import keras
from keras import layers

from ..blocks import conv_bn_act, squeeze_excite
from ..cross_stage import cross_stage
from ..published import Published
from .assembly import TIMM_ARGUMENTS, Preparation, Spec, assemble, documented
from .yolox_darknet import focus

__all__ = [
    "CS3DarknetFocusL",
    "CS3DarknetFocusM",
    "CS3DarknetFocusS",
    "CS3DarknetFocusX",
    "CS3DarknetL",
    "CS3DarknetM",
    "CS3DarknetS",
    "CS3DarknetX",
]

MULTIPLE = 8  # squeezed channels are a multiple of this
MODULES = {  # timm's module by a pattern of the layers' names
    "stem_conv": "stem.conv1",
    r"stem_(conv\d)": "stem.{}",
    r"stage(\d)_downsample": "stages.{}.conv_down",
    r"stage(\d)_part2": "stages.{}.conv_exp[0]",
    r"stage(\d)_part1": "stages.{}.conv_exp[1]",
    r"stage(\d)_block(\d+)_(conv\d)": "stages.{}.blocks.{}.{}",
    r"stage(\d)_block(\d+)_se_squeeze": "stages.{}.blocks.{}.attn.fc1",
    r"stage(\d)_block(\d+)_se_excite": "stages.{}.blocks.{}.attn.fc2",
    r"stage(\d)_transition": "stages.{}.conv_transition",
}


@dataclass(frozen=True)
class CS3Spec(Spec):
    """The row of a variant."""

    timm: str  # timm's name of it and, after a point, of its ImageNet weights, in the Hub's repository timm/...
    width: int  # channels of the stem; the stages have 2, 4, 8 and 16 times as many
    blocks: tuple[int, ...]  # of each stage
    focus: bool = False  # whether the stem is one convolution of 6x6 pixels rather than two of 3x3
    edge: bool = False  # whether a block is a wide 3x3 convolution and a 1x1, rather than a 1x1 and a 3x3
    squeeze: float | None = None  # the share of a block's inner channels that its squeeze-and-excitation squeezes to


SIZES = {  # width and blocks
    "S": (32, (1, 3, 4, 1)),
    "M": (48, (2, 4, 6, 2)),
    "L": (64, (3, 6, 9, 3)),
    "X": (80, (3, 7, 11, 3)),
}
TESTED = Preparation(interpolation="bicubic", crop=0.887, test_size=288, test_crop=0.95)
WHOLE = replace(TESTED, test_crop=1.0)
HALF = (0.5, 0.5, 0.5)


def row(timm, size, trainable, counted, top1=None, top5=None, *, preparation=TESTED, **options):
    """Return the row of a network by its size and figures."""
    width, blocks = SIZES[size]
    published = Published(
        "github.com/huggingface/pytorch-image-models",
        256,
        trainable=trainable,
        counted=counted,
        tested=preparation.test_size if top1 else None,
        top1=top1,
        top5=top5,
        pyramid=tuple(width * 2**index for index in range(1, 5)),
    )
    return CS3Spec(timm, width, blocks, preparation=preparation, published=published, **options)


VARIANTS = {
    "CS3DarknetS": row("cs3darknet_s", "S", 3_276_344, 1.424),
    "CS3DarknetM": row("cs3darknet_m.c2ns_in1k", "M", 9_310_240, 4.137, 77.64, 94.02),
    "CS3DarknetL": row("cs3darknet_l.c2ns_in1k", "L", 21_164_168, 9.694, 80.88, 95.66),
    "CS3DarknetX": row(
        "cs3darknet_x.c2ns_in1k", "X", 35_046_320, 16.71, 82.23, 96.23, preparation=replace(WHOLE, crop=0.95)
    ),
    "CS3DarknetFocusS": row(
        "cs3darknet_focus_s.ra4_e3600_r256_in1k",
        "S",
        3_274_728,
        1.373,
        73.16,
        91.46,
        preparation=replace(WHOLE, test_size=320, mean=HALF, deviation=HALF),
        focus=True,
    ),
    "CS3DarknetFocusM": row("cs3darknet_focus_m.c2ns_in1k", "M", 9_304_360, 3.946, 77.29, 93.97, focus=True),
    "CS3DarknetFocusL": row("cs3darknet_focus_l.c2ns_in1k", "L", 21_151_720, 9.288, 80.89, 95.67, focus=True),
    "CS3DarknetFocusX": row("cs3darknet_focus_x", "X", 35_025_000, 16.014, focus=True),
}


def block(x, spec, *, activation, name):
    """Add a 1x1 and a 3x3 convolution to their input, or for an `edge` a wide 3x3 and a 1x1; gated in between."""
    width, kernels = x.shape[-1], (3, 1) if spec.edge else (1, 3)
    inner = width * 3 // 2 if spec.edge else width
    y = conv_bn_act(x, inner, kernels[0], activation=activation, name=f"{name}_conv1")
    if spec.squeeze:
        squeezed = max(MULTIPLE, int(inner * spec.squeeze + MULTIPLE / 2) // MULTIPLE * MULTIPLE)
        y = squeeze_excite(y, squeezed, activation=activation, name=name)
    y = conv_bn_act(y, width, kernels[1], activation=activation, name=f"{name}_conv2")
    return layers.Add(name=f"{name}_add")([y, x])


def build(spec, *, activation="swish", name="cs3", **options):
    """Build any network of the family from its `CS3Spec`; see `CS3DarknetM` for the arguments."""
    conv = partial(conv_bn_act, kernel=3, activation=activation)

    def blocks(x, count, name):
        for i in range(1, count + 1):
            x = block(x, spec, activation=activation, name=f"{name}_block{i}")
        return x

    def features(x):
        if spec.focus:
            x = focus(x, spec.width, activation=activation, name="stem_conv")
        else:
            x = conv(x, spec.width // 2, strides=2, name="stem_conv1")
            x = conv(x, spec.width, name="stem_conv2")
        for index, count in enumerate(spec.blocks, 1):
            stage, width = f"stage{index}", spec.width * 2**index
            x = conv(x, x.shape[-1], strides=2, name=f"{stage}_downsample")
            x = cross_stage(
                x,
                partial(blocks, count=count, name=stage),
                channels=width,
                transition=width,
                fusion="fusion_first",
                activation=activation,
                name=stage,
            )
        return x

    return assemble(features, **options, preparation=spec.preparation, modules=MODULES, name=name)


@documented(VARIANTS, TIMM_ARGUMENTS)
def CS3DarknetS(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (256, 256, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "swish",
    skip_mismatch: bool = False,
    name: str = "cs3darknets",
) -> keras.Model:
    """Build the smallest CS3Darknet. timm has no weights of it."""
    return build(VARIANTS["CS3DarknetS"], **locals())


@documented(VARIANTS, TIMM_ARGUMENTS)
def CS3DarknetM(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (256, 256, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "swish",
    skip_mismatch: bool = False,
    name: str = "cs3darknetm",
) -> keras.Model:
    """Build CS3Darknet of medium size."""
    return build(VARIANTS["CS3DarknetM"], **locals())


@documented(VARIANTS, TIMM_ARGUMENTS)
def CS3DarknetL(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (256, 256, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "swish",
    skip_mismatch: bool = False,
    name: str = "cs3darknetl",
) -> keras.Model:
    """Build the large CS3Darknet."""
    return build(VARIANTS["CS3DarknetL"], **locals())


@documented(VARIANTS, TIMM_ARGUMENTS)
def CS3DarknetX(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (256, 256, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "swish",
    skip_mismatch: bool = False,
    name: str = "cs3darknetx",
) -> keras.Model:
    """Build the largest CS3Darknet."""
    return build(VARIANTS["CS3DarknetX"], **locals())


@documented(VARIANTS, TIMM_ARGUMENTS)
def CS3DarknetFocusS(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (256, 256, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "swish",
    skip_mismatch: bool = False,
    name: str = "cs3darknetfocuss",
) -> keras.Model:
    """Build the smallest CS3Darknet with a stem of one 6x6 convolution; its weights take pixels in -1..1."""
    return build(VARIANTS["CS3DarknetFocusS"], **locals())


@documented(VARIANTS, TIMM_ARGUMENTS)
def CS3DarknetFocusM(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (256, 256, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "swish",
    skip_mismatch: bool = False,
    name: str = "cs3darknetfocusm",
) -> keras.Model:
    """Build CS3Darknet of medium size with a stem of one 6x6 convolution."""
    return build(VARIANTS["CS3DarknetFocusM"], **locals())


@documented(VARIANTS, TIMM_ARGUMENTS)
def CS3DarknetFocusL(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (256, 256, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "swish",
    skip_mismatch: bool = False,
    name: str = "cs3darknetfocusl",
) -> keras.Model:
    """Build the large CS3Darknet with a stem of one 6x6 convolution."""
    return build(VARIANTS["CS3DarknetFocusL"], **locals())


@documented(VARIANTS, TIMM_ARGUMENTS)
def CS3DarknetFocusX(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (256, 256, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "swish",
    skip_mismatch: bool = False,
    name: str = "cs3darknetfocusx",
) -> keras.Model:
    """Build the largest CS3Darknet with a stem of one 6x6 convolution. timm has no weights of it."""
    return build(VARIANTS["CS3DarknetFocusX"], **locals())
