"""The formats of detectors' outputs: cspkeras' own, and others' that are told apart by their shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if __package__ or TYPE_CHECKING:
    from .decoding import best, best_logits, best_products, corners, dequantize, sigmoid
else:  # as a script
    from decoding import best, best_logits, best_products, corners, dequantize, sigmoid

STRIDES = (8, 16, 32)
YOLOX_DECODE = dict(
    coding="free", levels=[dict(stride=stride, scale_xy=1.0, anchors=[[stride, stride]]) for stride in STRIDES]
)
LETTERBOX = dict(colors="RGB", mean=0.0, scale=1 / 255, resize="letterbox", fill=114)
PIXELS = 2  # centres beyond are pixels, not parts of the input
BACKGROUND = ("???", "background", "__background__", "unlabeled", "none", "n/a")  # names of a class that is none


class Format(NamedTuple):
    """What is known of a format.

    Attributes:
        about: its outputs, for people.
        classes: a function of the outputs' shapes by name and of the number of cells, the sum over strides of 8, 16
            and 32, to the number of classes, or 0 if the outputs are others. 0 cells: any number of boxes will do.
        read: a function of the outputs' details by name, of a function from these to raw arrays, of a `Grid`, of the
            input's (height, width) and of a threshold to what is above it: boxes x1, y1, x2, y2 (N, 4) in parts of
            the input, labels and scores, best first.
        settings: of a detector without its own: what differs from a letterboxed RGB input in 0..1.
    """

    about: str
    classes: Callable[[dict, int], int]
    read: Callable
    settings: dict = {}


def _named(shapes, cells):
    """The classes of outputs boxes (1, P, 4) and scores (1, P, classes)."""
    found = shapes.keys() >= {"boxes", "scores"} and len(shapes["boxes"]) == 3 == len(shapes["scores"])
    return shapes["scores"][2] if found else 0


def _single(shapes, boxes, extra):
    """The classes of a single output (1, boxes, extra + classes), for any number of boxes if that is 0."""
    (shape,) = shapes.values() if len(shapes) == 1 else [()]
    return max(0, shape[2] - extra) if len(shape) == 3 and boxes in (0, shape[1]) else 0


def _turned(shapes, cells):
    """The classes of a single output (1, 4 + classes, boxes), or turned round if any number of boxes will do."""
    classes = _single({name: (*shape[:1], *shape[:0:-1]) for name, shape in shapes.items()}, cells, 4)
    straight = 0 if cells else _single(shapes, 0, 4)
    return min(filter(None, (classes, straight)), default=0)


def _read_decoded(outputs, raw, grid, size, threshold):
    boxes, scores = outputs["boxes"], outputs["scores"]
    rows, labels, found = best(raw(scores), scores, threshold)
    y, x, height, width = np.hsplit(dequantize(raw(boxes)[rows], boxes), 4)
    return corners(np.hstack([x, y]), np.hstack([width, height])), labels, found


def _read_raw(outputs, raw, grid, size, threshold):
    boxes, scores = outputs["boxes"], outputs["scores"]
    logits = raw(scores)
    if not grid.coding.objectness:
        rows, labels, found = best_logits(logits, scores, threshold)
        return grid.boxes(dequantize(raw(boxes)[rows], boxes), rows), labels, found

    def classes(rows):
        return sigmoid(dequantize(logits[rows, 1:], scores))

    rows, labels, found = best_products(sigmoid(dequantize(logits[:, 0], scores)), classes, threshold)
    return grid.boxes(dequantize(raw(boxes)[rows], boxes), rows), labels, found


def _read_products(values, tensor, threshold):
    """Rows, labels and scores of (N, 5 + classes): box, objectness, classes."""

    def classes(rows):
        return dequantize(values[rows, 5:], tensor)

    return best_products(dequantize(values[:, 4], tensor), classes, threshold)


def _read_yolox(outputs, raw, grid, size, threshold):
    (tensor,) = outputs.values()
    rows, labels, scores = _read_products(raw(tensor), tensor, threshold)
    return grid.boxes(dequantize(raw(tensor)[rows, :4], tensor), rows), labels, scores


def _read_yolov5(outputs, raw, grid, size, threshold):
    (tensor,) = outputs.values()
    rows, labels, scores = _read_products(raw(tensor), tensor, threshold)
    return _centred(raw(tensor)[:, :4], tensor, rows, size), labels, scores


def _read_yolov8(outputs, raw, grid, size, threshold):
    (tensor,) = outputs.values()
    values = raw(tensor)
    if len(values) > values.shape[1]:  # fewer classes than boxes
        values = values.T
    labels, rows, scores = best(values[4:], tensor, threshold)
    return _centred(values[:4].T, tensor, rows, size), labels, scores


def _centred(boxes, tensor, rows, size):
    """Corners in parts of the input of boxes x, y, w, h in these or in its pixels, as all boxes' centres tell."""
    unit = np.array(size[::-1], np.float32)
    pixels = dequantize(np.fmax.reduce(boxes[:, :2], axis=None), tensor) > PIXELS
    found = dequantize(boxes[rows], tensor) / (np.tile(unit, 2) if pixels else 1)
    return corners(found[:, :2], found[:, 2:])


