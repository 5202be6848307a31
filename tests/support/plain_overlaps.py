"""The overlaps of boxes (x1, y1, x2, y2), one pair at a time, from the papers' formulas."""

import math


def iou(a, b):
    union = _union(a, b)
    return _common(a, b) / union if union else 0.0


def giou(a, b):
    hull = math.prod(_hull(a, b))
    return iou(a, b) - (hull - _union(a, b)) / hull if hull else iou(a, b)


def diou(a, b):
    diagonal = sum(side**2 for side in _hull(a, b))
    distance = sum(((a[i] + a[i + 2]) / 2 - (b[i] + b[i + 2]) / 2) ** 2 for i in (0, 1))
    return iou(a, b) - (distance / diagonal if diagonal else 0.0)


def ciou(a, b):
    angles = [math.atan2(box[2] - box[0], box[3] - box[1] + 1e-9) for box in (a, b)]
    aspect = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
    weight = aspect / (1 - iou(a, b) + aspect) if aspect else 0.0
    return diou(a, b) - weight * aspect


def _common(a, b):
    return math.prod(max(min(a[i + 2], b[i + 2]) - max(a[i], b[i]), 0) for i in (0, 1))


def _union(a, b):
    return sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - _common(a, b)


def _hull(a, b):
    return [max(a[i + 2], b[i + 2]) - min(a[i], b[i]) for i in (0, 1)]
