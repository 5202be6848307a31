"""What the detectors of all families share: their row, their documentation and how they are put together."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import keras

from ...backbones.assembly import Spec
from ...backbones.loading import WEIGHT_FILES, is_darknet
from ...published import Published
from ...published import documented as documented_with
from ..anchors import STRIDES, YOLO_416, Anchors
from ..detector import Detector
from ..loading import load_weights

coco = partial(Published, classes=80)

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
EXAMPLE = """\
>>> detector = cspkeras.{name}(classes=["cat", "dog"], input_shape=(64, 64, 3))
>>> detector.class_names
('cat', 'dog')"""

YOLOV3_ANCHORS = Anchors.of(YOLO_416[3], (416, 416))
PRN_ANCHORS = Anchors.of(YOLO_416[2], (416, 416), STRIDES[1:])
TINY_ANCHORS = Anchors.of(YOLO_416[2], (416, 416), STRIDES[1:], scale_xy=(1.05, 1.05))
YOLOV4_ANCHORS = Anchors.of(
    [(12, 16), (19, 36), (40, 28), (36, 75), (76, 55), (72, 146), (142, 110), (192, 243), (459, 401)],
    (512, 512),
    scale_xy=(1.2, 1.1, 1.05),
)


@dataclass(frozen=True)
class DetectorSpec(Spec):
    """One row a detector, with its `published` figures."""

    backbone: Callable[..., keras.Model]  # its constructor
    neck: str  # one of `necks.NECKS`
    anchors: Anchors  # as published, in pixels of an input of their size
    neck_options: dict | None = None  # keyword arguments of the neck
    neck_activation: str | None = None  # None for that of the backbone
    widened: bool = False  # whether the heads begin with a 3x3 convolution, with the neck's activation
    heads_last: bool = False  # whether the cfg has them after the whole neck

    @property
    def stride(self):
        return self.anchors.strides[-1]


def documented(variants, arguments=ARGUMENTS):
    """Return the decorator that completes the docstring of a detector's constructor."""
    return documented_with(variants, arguments, "A `Detector`.", EXAMPLE)


def fixed_size(input_shape):
    """Return (height, width) of a detector's input; raise a ValueError where one of them is not fixed."""
    if not isinstance(input_shape, (tuple, list)) or None in input_shape[:2]:
        raise ValueError(f"a detector needs a fixed input size, (height, width, 3). Received: {input_shape=!r}")
    return tuple(input_shape[:2])


def build(spec, *, classes, input_shape, weights=None, anchors=None, activation, skip_mismatch, name, **neck_options):
    """Build a detector from its `DetectorSpec`; see `YOLOv4` for the arguments."""
    size, pixels = fixed_size(input_shape), spec.anchors.pairs
    if weights is None or not is_darknet(weights):
        (height, width), (own_height, own_width) = size, spec.anchors.size
        pixels = pixels * [width, height] / [own_width, own_height]
    if not isinstance(anchors, Anchors):
        pixels = pixels if anchors is None else anchors
        anchors = Anchors.of(pixels, size, spec.anchors.strides, spec.anchors.scale_xy, spec.anchors.coding)
    neck_activation = spec.neck_activation or activation
    detector = Detector(
        spec.backbone(include_top=False, input_shape=input_shape, activation=activation),
        spec.neck,
        classes,
        anchors=anchors,
        neck_options={**(spec.neck_options or {}), **neck_options},
        head_options=dict(widened=True, activation=neck_activation) if spec.widened else None,
        activation=neck_activation,
        name=name,
    )
    if weights is not None:
        load_weights(detector, weights, skip_mismatch=skip_mismatch, heads_last=spec.heads_last)
    return detector
