"""YOLOX (arXiv 2107.08430; Megvii's YOLOX, Apache-2.0) in the sizes that suit a phone."""

from dataclasses import dataclass
from functools import partial

from ...backbones import yolox_darknet
from ...backbones.loading import is_darknet, is_keras
from ...published import Published
from ...weights.bundled import BUNDLED, load_bundled
from ...weights.yolox import load_yolox
from ..anchors import Anchors
from ..detector import Detector
from ..loading import load_weights

__all__ = ["YOLOXNano", "YOLOXS", "YOLOXTiny"]


@dataclass(frozen=True)
class YoloxSpec:
    """One row a variant."""

    width: int  # channels of the stem; the head has four times as many
    depth: int  # bottlenecks of a CSP layer; three times as many in the two stages between
    depthwise: bool  # whether the 3x3 convolutions are depthwise separable
    published: Published | None = None
    anchors: None = None  # its head has none


MEGVII = "github.com/Megvii-BaseDetection/YOLOX"  # its GFLOPs count a multiplication and an addition as two, as BFLOPs
published = partial(Published, MEGVII, size=416, classes=80)

VARIANTS = {
    "YOLOXNano": YoloxSpec(16, 1, True, published(trainable=912_159, bflops=1.08, ap=25.8, params=0.91)),
    "YOLOXTiny": YoloxSpec(24, 1, False, published(trainable=5_055_855, bflops=6.45, ap=32.8, params=5.06)),
    "YOLOXS": YoloxSpec(32, 1, False, published(trainable=8_968_255, size=640, bflops=26.8, ap=40.5, params=9.0)),
}


def build(spec, *, classes, input_shape, weights=None, skip_mismatch=False, activation="swish", name):
    """Build a network of the family from its `YoloxSpec`; see `YOLOXNano` for the arguments."""
    bundled = BUNDLED.get(str(weights))
    if classes is None:
        classes = bundled.classes if bundled else 80
    if input_shape is None:
        side = bundled.size if bundled else spec.published.size
        input_shape = (side, side, 3)
    options = dict(depthwise=spec.depthwise, activation=activation)
    backbone = yolox_darknet.build(spec.width, spec.depth, input_shape=input_shape, **options, name=f"{name}_backbone")
    model = Detector(
        backbone,
        "pafpn",
        classes,
        anchors=Anchors.free(backbone.input_shape[1:3]),
        neck_options=dict(blocks=spec.depth, depthwise=spec.depthwise),
        head="decoupled",
        head_options=dict(width=4 * spec.width, **options),
        activation=activation,
        name=name,
    )
    if bundled:
        load_bundled(model, str(weights), skip_mismatch)
    elif is_keras(weights) or is_darknet(weights):  # the latter is an error
        load_weights(model, weights)
    elif weights is not None:
        load_yolox(model, weights, skip_mismatch)
    return model


def YOLOXNano(
    classes=None, input_shape=None, weights=None, *, skip_mismatch=False, activation="swish", name="yoloxnano"
):
    """YOLOX-Nano: 0.91M parameters, 1.08 GFLOPs and 25.8 AP on COCO at 416.

    Args:
        classes: number of classes, or a sequence of their names; None for 80, or for those of `weights="bccd"`.
        input_shape: (height, width, 3), height and width multiples of 32; None for (416, 416, 3), or for what
            `weights="bccd"` was trained at.
        weights: None; "bccd", which comes with this package and finds blood cells; the .onnx file that YOLOX publishes
            or exports; a .keras or .weights.h5 file. The images stay RGB in 0..1, whatever the file's network took. A
            .onnx file has no batch-norms any more: see `cspkeras.weights.unfold_norms` before training.
        skip_mismatch: whether the class predictions of "bccd" or of a .onnx file may be of another number of classes;
            they stay as initialized then, for training on own classes.
        activation: one of `cspkeras.blocks.ACTIVATIONS`; the published networks have "swish".
        name: the model's name.

    Returns:
        A `Detector`.

    Raises:
        ValueError: for a wrong argument, or a file that does not fit, naming the layer.
        OSError: where the file can't be read.
        ModuleNotFoundError: for a .onnx file where the package onnx is not installed.
    """
    return build(VARIANTS["YOLOXNano"], **locals())


def YOLOXTiny(
    classes=None, input_shape=None, weights=None, *, skip_mismatch=False, activation="swish", name="yoloxtiny"
):
    """YOLOX-Tiny: 5.06M parameters, 6.45 GFLOPs and 32.8 AP on COCO at 416; arguments as `YOLOXNano`'s, no "bccd"."""
    return build(VARIANTS["YOLOXTiny"], **locals())


def YOLOXS(classes=None, input_shape=None, weights=None, *, skip_mismatch=False, activation="swish", name="yoloxs"):
    """YOLOX-S: 9.0M parameters, 26.8 GFLOPs and 40.5 AP on COCO at 640, its own size; otherwise as `YOLOXTiny`."""
    return build(VARIANTS["YOLOXS"], **locals())
