"""YOLOv3, YOLOv4 and YOLOv4-tiny: a row and a constructor each."""

import os
from collections.abc import Collection, Sequence

from ... import backbones
from ..anchors import Anchors
from ..detector import Detector
from .assembly import TINY_ANCHORS, YOLOV3_ANCHORS, YOLOV4_ANCHORS, DetectorSpec, build, coco, documented

__all__ = ["YOLOv3", "YOLOv4", "YOLOv4Tiny"]

DARKNET = "github.com/AlexeyAB/darknet"
VARIANTS = {
    "YOLOv3": DetectorSpec(
        backbones.Darknet53,
        "fpn",
        YOLOV3_ANCHORS,
        published=coco("pjreddie.com/darknet/yolo", 416, trainable=61_949_149, bflops=65.86, ap50=55.3, cfg="yolov3"),
    ),
    "YOLOv4": DetectorSpec(
        backbones.CSPDarknet53,
        "panet_spp",
        YOLOV4_ANCHORS,
        neck_activation="leaky_relu",
        published=coco(
            DARKNET,
            608,
            trainable=64_363_101,
            bflops=128.5,  # counts the additions as well
            counted=128.440,
            ap=43.5,
            ap50=65.7,
            cfg="yolov4",
        ),
    ),
    "YOLOv4Tiny": DetectorSpec(
        backbones.CSPDarknet53Tiny,
        "fpn_tiny",
        TINY_ANCHORS,
        published=coco(DARKNET, 416, trainable=6_056_606, bflops=6.910, ap50=40.2, cfg="yolov4-tiny"),
    ),
}


@documented(VARIANTS)
def YOLOv3(
    classes: int | Collection[str] = 80,
    input_shape: tuple[int, int, int] = (416, 416, 3),
    *,
    weights: os.PathLike[str] | str | None = None,
    anchors: Anchors | Sequence[Sequence[float]] | None = None,
    activation: str = "leaky_relu",
    skip_mismatch: bool = False,
    name: str = "yolov3",
) -> Detector:
    """Build Darknet-53 with a Feature Pyramid Network (arXiv 1804.02767)."""
    return build(VARIANTS["YOLOv3"], **locals())


@documented(VARIANTS)
def YOLOv4(
    classes: int | Collection[str] = 80,
    input_shape: tuple[int, int, int] = (608, 608, 3),
    *,
    weights: os.PathLike[str] | str | None = None,
    anchors: Anchors | Sequence[Sequence[float]] | None = None,
    activation: str = "mish",
    skip_mismatch: bool = False,
    name: str = "yolov4",
) -> Detector:
    """Build CSPDarknet-53 with PANet-SPP (arXiv 2004.10934); `activation` is the backbone's, not the neck's."""
    return build(VARIANTS["YOLOv4"], **locals())


@documented(VARIANTS)
def YOLOv4Tiny(
    classes: int | Collection[str] = 80,
    input_shape: tuple[int, int, int] = (416, 416, 3),
    *,
    weights: os.PathLike[str] | str | None = None,
    anchors: Anchors | Sequence[Sequence[float]] | None = None,
    activation: str = "leaky_relu",
    skip_mismatch: bool = False,
    name: str = "yolov4_tiny",
) -> Detector:
    """Build the small CSPDarknet-53 with a Feature Pyramid Network of two scales."""
    return build(VARIANTS["YOLOv4Tiny"], **locals())
