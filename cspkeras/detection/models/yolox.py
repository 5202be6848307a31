"""YOLOX (arXiv 2107.08430; Megvii's YOLOX, Apache-2.0): a row and a constructor each."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from ...backbones import yolox_darknet
from ...backbones.assembly import Spec
from ...backbones.loading import is_darknet, is_keras
from ...weights.bundled import load_bundled
from ...weights.yolox import load_yolox
from ..anchors import Anchors
from ..detector import Detector
from ..loading import load_weights
from . import assembly

__all__ = ["YOLOXL", "YOLOXM", "YOLOXNano", "YOLOXS", "YOLOXTiny", "YOLOXX"]


@dataclass(frozen=True)
class YoloxSpec(Spec):
    """One row a variant, with its `published` figures."""

    width: int  # channels of the stem; the head has four times as many
    depth: int  # bottlenecks of a CSP layer; three times as many in the two stages between
    depthwise: bool  # whether the 3x3 convolutions are depthwise separable

    anchors = None  # its head has none


MEGVII = "github.com/Megvii-BaseDetection/YOLOX"  # its GFLOPs count a multiplication and an addition as two, as BFLOPs
coco = partial(assembly.coco, MEGVII)
VARIANTS = {
    "YOLOXNano": YoloxSpec(
        16, 1, True, published=coco(416, trainable=912_159, bflops=1.08, counted=1.047, ap=25.8, params=0.91)
    ),
    "YOLOXTiny": YoloxSpec(
        24, 1, False, published=coco(416, trainable=5_055_855, bflops=6.45, counted=6.415, ap=32.8, params=5.06)
    ),
    "YOLOXS": YoloxSpec(
        32, 1, False, published=coco(640, trainable=8_968_255, bflops=26.8, counted=26.693, ap=40.5, params=9.0)
    ),
    "YOLOXM": YoloxSpec(
        48, 2, False, published=coco(640, trainable=25_326_495, bflops=73.8, counted=73.542, ap=46.9, params=25.3)
    ),
    "YOLOXL": YoloxSpec(
        64, 3, False, published=coco(640, trainable=54_208_895, bflops=155.6, counted=155.308, ap=49.7, params=54.2)
    ),
    "YOLOXX": YoloxSpec(
        80, 4, False, published=coco(640, trainable=99_071_455, bflops=281.9, counted=281.429, ap=51.1, params=99.1)
    ),
}

ARGUMENTS = assembly.ARGUMENTS | {
    "classes": "number of classes, or a sequence of their names; None for those of the weights, else 80.",
    "input_shape": "(height, width, 3), height and width multiples of {stride}; None for the published size, or for "
    'the one that `weights="bccd"` was trained at.',
    "weights": "None; the .pth file that YOLOX publishes, or the .onnx file (needs the package onnx); a .keras or "
    '.weights.h5 file. "bccd" comes with this package and finds blood cells. Images stay RGB in 0..1, whatever the '
    "file's network took. A .onnx file has no batch-norms any more: see `cspkeras.weights.unfold_norms` before "
    "training. A .pth file has them, with an epsilon of 0.001, which a .keras file keeps and a .weights.h5 file does "
    "not.",
    "skip_mismatch": "whether a .onnx or .pth file may be of another number of classes; the class predictions stay as "
    "initialized then.",
    "activation": 'one of `cspkeras.blocks.ACTIVATIONS`; the published networks have "swish".',
}


def build(spec, *, classes, input_shape, weights=None, skip_mismatch=False, activation="swish", name):
    """Build a network of the family from its `YoloxSpec`; see `YOLOXNano` for the arguments."""
    if classes is None:
        classes = spec.published.classes
    if input_shape is None:
        input_shape = (spec.published.size, spec.published.size, 3)
    size = assembly.fixed_size(input_shape)
    options = dict(depthwise=spec.depthwise, activation=activation)
    backbone = yolox_darknet.build(spec.width, spec.depth, input_shape=input_shape, **options, name=f"{name}_backbone")
    model = Detector(
        backbone,
        "pafpn",
        classes,
        anchors=Anchors.free(size),
        neck_options=dict(blocks=spec.depth, depthwise=spec.depthwise),
        head="decoupled",
        head_options=dict(width=4 * spec.width, **options),
        activation=activation,
        name=name,
    )
    if str(weights).endswith(".npz"):
        load_bundled(model, weights, skip_mismatch)
    elif is_keras(weights) or is_darknet(weights):  # the latter is an error
        load_weights(model, weights)
    elif weights is not None:
        load_yolox(model, weights, skip_mismatch)
    return model


@assembly.documented(VARIANTS, ARGUMENTS)
def YOLOXNano(
    classes: int | Collection[str] | None = None,
    input_shape: tuple[int, int, int] | None = None,
    weights: os.PathLike[str] | str | None = None,
    *,
    skip_mismatch: bool = False,
    activation: str = "swish",
    name: str = "yoloxnano",
) -> Detector:
    """Build YOLOX-Nano, whose 3x3 convolutions are depthwise separable."""
    return build(VARIANTS["YOLOXNano"], **locals())


@assembly.documented(VARIANTS, ARGUMENTS)
def YOLOXTiny(
    classes: int | Collection[str] | None = None,
    input_shape: tuple[int, int, int] | None = None,
    weights: os.PathLike[str] | str | None = None,
    *,
    skip_mismatch: bool = False,
    activation: str = "swish",
    name: str = "yoloxtiny",
) -> Detector:
    """Build YOLOX-Tiny, half as wide again as YOLOX-Nano."""
    return build(VARIANTS["YOLOXTiny"], **locals())


@assembly.documented(VARIANTS, ARGUMENTS)
def YOLOXS(
    classes: int | Collection[str] | None = None,
    input_shape: tuple[int, int, int] | None = None,
    weights: os.PathLike[str] | str | None = None,
    *,
    skip_mismatch: bool = False,
    activation: str = "swish",
    name: str = "yoloxs",
) -> Detector:
    """Build YOLOX-S, twice as wide as YOLOX-Nano."""
    return build(VARIANTS["YOLOXS"], **locals())


@assembly.documented(VARIANTS, ARGUMENTS)
def YOLOXM(
    classes: int | Collection[str] | None = None,
    input_shape: tuple[int, int, int] | None = None,
    weights: os.PathLike[str] | str | None = None,
    *,
    skip_mismatch: bool = False,
    activation: str = "swish",
    name: str = "yoloxm",
) -> Detector:
    """Build YOLOX-M, half as wide again as YOLOX-S and twice as deep."""
    return build(VARIANTS["YOLOXM"], **locals())


@assembly.documented(VARIANTS, ARGUMENTS)
def YOLOXL(
    classes: int | Collection[str] | None = None,
    input_shape: tuple[int, int, int] | None = None,
    weights: os.PathLike[str] | str | None = None,
    *,
    skip_mismatch: bool = False,
    activation: str = "swish",
    name: str = "yoloxl",
) -> Detector:
    """Build YOLOX-L, twice as wide as YOLOX-S and three times as deep."""
    return build(VARIANTS["YOLOXL"], **locals())


@assembly.documented(VARIANTS, ARGUMENTS)
def YOLOXX(
    classes: int | Collection[str] | None = None,
    input_shape: tuple[int, int, int] | None = None,
    weights: os.PathLike[str] | str | None = None,
    *,
    skip_mismatch: bool = False,
    activation: str = "swish",
    name: str = "yoloxx",
) -> Detector:
    """Build YOLOX-X, the largest: two and a half times as wide as YOLOX-S and four times as deep."""
    return build(VARIANTS["YOLOXX"], **locals())
