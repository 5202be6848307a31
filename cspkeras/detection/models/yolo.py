"""The paper's detectors and YOLO's: a row and a constructor each."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ... import backbones
from ...backbones.assembly import STRIDE
from ...backbones.loading import WEIGHT_FILES, is_darknet
from ...published import REPOSITORY, Published
from ...published import documented as documented_with
from ..anchors import STRIDES, YOLO_416, Anchors
from ..detector import Detector
from ..loading import load_weights

__all__ = [
    "CSPDarknet53PANetSPP",
    "CSPPeleeNetEFM",
    "CSPPeleeNetPRN",
    "CSPPeleeNetPRN3L",
    "CSPResNeXt50PANetSPP",
    "CSPResNet50PANetSPP",
    "YOLOv3",
    "YOLOv4",
    "YOLOv4Tiny",
]

PAPER, DARKNET = "arXiv 1911.11929", "github.com/AlexeyAB/darknet"
published = partial(Published, classes=80)
ARGUMENTS = {
    "classes": "number of classes, or a sequence of their names.",
    "input_shape": "(height, width, 3), height and width multiples of {stride}.",
    "sam": "whether each fused map passes a spatial attention module: EFM(SAM).",
    "spp": "whether the neck begins with spatial pyramid pooling: EFM(SPP).",
    "weights": f"None, or {WEIGHT_FILES}; one called NAME.conv.K holds the first K layers alone.",
    "anchors": "None for the published ones, pairs of (width, height) in pixels of the input, or `Anchors`. The "
    "published ones are scaled to the input; with a Darknet file they are its pixels at any size, as in Darknet.",
    "activation": "one of `cspkeras.blocks.ACTIVATIONS`.",
    "skip_mismatch": "whether the weights may be of another number of classes; the heads stay as initialized then.",
    "name": "the model's name.",
}


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
        backbones.CSPPeleeNet,
        "efm",
        BASE,
        published(PAPER, 416, trainable=4_370_749, bflops=5.068, ap=26.8, ap50=49.0, ap75=26.7),
    ),
    "CSPPeleeNetPRN": DetectorSpec(
        backbones.CSPPeleeNet,
        "prn",
        PRN,
        published(PAPER, 416, trainable=3_238_334, bflops=3.590, ap=23.1, ap50=44.5, ap75=22.0),
    ),
    "CSPPeleeNetPRN3L": DetectorSpec(
        backbones.CSPPeleeNet,
        "prn",
        BASE,
        published(PAPER, 416, trainable=3_435_581, bflops=4.586, ap50=46.0),
        {"levels": 3},
    ),
    "CSPResNet50PANetSPP": DetectorSpec(
        backbones.CSPResNet50,
        "panet_spp",
        BASE,
        published(REPOSITORY, 512, trainable=58_328_765, ap=38.0, ap50=60.5, ap75=40.7, cfg="csresnet50-panet-spp"),
    ),
    "CSPResNeXt50PANetSPP": DetectorSpec(
        backbones.CSPResNeXt50,
        "panet_spp",
        OPTIMAL,
        published(
            REPOSITORY,
            512,
            trainable=56_942_525,
            bflops=71.3,
            ap=42.4,
            ap50=64.4,
            ap75=45.9,
            cfg="csresnext50-panet-spp-original-optimal",
        ),
    ),
    "CSPDarknet53PANetSPP": DetectorSpec(
        backbones.CSPDarknet53,
        "panet_spp",
        BASE,
        published(REPOSITORY, 512, trainable=64_363_101, ap=38.7, ap50=61.3, ap75=41.7, cfg="csdarknet53-panet-spp"),
    ),
    "YOLOv3": DetectorSpec(
        backbones.Darknet53,
        "fpn",
        BASE,
        published("pjreddie.com/darknet/yolo", 416, trainable=61_949_149, bflops=65.86, ap50=55.3, cfg="yolov3"),
    ),
    "YOLOv4": DetectorSpec(
        backbones.CSPDarknet53,
        "panet_spp",
        OPTIMAL,
        # 128.5 counts the additions as well
        published(DARKNET, 608, trainable=64_363_101, bflops=128.5, ap=43.5, ap50=65.7, cfg="yolov4"),
        neck_activation="leaky_relu",
    ),
    "YOLOv4Tiny": DetectorSpec(
        backbones.CSPDarknet53Tiny,
        "fpn_tiny",
        TINY,
        published(DARKNET, 416, trainable=6_056_606, bflops=6.910, ap50=40.2, cfg="yolov4-tiny"),
    ),
}


documented = partial(documented_with, VARIANTS, ARGUMENTS)


def build(spec, *, classes, input_shape, weights=None, anchors=None, activation, skip_mismatch, name, **neck_options):
    """Build a detector from its `DetectorSpec`; see `YOLOv4` for the arguments."""
    size, pixels = tuple(input_shape[:2]), spec.anchors.pairs
    if weights is None or not is_darknet(weights):
        (height, width), (own_height, own_width) = size, spec.anchors.size
        pixels = pixels * [width, height] / [own_width, own_height]
    if not isinstance(anchors, Anchors):
        pixels = pixels if anchors is None else anchors
        anchors = Anchors.of(pixels, size, spec.anchors.strides, spec.anchors.scale_xy)
    detector = Detector(
        spec.backbone(include_top=False, input_shape=input_shape, activation=activation),
        spec.neck,
        classes,
        anchors=anchors,
        neck_options={**(spec.neck_options or {}), **neck_options},
        activation=spec.neck_activation or activation,
        name=name,
    )
    if weights is not None:
        load_weights(detector, weights, skip_mismatch=skip_mismatch)
    return detector


@documented()
def CSPPeleeNetEFM(
    classes=80,
    input_shape=(416, 416, 3),
    sam=True,
    spp=False,
    *,
    weights=None,
    anchors=None,
    activation="leaky_relu",
    skip_mismatch=False,
    name="csppeleenet_efm",
):
    """CSPPeleeNet with the paper's Exact Fusion Model; the figures are those of EFM(SAM)."""
    return build(VARIANTS["CSPPeleeNetEFM"], **locals())


