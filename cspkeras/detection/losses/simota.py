"""SimOTA, YOLOX's assignment (arXiv 2107.08430, section 2.1): each object takes the predictions of the least cost.

It follows Megvii's code that trained the published networks (releases 0.1 and 0.2, Apache-2.0).
"""

from keras import ops

from ..boxes import corners
from .matching import match
from .object_blocks import of_each_class

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
        truth: (N, M, 4) objects, x1, y1, x2, y2 in parts of the input, padded, M at least 1.
        labels: (N, M), below 0 for padding.
        grid: `anchors.Grid` of the P predictions.

    Returns:
        (index, positive, overlap), all (N, P): the object that a prediction is assigned to, whether it is assigned to
        any, and its IoU with that object, 0 where there is none.
    """
    boxes, class_cost = ops.stop_gradient(corners(boxes)), _class_cost(ops.stop_gradient(scores))

    def near(box):
        return ops.logical_or(*_places(box, grid))

    def cost(image, label, box, overlap):
        total = class_cost(image, label) - OVERLAP_WEIGHT * ops.log(overlap + 1e-8)
        return ops.where(ops.logical_and(*_places(box, grid)), total, total + OUTSIDE)

    return match(boxes, truth, labels, near, cost, CANDIDATES)


def _places(box, grid):
    """Return whether each cell's centre is near the centre of objects (B, 4), and whether in them: both (B, P)."""
    centres = grid.origins + grid.cells / 2
    near, inside = [], []
    for axis in (0, 1):
        low, high = box[:, axis, None], box[:, axis + 2, None]
        distance = ops.abs(centres[:, axis] - (low + high) / 2)
        near.append(distance < CENTRE_RADIUS * grid.cells[:, axis])
        inside.append(distance < (high - low) / 2)
    return ops.logical_and(*near), ops.logical_and(*inside)


def _class_cost(scores):
    """Return a function of images and labels (B,) to the cost (B, P) of scores (N, P, 1 + C).

    It is the cross-entropy of the root of objectness times class against the label.
    """
    hit = (ops.log_sigmoid(scores[..., 0:1]) + ops.log_sigmoid(scores[..., 1:])) / 2
    miss = ops.maximum(ops.log(-ops.expm1(hit)), -100.0)
    hit = ops.maximum(hit, -100.0)
    # The sum over all classes as if all were wrong, and what the right one changes.
    all_wrong, change = -ops.sum(miss, axis=-1), of_each_class(miss - hit)
    return lambda image, label: change(image, label) + ops.take(all_wrong, image, axis=0)
