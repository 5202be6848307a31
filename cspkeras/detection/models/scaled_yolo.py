"""Scaled YOLOv4 (arXiv 2011.08036) and YOLOv7-tiny (arXiv 2207.02696), as Darknet's cfgs have them, with new_coords."""

import os
from collections.abc import Collection, Sequence
from functools import partial

from ...backbones import darknet, elan
from ..anchors import STRIDES, YOLO_416, Anchors
from ..detector import Detector
from .assembly import YOLOV4_ANCHORS, DetectorSpec, build, coco, documented
from .yolo import DARKNET

__all__ = ["YOLOv4CSP", "YOLOv4P5", "YOLOv4P6", "YOLOv7Tiny"]

P5_ANCHORS = [(13, 17), (31, 25), (24, 51), (61, 45), (48, 102), (119, 96), (97, 189), (217, 184)]
P5_ANCHORS += [(171, 384), (324, 451), (616, 618), (800, 800)]
P6_ANCHORS = [(13, 17), (31, 25), (24, 51), (61, 45), (61, 45), (48, 102), (119, 96), (97, 189)]
P6_ANCHORS += [(97, 189), (217, 184), (171, 384), (324, 451), (324, 451), (545, 357), (616, 618), (1024, 1024)]


def scaled(pairs, size, strides=STRIDES):
    """Return anchors, in pixels of a square of `size`, whose centres reach half a cell farther than their own."""
    return Anchors.of(pairs, (size, size), strides, (2.0,) * len(strides), "scaled")


def csp_darknet(**row):
    """Return the constructor of a CSPDarknet of this row."""
    return partial(darknet.build, darknet.DarknetSpec(cross_stage=True, **row), name="cspdarknet")


WIDTHS = (64, 128, 256, 512, 1024)
VARIANTS = {
    "YOLOv4CSP": DetectorSpec(
        csp_darknet(first_parts=0),
        "csp_panet",
        scaled(YOLOV4_ANCHORS.pairs, 512),
        neck_options={"blocks": 2},
        widened=True,
        published=coco(DARKNET, 512, trainable=52_921_437, counted=76.989, ap=46.2, cfg="yolov4-csp"),
    ),
    "YOLOv4P5": DetectorSpec(
        csp_darknet(blocks=(1, 3, 15, 15, 7), first_parts=1),
        "csp_panet",
        scaled(P5_ANCHORS, 896),
        neck_options={"blocks": 3},
        widened=True,
        heads_last=True,
        published=coco(DARKNET, 896, trainable=70_830_684, counted=326.754, ap=51.6, ap50=70.0, cfg="yolov4-p5"),
    ),
    "YOLOv4P6": DetectorSpec(
        csp_darknet(blocks=(1, 3, 15, 15, 7, 7), widths=(*WIDTHS, 1024), first_parts=1),
        "csp_panet",
        scaled(P6_ANCHORS, 1280, (*STRIDES, 64)),
        neck_options={"blocks": 3},
        widened=True,
        heads_last=True,
        published=coco(DARKNET, 1280, trainable=127_585_200, counted=717.076, ap=54.0, ap50=72.1, cfg="yolov4-p6"),
    ),
    "YOLOv7Tiny": DetectorSpec(
        elan.build,
        "elan_panet",
        scaled(YOLO_416[3], 416),
        widened=True,
        heads_last=True,
        published=coco(DARKNET, 416, trainable=6_227_101, counted=5.802, cfg="yolov7-tiny"),
    ),
}


@documented(VARIANTS)
def YOLOv4CSP(
    classes: int | Collection[str] = 80,
    input_shape: tuple[int, int, int] = (512, 512, 3),
    *,
    weights: os.PathLike[str] | str | None = None,
    anchors: Anchors | Sequence[Sequence[float]] | None = None,
    activation: str = "mish",
    skip_mismatch: bool = False,
    name: str = "yolov4_csp",
) -> Detector:
    """Build CSPDarknet-53, whose first stage is plain, with a PANet of cross stages."""
    return build(VARIANTS["YOLOv4CSP"], **locals())


@documented(VARIANTS)
def YOLOv4P5(
    classes: int | Collection[str] = 80,
    input_shape: tuple[int, int, int] = (896, 896, 3),
    *,
    weights: os.PathLike[str] | str | None = None,
    anchors: Anchors | Sequence[Sequence[float]] | None = None,
    activation: str = "mish",
    skip_mismatch: bool = False,
    name: str = "yolov4_p5",
) -> Detector:
    """Build the deeper CSPDarknet of YOLOv4-P5 with a PANet of cross stages."""
    return build(VARIANTS["YOLOv4P5"], **locals())


@documented(VARIANTS)
def YOLOv4P6(
    classes: int | Collection[str] = 80,
    input_shape: tuple[int, int, int] = (1280, 1280, 3),
    *,
    weights: os.PathLike[str] | str | None = None,
    anchors: Anchors | Sequence[Sequence[float]] | None = None,
    activation: str = "mish",
    skip_mismatch: bool = False,
    name: str = "yolov4_p6",
) -> Detector:
    """Build YOLOv4-P6, a stage and a level more than YOLOv4-P5: strides 8 to 64."""
    return build(VARIANTS["YOLOv4P6"], **locals())


@documented(VARIANTS)
def YOLOv7Tiny(
    classes: int | Collection[str] = 80,
    input_shape: tuple[int, int, int] = (416, 416, 3),
    *,
    weights: os.PathLike[str] | str | None = None,
    anchors: Anchors | Sequence[Sequence[float]] | None = None,
    activation: str = "leaky_relu",
    skip_mismatch: bool = False,
    name: str = "yolov7_tiny",
) -> Detector:
    """Build YOLOv7-tiny, whose backbone and neck are of ELAN stages."""
    return build(VARIANTS["YOLOv7Tiny"], **locals())
