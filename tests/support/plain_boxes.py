"""Anchors of every coding, and their boxes in plain Python."""

import math

from cspkeras.detection.anchors import Anchors

SIZE = 64, 128  # height, width
PAIRS = [(8, 9), (20, 12), (16, 30), (40, 40), (60, 20), (50, 60)]
FOUR = [(8, 9), (20, 12), (40, 40), (60, 100)]  # one for each of four levels
CODED = {
    "yolo": Anchors.of(PAIRS, SIZE, scale_xy=(1.2, 1.1, 1.05)),
    "free": Anchors.free(SIZE),
    "scaled": Anchors.of(FOUR, SIZE, (8, 16, 32, 64), scale_xy=(2.0, 2.0, 2.0, 1.5), coding="scaled"),
    "distances": Anchors.distances(SIZE, (8, 16, 32, 64)),
    "log_distances": Anchors.distances(SIZE, log=True),
}


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def box(coding, raw, anchor, scale, stride, column, row):
    """The x1, y1, x2, y2 in pixels of a prediction, as its paper or its framework has it."""
    a, b, c, d = raw
    if coding in ("distances", "log_distances"):  # mmdetection's distance2bbox
        left, top, right, bottom = (stride * (math.exp(x) if coding == "log_distances" else x) for x in raw)
        return column * stride - left, row * stride - top, column * stride + right, row * stride + bottom
    if coding == "free":  # YOLOX
        x, y, w, h = (a + column) * stride, (b + row) * stride, math.exp(c) * stride, math.exp(d) * stride
    else:  # Darknet's get_yolo_box, with and without new_coords
        x, y = ((cell + sigmoid(t) * scale - 0.5 * (scale - 1)) * stride for cell, t in ((column, a), (row, b)))
        if coding == "scaled":
            w, h = sigmoid(c) * sigmoid(c) * 4 * anchor[0], sigmoid(d) * sigmoid(d) * 4 * anchor[1]
        else:
            w, h = math.exp(c) * anchor[0], math.exp(d) * anchor[1]
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def boxes(anchors, raw):
    """The boxes of all predictions, raw numbers (P, 4), in pixels: a list of x1, y1, x2, y2."""
    height, width = anchors.size
    numbers, found = iter(raw.tolist()), []
    for pairs, stride, scale in zip(anchors.boxes, anchors.strides, anchors.scale_xy, strict=True):
        for row in range(height // stride):
            for column in range(width // stride):
                for pair in pairs:
                    found.append(box(anchors.coding, next(numbers), pair, scale, stride, column, row))
    assert next(numbers, None) is None
    return found


def scores(anchors, logits):
    """The scores of all predictions' logits (P, C), or (P, 1 + C) where the coding has an objectness."""
    rows = [[sigmoid(x) for x in row] for row in logits.tolist()]
    return [[row[0] * x for x in row[1:]] for row in rows] if anchors.objectness else rows