def _read_ssd(outputs, raw, grid, size, threshold):
    count = int(dequantize(raw(outputs["count"]), outputs["count"]))
    boxes, labels, scores = (
        dequantize(raw(outputs[name])[:count], outputs[name]) for name in ("boxes", "classes", "scores")
    )
    (rows,) = (scores > threshold).nonzero()
    rows = rows[(-scores[rows]).argsort(kind="stable")]
    return boxes[rows][:, [1, 0, 3, 2]], labels[rows].astype(int), scores[rows]


FORMATS = {
    "cyxhw": Format("outputs boxes (1, P, 4) and scores (1, P, C)", _named, _read_decoded),
    "raw": Format("outputs boxes and scores that are not decoded", _named, _read_raw),  # an objectness counts, too
    "ssd": Format(
        "the four outputs of TFLite_Detection_PostProcess",
        lambda shapes, cells: 0,  # its operation tells it, not its shapes
        _read_ssd,
        dict(iou_threshold=1.0, input=dict(mean=127.5, scale=1 / 127.5, resize="stretch")),  # suppressed inside
    ),
    "yolox": Format(
        "an output (1, P, 5 + C), a box a cell",
        lambda shapes, cells: _single(shapes, cells, 5),
        _read_yolox,
        dict(decode=YOLOX_DECODE, input=dict(colors="BGR", scale=1.0, resize="topleft")),
    ),
    "yolov5": Format(
        "an output (1, P, 5 + C), three boxes a cell", lambda shapes, cells: _single(shapes, 3 * cells, 5), _read_yolov5
    ),
    "yolov8": Format("an output (1, 4 + C, P), a box a cell", _turned, _read_yolov8),
}
CHOICES = ("ssd", "yolox", "yolov5", "yolov8")  # for who has another's file


def recognize(contents, size, asked=None):
    """Tell a file's format and number of classes from its outputs.

    Args:
        contents: its `Contents`.
        size: the input's (height, width).
        asked: one of `CHOICES`, which then only has to fit; None: "cyxhw" or one of these.

    Returns:
        A key of `FORMATS` and the number of classes.

    Raises:
        ValueError: no format fits, or several do.
    """
    cells = 0 if asked else sum((size[0] // stride) * (size[1] // stride) for stride in STRIDES)
    shapes = {output.name: output.shape for output in contents.outputs}
    if contents.detections:
        fitting = {"ssd": contents.classes}
    else:
        fitting = {name: FORMATS[name].classes(shapes, cells) for name in ("cyxhw", *CHOICES)}
    fitting = {name: classes for name, classes in fitting.items() if classes > 0 and asked in (None, name)}
    if len(fitting) == 1:
        return fitting.popitem()
    found = f"found {', '.join(map(str, contents.outputs)) or 'none'}"
    if fitting:
        raise ValueError(f"its outputs could be {' or '.join(fitting)}: say which with --format; {found}")
    if asked:
        raise ValueError(f"--format {asked} reads {FORMATS[asked].about}; {found}")
    known = "; ".join(f"{name}: {FORMATS[name].about}" for name in ("cyxhw", *CHOICES))
    raise ValueError(f"its outputs have an unknown format: {found}. Known: {known}")
