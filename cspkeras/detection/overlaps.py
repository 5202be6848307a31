"""How far two boxes overlap, in `keras.ops`: IoU and what was built on it.

Boxes are (..., 4) x1, y1, x2, y2 in any one unit; shapes broadcast. All gradients are finite, on boxes of no area too.
"""

import math

from keras import ops


def size_iou(a, b):
    """IoU of boxes (..., 2) of which only the sizes are known: laid over each other at one corner."""
    smallest = ops.prod(ops.minimum(a, b), axis=-1)
    return smallest / (ops.prod(a, axis=-1) + ops.prod(b, axis=-1) - smallest + 1e-12)


def iou(a, b):
    """Intersection over union, 0..1. Boxes of no area overlap nothing."""
    return _iou(a, b)[0]


def giou(a, b):
    """Generalized IoU (arXiv 1902.09630), -1..1: IoU less the part of the hull that neither box covers."""
    overlap, union = _iou(a, b)
    hull = ops.prod(_hull(a, b), axis=-1)
    return overlap - (hull - union) / ops.maximum(hull, 1e-12)


def diou(a, b):
    """Distance IoU (arXiv 1911.08287), -1..1: IoU less the centres' squared distance in the hull's squared diagonal."""
    between = ((a[..., :2] + a[..., 2:]) - (b[..., :2] + b[..., 2:])) / 2
    diagonal = ops.sum(ops.square(_hull(a, b)), axis=-1)
    return iou(a, b) - ops.sum(ops.square(between), axis=-1) / (diagonal + 1e-9)


def ciou(a, b):
    """Complete IoU (arXiv 1911.08287): DIoU less the difference of the aspect ratios.

    The trade-off factor takes no gradient, as in the authors' code.
    """
    aspect = ops.square(_angle(a) - _angle(b)) * (4 / math.pi**2)
    weight = ops.stop_gradient(aspect / (1 - iou(a, b) + aspect + 1e-9))
    return diou(a, b) - weight * aspect


def _iou(a, b):
    sides = ops.maximum(ops.minimum(a[..., 2:], b[..., 2:]) - ops.maximum(a[..., :2], b[..., :2]), 0.0)
    common = ops.prod(sides, axis=-1)
    union = ops.prod(a[..., 2:] - a[..., :2], axis=-1) + ops.prod(b[..., 2:] - b[..., :2], axis=-1) - common
    return common / ops.maximum(union, 1e-12), union


def _hull(a, b):
    """Width and height of the smallest box around both."""
    return ops.maximum(a[..., 2:], b[..., 2:]) - ops.minimum(a[..., :2], b[..., :2])


def _angle(box):
    width, height = box[..., 2] - box[..., 0], box[..., 3] - box[..., 1]
    return ops.arctan2(width, height + 1e-9)
