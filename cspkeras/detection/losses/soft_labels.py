"""DynamicSoftLabelAssigner, RTMDet's assignment (arXiv 2212.07784, section 3.3), as mmdetection 3 computes it.

It is SimOTA with soft labels: the class cost compares each score with the overlap that it should predict, and a smooth
cost of the distance to the object's centre replaces SimOTA's limit.
"""

from keras import ops

from ..boxes import corners
from ..overlaps import iou
from .focal import cross_entropy
from .matching import IMPOSSIBLE, match

CANDIDATES = 13  # the sum of so many best overlaps is the number of predictions that an object takes
OVERLAP_WEIGHT = 3.0
BETA = 2.0  # exponent of the class cost's factor |wanted - score|
CENTRE_RADIUS = 3.0  # strides; a prediction so far from an object's centre costs 1, one a stride farther ten times that
FARTHEST = 30.0  # strides beyond that radius; the cost of a farther one would leave the range of floats


def assign_by_soft_label(boxes, scores, truth, labels, grid):
    """Assign predictions to objects, without gradients, one image after another: all at once take too much memory.

    Candidates are the predictions whose cell's corner lies in any object's box. An object takes as many of them as its
    13 best overlaps add up to, at least one: those of the least cost of class, overlap and distance, see `match`.

    Args:
        boxes: (N, P, 4) decoded predictions, cyxhw in parts of the input.
        scores: (N, P, C) raw classes.
        truth: (N, M, 4) objects, x1, y1, x2, y2 in parts of the input, padded, M at least 1.
        labels: (N, M), below 0 for padding.
        grid: `anchors.Grid` of the P predictions.

    Returns:
        (index, positive, overlap), all (N, P): the object that a prediction is assigned to, whether it is assigned to
        any, and its IoU with that object.
    """
    boxes, scores = ops.stop_gradient(corners(boxes)), ops.stop_gradient(scores)

    def assign(image):
        return [one[0] for one in _assign(*(part[None] for part in image), grid)]

    return ops.map(assign, [boxes, scores, truth, labels])


def _assign(boxes, scores, truth, labels, grid):
    valid = labels[..., None] >= 0
    inside, distance = _places(truth, grid)
    candidate = ops.logical_and(ops.any(ops.logical_and(inside, valid), axis=1, keepdims=True), valid)

    overlap = ops.where(candidate, iou(truth[:, :, None], boxes[:, None]), 0.0)
    cost = _class_cost(scores, labels, overlap) - OVERLAP_WEIGHT * ops.log(overlap + 1e-7)
    cost = cost + ops.power(10.0, ops.minimum(distance - CENTRE_RADIUS, FARTHEST))
    return match(overlap, ops.where(candidate, cost, IMPOSSIBLE), CANDIDATES)


def _places(truth, grid):
    """Return whether each cell's corner is in each object's box, and its distance in strides from the centre.

    Both are (N, M, P).
    """
    inside, squares = [], []
    for axis in (0, 1):
        place, low, high = grid.origins[:, axis], truth[..., axis, None], truth[..., axis + 2, None]
        inside.append(ops.logical_and(low < place, place < high))
        squares.append(ops.square((place - (low + high) / 2) / grid.cells[:, axis]))
    return ops.logical_and(*inside), ops.sqrt(sum(squares))


def _class_cost(scores, labels, overlap):
    """Return the cost (N, M, P) of scores: that of the object's class should be the overlap, the others 0."""
    wrong = cross_entropy(0.0, scores, BETA)
    classes = ops.one_hot(ops.maximum(labels, 0), scores.shape[-1], dtype=scores.dtype)
    # The sum over all classes as if all were wrong, and what the right one changes.
    score, alone = (ops.matmul(classes, ops.transpose(x, (0, 2, 1))) for x in (scores, wrong))
    return cross_entropy(overlap, score, BETA) - alone + ops.sum(wrong, axis=-1)[:, None]
