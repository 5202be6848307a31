"""The paper's detectors and YOLO's, a constructor each."""

from functools import partial

from ..backbones.assembly import documented
from ..backbones.loading import WEIGHT_FILES, is_darknet
from .anchors import Anchors
from .detector import Detector
from .loading import load_weights
from .variants import VARIANTS

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


documented = partial(documented, VARIANTS, ARGUMENTS)


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
