"""The CSPNet paper's detectors: a row and a constructor each."""

import os
from collections.abc import Collection, Sequence

from ... import backbones
from ...published import REPOSITORY
from ..anchors import Anchors
from ..detector import Detector
from .assembly import PRN_ANCHORS, YOLOV3_ANCHORS, YOLOV4_ANCHORS, DetectorSpec, build, coco, documented

__all__ = [
    "CSPDarknet53PANetSPP",
    "CSPPeleeNetEFM",
    "CSPPeleeNetPRN",
    "CSPPeleeNetPRN3L",
    "CSPResNeXt50PANetSPP",
    "CSPResNet50PANetSPP",
]

PAPER = "arXiv 1911.11929"
VARIANTS = {
    "CSPPeleeNetEFM": DetectorSpec(
        backbones.CSPPeleeNet,
        "efm",
        YOLOV3_ANCHORS,
        published=coco(PAPER, 416, trainable=4_370_749, bflops=5.068, counted=5.080, ap=26.8, ap50=49.0, ap75=26.7),
    ),
    "CSPPeleeNetPRN": DetectorSpec(
        backbones.CSPPeleeNet,
        "prn",
        PRN_ANCHORS,
        published=coco(PAPER, 416, trainable=3_238_334, bflops=3.590, ap=23.1, ap50=44.5, ap75=22.0),
    ),
    "CSPPeleeNetPRN3L": DetectorSpec(
        backbones.CSPPeleeNet,
        "prn",
        YOLOV3_ANCHORS,
        neck_options={"levels": 3},
        published=coco(PAPER, 416, trainable=3_435_581, bflops=4.586, ap50=46.0),
    ),
    "CSPResNet50PANetSPP": DetectorSpec(
        backbones.CSPResNet50,
        "panet_spp",
        YOLOV3_ANCHORS,
        published=coco(
            REPOSITORY, 512, trainable=58_328_765, ap=38.0, ap50=60.5, ap75=40.7, cfg="csresnet50-panet-spp"
        ),
    ),
    "CSPResNeXt50PANetSPP": DetectorSpec(
        backbones.CSPResNeXt50,
        "panet_spp",
        YOLOV4_ANCHORS,
        published=coco(
            REPOSITORY,
            512,
            trainable=56_942_525,
            bflops=71.3,
            counted=71.331,
            ap=42.4,
            ap50=64.4,
            ap75=45.9,
            cfg="csresnext50-panet-spp-original-optimal",
        ),
    ),
    "CSPDarknet53PANetSPP": DetectorSpec(
        backbones.CSPDarknet53,
        "panet_spp",
        YOLOV3_ANCHORS,
        published=coco(
            REPOSITORY, 512, trainable=64_363_101, ap=38.7, ap50=61.3, ap75=41.7, cfg="csdarknet53-panet-spp"
        ),
    ),
}


@documented(VARIANTS)
def CSPPeleeNetEFM(
    classes: int | Collection[str] = 80,
    input_shape: tuple[int, int, int] = (416, 416, 3),
    sam: bool = True,
    spp: bool = False,
    *,
    weights: os.PathLike[str] | str | None = None,
    anchors: Anchors | Sequence[Sequence[float]] | None = None,
    activation: str = "leaky_relu",
    skip_mismatch: bool = False,
    name: str = "csppeleenet_efm",
) -> Detector:
    """Build CSPPeleeNet with the paper's Exact Fusion Model; the figures are those of EFM(SAM)."""
    return build(VARIANTS["CSPPeleeNetEFM"], **locals())


@documented(VARIANTS)
def CSPPeleeNetPRN(
    classes: int | Collection[str] = 80,
    input_shape: tuple[int, int, int] = (416, 416, 3),
    *,
    weights: os.PathLike[str] | str | None = None,
    anchors: Anchors | Sequence[Sequence[float]] | None = None,
    activation: str = "leaky_relu",
    skip_mismatch: bool = False,
    name: str = "csppeleenet_prn",
) -> Detector:
    """Build CSPPeleeNet with a Partial Residual Network of two scales."""
    return build(VARIANTS["CSPPeleeNetPRN"], **locals())


@documented(VARIANTS)
def CSPPeleeNetPRN3L(
    classes: int | Collection[str] = 80,
    input_shape: tuple[int, int, int] = (416, 416, 3),
    *,
    weights: os.PathLike[str] | str | None = None,
    anchors: Anchors | Sequence[Sequence[float]] | None = None,
    activation: str = "leaky_relu",
    skip_mismatch: bool = False,
    name: str = "csppeleenet_prn3l",
) -> Detector:
    """Build CSPPeleeNet with a Partial Residual Network of three scales, the paper's PRN-3l."""
    return build(VARIANTS["CSPPeleeNetPRN3L"], **locals())


@documented(VARIANTS)
def CSPResNet50PANetSPP(
    classes: int | Collection[str] = 80,
    input_shape: tuple[int, int, int] = (512, 512, 3),
    *,
    weights: os.PathLike[str] | str | None = None,
    anchors: Anchors | Sequence[Sequence[float]] | None = None,
    activation: str = "leaky_relu",
    skip_mismatch: bool = False,
    name: str = "cspresnet50_panet_spp",
) -> Detector:
    """Build CSPResNet-50 with a Path Aggregation Network and spatial pyramid pooling."""
    return build(VARIANTS["CSPResNet50PANetSPP"], **locals())


@documented(VARIANTS)
def CSPResNeXt50PANetSPP(
    classes: int | Collection[str] = 80,
    input_shape: tuple[int, int, int] = (512, 512, 3),
    *,
    weights: os.PathLike[str] | str | None = None,
    anchors: Anchors | Sequence[Sequence[float]] | None = None,
    activation: str = "leaky_relu",
    skip_mismatch: bool = False,
    name: str = "cspresnext50_panet_spp",
) -> Detector:
    """Build CSPResNeXt-50 with a Path Aggregation Network and spatial pyramid pooling, the "optimal" one."""
    return build(VARIANTS["CSPResNeXt50PANetSPP"], **locals())


@documented(VARIANTS)
def CSPDarknet53PANetSPP(
    classes: int | Collection[str] = 80,
    input_shape: tuple[int, int, int] = (512, 512, 3),
    *,
    weights: os.PathLike[str] | str | None = None,
    anchors: Anchors | Sequence[Sequence[float]] | None = None,
    activation: str = "leaky_relu",
    skip_mismatch: bool = False,
    name: str = "cspdarknet53_panet_spp",
) -> Detector:
    """Build CSPDarknet-53 with a Path Aggregation Network and spatial pyramid pooling."""
    return build(VARIANTS["CSPDarknet53PANetSPP"], **locals())
