"""SimOTA, YOLOX's assignment (arXiv 2107.08430, section 2.1): each object takes the predictions of the least cost.

It follows Megvii's code that trained the published networks (releases 0.1 and 0.2, Apache-2.0).
"""

from keras import ops

from ..boxes import corners
from ..overlaps import iou
from .matching import IMPOSSIBLE, match

CENTRE_RADIUS = 2.5  # in cells, from an object's centre to the cells that may be assigned to it
CANDIDATES = 10  # the sum of so many best overlaps is the number of predictions that an object takes
OVERLAP_WEIGHT = 3.0
OUTSIDE = 1e5  # cost of a cell that is not both in the box and near its centre


def assign_by_cost(boxes, scores, truth, labels, grid):
    """Assign predictions to objects, without gradients.

    Candidates are the cells whose centre lies in any object's box or within 2.5 cells of its centre. An object takes
    as many as its ten best overlaps add up to, at least one: those of the least cost of class and overlap, see `match`.

    Args:
        boxes: (N, P, 4) decoded predictions, cyxhw in parts of the input.
        scores: (N, P, 1 + C) raw objectness and classes.
        truth: (N, M, 4) objects, cyxhw in parts of the input, padded, M at least 1.
        labels: (N, M), below 0 for padding.
        grid: `anchors.Grid` of the P predictions.

    Returns:
        (index, positive, overlap), all (N, P): the object that a prediction is assigned to, whether it is assigned to
        any, and its IoU with that object.
    """
    boxes, scores = ops.stop_gradient(boxes), ops.stop_gradient(scores)
    valid = labels[..., None] >= 0
    near, inside = _places(truth, grid)
    candidate = ops.logical_and(ops.logical_or(near, inside), valid)
    candidate = ops.logical_and(ops.any(candidate, axis=1, keepdims=True), valid)

    overlap = iou(corners(truth)[:, :, None], corners(boxes)[:, None])
    overlap = ops.where(candidate, overlap, 0.0)
    cost = _class_cost(scores, labels) - OVERLAP_WEIGHT * ops.log(overlap + 1e-8)
    cost = ops.where(ops.logical_and(near, inside), cost, cost + OUTSIDE)
    cost = ops.where(candidate, cost, IMPOSSIBLE)

    return match(overlap, cost, CANDIDATES)


def _places(truth, grid):
    """Return whether each cell's centre is near each object's centre, and whether in its box: both (N, M, P)."""
    centres = grid.origins + grid.cells / 2
    near, inside = [], []
    for axis in (0, 1):  # x and y; cyxhw has y first
        distance = ops.abs(centres[:, axis] - truth[..., 1 - axis, None])
        near.append(distance < CENTRE_RADIUS * grid.cells[:, axis])
        inside.append(distance < truth[..., 3 - axis, None] / 2)
    return ops.logical_and(*near), ops.logical_and(*inside)


def _class_cost(scores, labels):
    """Return the cross-entropy of the root of objectness times class against each object's class: (N, M, P)."""
    hit = (ops.log_sigmoid(scores[..., 0:1]) + ops.log_sigmoid(scores[..., 1:])) / 2
    miss = ops.maximum(ops.log(-ops.expm1(hit)), -100.0)
    hit = ops.maximum(hit, -100.0)
    # The sum over all classes as if all were wrong, and what the right one changes.
    wanted = ops.one_hot(ops.maximum(labels, 0), scores.shape[-1] - 1, dtype=scores.dtype)
    return ops.matmul(wanted, ops.transpose(miss - hit, (0, 2, 1))) - ops.sum(miss, axis=-1)[:, None]
