"""The overlap of two boxes in `keras.ops`: IoU and its successors.

Boxes are (..., 4) x1, y1, x2, y2 in any one unit; shapes broadcast. All gradients are finite, even without area.
"""

import math

from keras import ops


def size_iou(a, b):
    """Return the IoU of boxes (..., 2) of which only width and height are known, aligned at one corner."""
    smallest = ops.prod(ops.minimum(a, b), axis=-1)
    return smallest / (ops.prod(a, axis=-1) + ops.prod(b, axis=-1) - smallest + 1e-12)


def iou(a, b):
    """Return the intersection over union, 0..1. Boxes without area overlap nothing."""
    return _iou(a, b)[0]


def giou(a, b):
    """Return the generalized IoU (arXiv 1902.09630), -1..1: IoU less the share of the hull that neither box covers."""
    overlap, union = _iou(a, b)
    hull = ops.prod(_hull(a, b), axis=-1)
    return overlap - (hull - union) / ops.maximum(hull, 1e-12)


def diou(a, b):
    """Return the distance IoU (arXiv 1911.08287), -1..1.

    It is the IoU less the squared distance of the centres over the squared diagonal of the hull.
    """
    between = ((a[..., :2] + a[..., 2:]) - (b[..., :2] + b[..., 2:])) / 2
    diagonal = ops.sum(ops.square(_hull(a, b)), axis=-1)
    return iou(a, b) - ops.sum(ops.square(between), axis=-1) / (diagonal + 1e-9)


def ciou(a, b):
    """Return the complete IoU (arXiv 1911.08287): DIoU less the difference of the aspect ratios.

    The trade-off factor takes no gradient, as in the authors' code.
    """
    aspect = ops.square(_angle(a) - _angle(b)) * (4 / math.pi**2)
    weight = ops.stop_gradient(aspect / (1 - iou(a, b) + aspect + 1e-9))
    return diou(a, b) - weight * aspect


def _iou(a, b):
    # Side by side: a product over the last axis, of two, is slow on CPUs.
    common = ops.maximum(_overlap(a, b, 0), 0.0) * ops.maximum(_overlap(a, b, 1), 0.0)
    union = _area(a) + _area(b) - common
    return common / ops.maximum(union, 1e-12), union


def _overlap(a, b, axis):
    return ops.minimum(a[..., axis + 2], b[..., axis + 2]) - ops.maximum(a[..., axis], b[..., axis])


def _area(box):
    return (box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1])


def _hull(a, b):
    """Return width and height of the smallest box around both."""
    return ops.maximum(a[..., 2:], b[..., 2:]) - ops.minimum(a[..., :2], b[..., :2])


def _angle(box):
    width, height = box[..., 2] - box[..., 0], box[..., 3] - box[..., 1]
    return ops.arctan2(width, height + 1e-9)
