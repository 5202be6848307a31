"""The detectors' table: a row each, with its published figures."""

from collections.abc import Callable
from dataclasses import dataclass

from .. import backbones
from ..backbones.assembly import REPOSITORY, STRIDE
from .anchors import STRIDES, YOLO_416, Anchors

PAPER, DARKNET = "arXiv 1911.11929", "github.com/AlexeyAB/darknet"


@dataclass(frozen=True)
class Published:
    """A detector's figures as published; accuracy on COCO in percent.

    Attributes:
        source: of the figures.
        size: side of the input in pixels that they are of.
        trainable: parameters as Keras counts them, with 80 classes.
        bflops: by the authors' rule (`cspkeras.analysis`), with 80 classes.
        ap, ap50, ap75: average precision.
        cfg: the name of the cfg without its ending, where one was published.
        params: parameters in millions, where they were published.
    """

    source: str
    size: int
    trainable: int
    bflops: float | None = None
    ap: float | None = None
    ap50: float | None = None
    ap75: float | None = None
    cfg: str | None = None
    params: float | None = None

    def __str__(self):
        figures = {"{} BFLOPs": self.bflops, "AP {}": self.ap, "AP50 {}": self.ap50, "AP75 {}": self.ap75}
        figures = ", ".join(text.format(figure) for text, figure in figures.items() if figure)
        return (
            f"Trainable parameters with 80 classes: {self.trainable:,}.\n"
            f"Published at {self.size}x{self.size}: {figures} ({self.source})."
        )


@dataclass(frozen=True)
class DetectorSpec:
    """One row a detector.

    Attributes:
        backbone: its constructor.
        neck: one of `necks.NECKS`.
        anchors: as published, in pixels of an input of their size.
        published: its figures.
        neck_options: keyword arguments of the neck.
        neck_activation: None for that of the backbone.
    """

    backbone: Callable
    neck: str
    anchors: Anchors
    published: Published
    neck_options: dict | None = None
    neck_activation: str | None = None

    @property
    def stride(self):
        """Of which the input's height and width must be multiples."""
        return STRIDE


OPTIMAL_512 = (12, 16), (19, 36), (40, 28), (36, 75), (76, 55), (72, 146), (142, 110), (192, 243), (459, 401)
BASE = Anchors.of(YOLO_416[3], (416, 416))
OPTIMAL = Anchors.of(OPTIMAL_512, (512, 512), scale_xy=(1.2, 1.1, 1.05))
PRN = Anchors.of(YOLO_416[2], (416, 416), STRIDES[1:])
TINY = Anchors.of(YOLO_416[2], (416, 416), STRIDES[1:], scale_xy=(1.05, 1.05))

VARIANTS = {
    "CSPPeleeNetEFM": DetectorSpec(
        backbones.CSPPeleeNet, "efm", BASE, Published(PAPER, 416, 4_370_749, 5.068, 26.8, 49.0, 26.7)
    ),
    "CSPPeleeNetPRN": DetectorSpec(
        backbones.CSPPeleeNet, "prn", PRN, Published(PAPER, 416, 3_238_334, 3.590, 23.1, 44.5, 22.0)
    ),
    "CSPPeleeNetPRN3L": DetectorSpec(
        backbones.CSPPeleeNet, "prn", BASE, Published(PAPER, 416, 3_435_581, 4.586, ap50=46.0), {"levels": 3}
    ),
    "CSPResNet50PANetSPP": DetectorSpec(
        backbones.CSPResNet50,
        "panet_spp",
        BASE,
        Published(REPOSITORY, 512, 58_328_765, None, 38.0, 60.5, 40.7, "csresnet50-panet-spp"),
    ),
    "CSPResNeXt50PANetSPP": DetectorSpec(
        backbones.CSPResNeXt50,
        "panet_spp",
        OPTIMAL,
        Published(REPOSITORY, 512, 56_942_525, 71.3, 42.4, 64.4, 45.9, "csresnext50-panet-spp-original-optimal"),
    ),
    "CSPDarknet53PANetSPP": DetectorSpec(
        backbones.CSPDarknet53,
        "panet_spp",
        BASE,
        Published(REPOSITORY, 512, 64_363_101, None, 38.7, 61.3, 41.7, "csdarknet53-panet-spp"),
    ),
    "YOLOv3": DetectorSpec(
        backbones.Darknet53,
        "fpn",
        BASE,
        Published("pjreddie.com/darknet/yolo", 416, 61_949_149, 65.86, ap50=55.3, cfg="yolov3"),
    ),
    "YOLOv4": DetectorSpec(
        backbones.CSPDarknet53,
        "panet_spp",
        OPTIMAL,
        # 128.5 counts the additions as well
        Published(DARKNET, 608, 64_363_101, 128.5, 43.5, 65.7, cfg="yolov4"),
        neck_activation="leaky_relu",
    ),
    "YOLOv4Tiny": DetectorSpec(
        backbones.CSPDarknet53Tiny,
        "fpn_tiny",
        TINY,
        Published(DARKNET, 416, 6_056_606, 6.910, ap50=40.2, cfg="yolov4-tiny"),
    ),
}