@documented()
def CSPPeleeNetPRN(
    classes=80,
    input_shape=(416, 416, 3),
    *,
    weights=None,
    anchors=None,
    activation="leaky_relu",
    skip_mismatch=False,
    name="csppeleenet_prn",
):
    """CSPPeleeNet with a Partial Residual Network of two scales."""
    return build(VARIANTS["CSPPeleeNetPRN"], **locals())


@documented()
def CSPPeleeNetPRN3L(
    classes=80,
    input_shape=(416, 416, 3),
    *,
    weights=None,
    anchors=None,
    activation="leaky_relu",
    skip_mismatch=False,
    name="csppeleenet_prn3l",
):
    """CSPPeleeNet with a Partial Residual Network of three scales, the paper's PRN-3l."""
    return build(VARIANTS["CSPPeleeNetPRN3L"], **locals())


@documented()
def CSPResNet50PANetSPP(
    classes=80,
    input_shape=(512, 512, 3),
    *,
    weights=None,
    anchors=None,
    activation="leaky_relu",
    skip_mismatch=False,
    name="cspresnet50_panet_spp",
):
    """CSPResNet-50 with a Path Aggregation Network and spatial pyramid pooling."""
    return build(VARIANTS["CSPResNet50PANetSPP"], **locals())


@documented()
def CSPResNeXt50PANetSPP(
    classes=80,
    input_shape=(512, 512, 3),
    *,
    weights=None,
    anchors=None,
    activation="leaky_relu",
    skip_mismatch=False,
    name="cspresnext50_panet_spp",
):
    """CSPResNeXt-50 with a Path Aggregation Network and spatial pyramid pooling, the "optimal" one."""
    return build(VARIANTS["CSPResNeXt50PANetSPP"], **locals())


@documented()
def CSPDarknet53PANetSPP(
    classes=80,
    input_shape=(512, 512, 3),
    *,
    weights=None,
    anchors=None,
    activation="leaky_relu",
    skip_mismatch=False,
    name="cspdarknet53_panet_spp",
):
    """CSPDarknet-53 with a Path Aggregation Network and spatial pyramid pooling."""
    return build(VARIANTS["CSPDarknet53PANetSPP"], **locals())


@documented()
def YOLOv3(
    classes=80,
    input_shape=(416, 416, 3),
    *,
    weights=None,
    anchors=None,
    activation="leaky_relu",
    skip_mismatch=False,
    name="yolov3",
):
    """Darknet-53 with a Feature Pyramid Network (arXiv 1804.02767)."""
    return build(VARIANTS["YOLOv3"], **locals())


@documented()
def YOLOv4(
    classes=80,
    input_shape=(608, 608, 3),
    *,
    weights=None,
    anchors=None,
    activation="mish",
    skip_mismatch=False,
    name="yolov4",
):
    """CSPDarknet-53 with PANet-SPP (arXiv 2004.10934); `activation` is the backbone's, the neck's is leaky ReLU."""
    return build(VARIANTS["YOLOv4"], **locals())


@documented()
def YOLOv4Tiny(
    classes=80,
    input_shape=(416, 416, 3),
    *,
    weights=None,
    anchors=None,
    activation="leaky_relu",
    skip_mismatch=False,
    name="yolov4_tiny",
):
    """The small CSPDarknet-53 with a Feature Pyramid Network of two scales."""
    return build(VARIANTS["YOLOv4Tiny"], **locals())
