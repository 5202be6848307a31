"""RTMDet (arXiv 2212.07784; OpenMMLab's mmdetection, Apache-2.0): a row and a constructor for each size.

The input stays RGB in 0..1; the network begins by normalizing it, since its first convolution pads what is normalized.
"""

import os
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from keras import layers

from ...backbones import cspnext
from ...backbones.assembly import Preparation, Spec, image_input
from ...backbones.loading import is_darknet, is_keras
from ..anchors import Anchors
from ..detector import Detector
from ..loading import load_weights
from . import assembly
from .openmmlab import CLASSES, STEM, load_openmmlab, read_openmmlab

__all__ = ["RTMDetL", "RTMDetM", "RTMDetS", "RTMDetTiny", "RTMDetX"]


@dataclass(frozen=True)
class RTMDetSpec(Spec):
    """One row a variant, with its `published` figures."""

    backbone: cspnext.CSPNeXtSpec  # its row
    blocks: int  # of each CSP layer of the neck
    log: bool  # whether the raw distances are logarithms

    anchors = None  # its head has none


def coco(**figures):
    return assembly.coco("github.com/open-mmlab/mmdetection, configs/rtmdet", 640, **figures)


# There a multiplication and an addition count as one FLOP. The BFLOPs here are twice the published figures.
VARIANTS = {
    "RTMDetTiny": RTMDetSpec(
        cspnext.VARIANTS["CSPNeXtTiny"],
        1,
        False,
        published=coco(trainable=4_896_168, bflops=16.2, counted=16.078, ap=41.1, params=4.8),
    ),
    "RTMDetS": RTMDetSpec(
        cspnext.VARIANTS["CSPNeXtS"],
        1,
        False,
        published=coco(trainable=8_886_924, bflops=29.6, counted=29.529, ap=44.6, params=8.89),
    ),
    "RTMDetM": RTMDetSpec(
        cspnext.VARIANTS["CSPNeXtM"],
        2,
        True,
        published=coco(trainable=24_709_188, bflops=78.54, counted=78.144, ap=49.4, params=24.71),
    ),
    "RTMDetL": RTMDetSpec(
        cspnext.VARIANTS["CSPNeXtL"],
        3,
        True,
        published=coco(trainable=52_315_804, bflops=160.46, counted=159.813, ap=51.5, params=52.3),
    ),
    "RTMDetX": RTMDetSpec(
        cspnext.VARIANTS["CSPNeXtX"],
        4,
        True,
        published=coco(trainable=94_855_572, bflops=283.34, counted=282.399, ap=52.8, params=94.86),
    ),
}

ARGUMENTS = assembly.ARGUMENTS | {
    "classes": "number of classes, or a sequence of their names; None for as many as `weights` are of, or 80.",
    "input_shape": "(height, width, 3), height and width multiples of {stride}; None for the published size.",
    "weights": "None; a .pth file as OpenMMLab publishes and mmdetection trains; a .keras or .weights.h5 file. Images "
    "stay RGB in 0..1, whatever the file's network took.",
    "skip_mismatch": "whether a .pth file may be of another number of classes; the class predictions stay as "
    "initialized then.",
    "activation": 'one of `cspkeras.blocks.ACTIVATIONS`; the published networks have "swish".',
}


def build(spec, *, classes, input_shape, weights=None, skip_mismatch=False, activation="swish", name):
    """Build a network of the family from its `RTMDetSpec`; see `RTMDetTiny` for the arguments."""
    state = None
    if is_darknet(weights):
        raise ValueError(f"weights must be None, a .pth, .keras or .weights.h5 file. Received: weights={weights!r}")
    if weights is not None and not is_keras(weights):
        state = read_openmmlab(weights)
        _check_size(weights, state, spec)
    if input_shape is None:
        input_shape = (spec.published.size, spec.published.size, 3)
    if classes is None:
        classes = len(state[CLASSES]) if state else 80
    size = assembly.fixed_size(input_shape)
    image = image_input(input_shape, None)
    options = dict(activation=activation)
    backbone = cspnext.build(
        spec.backbone, include_top=False, input_tensor=_normalized(image), **options, name=f"{name}_backbone"
    )
    model = Detector(
        backbone,
        "cspnext_pafpn",
        classes,
        anchors=Anchors.distances(size, log=spec.log),
        neck_options=dict(blocks=spec.blocks),
        head="shared",
        head_options=options,
        activation=activation,
        name=name,
    )
    if state:
        load_openmmlab(model, weights, state, skip_mismatch)
    elif weights is not None:
        load_weights(model, weights)
    return model


def _normalized(image):
    mean, deviation = np.array(Preparation.mean), np.array(Preparation.deviation)
    return layers.Rescaling((1 / deviation).tolist(), (-mean / deviation).tolist(), name="normalized")(image)


def _check_size(path, state, spec):
    """Raise a ValueError for the weights of another size of the network."""
    own, found = spec.backbone.width // 2, len(state[STEM])
    if own != found:
        named = [name for name, other in VARIANTS.items() if other.backbone.width // 2 == found]
        whose = f", as {named[0]} has" if named else ""
        raise ValueError(f"{path}: {STEM}: expected {own} channels, found {found}{whose}")


@assembly.documented(VARIANTS, ARGUMENTS)
def RTMDetTiny(
    classes: int | Collection[str] | None = None,
    input_shape: tuple[int, int, int] | None = None,
    weights: os.PathLike[str] | str | None = None,
    *,
    skip_mismatch: bool = False,
    activation: str = "swish",
    name: str = "rtmdettiny",
) -> Detector:
    """Build RTMDet-tiny, as large as YOLOX-Tiny."""
    return build(VARIANTS["RTMDetTiny"], **locals())


@assembly.documented(VARIANTS, ARGUMENTS)
def RTMDetS(
    classes: int | Collection[str] | None = None,
    input_shape: tuple[int, int, int] | None = None,
    weights: os.PathLike[str] | str | None = None,
    *,
    skip_mismatch: bool = False,
    activation: str = "swish",
    name: str = "rtmdets",
) -> Detector:
    """Build RTMDet-S, as large as YOLOX-S."""
    return build(VARIANTS["RTMDetS"], **locals())


@assembly.documented(VARIANTS, ARGUMENTS)
def RTMDetM(
    classes: int | Collection[str] | None = None,
    input_shape: tuple[int, int, int] | None = None,
    weights: os.PathLike[str] | str | None = None,
    *,
    skip_mismatch: bool = False,
    activation: str = "swish",
    name: str = "rtmdetm",
) -> Detector:
    """Build RTMDet-M, whose raw distances are logarithms, as those of the larger ones."""
    return build(VARIANTS["RTMDetM"], **locals())


@assembly.documented(VARIANTS, ARGUMENTS)
def RTMDetL(
    classes: int | Collection[str] | None = None,
    input_shape: tuple[int, int, int] | None = None,
    weights: os.PathLike[str] | str | None = None,
    *,
    skip_mismatch: bool = False,
    activation: str = "swish",
    name: str = "rtmdetl",
) -> Detector:
    """Build RTMDet-L."""
    return build(VARIANTS["RTMDetL"], **locals())


@assembly.documented(VARIANTS, ARGUMENTS)
def RTMDetX(
    classes: int | Collection[str] | None = None,
    input_shape: tuple[int, int, int] | None = None,
    weights: os.PathLike[str] | str | None = None,
    *,
    skip_mismatch: bool = False,
    activation: str = "swish",
    name: str = "rtmdetx",
) -> Detector:
    """Build RTMDet-X, the largest."""
    return build(VARIANTS["RTMDetX"], **locals())
