"""DynamicSoftLabelAssigner, RTMDet's assignment (arXiv 2212.07784, section 3.3), as mmdetection 3 computes it.

It is SimOTA with soft labels: the class cost compares each score with the overlap that it should predict, and a smooth
cost of the distance to the object's centre replaces SimOTA's limit.
"""

from keras import ops

from ..boxes import corners
from .focal import cross_entropy
from .matching import match
from .object_blocks import of_each_class

CANDIDATES = 13  # the sum of so many best overlaps is the number of predictions that an object takes
OVERLAP_WEIGHT = 3.0
BETA = 2.0  # exponent of the class cost's factor |wanted - score|
CENTRE_RADIUS = 3.0  # strides; a prediction so far from an object's centre costs 1, one a stride farther ten times that
FARTHEST = 30.0  # strides beyond that radius; the cost of a farther one would leave the range of floats


def assign_by_soft_label(boxes, scores, truth, labels, grid):
    """Assign predictions to objects, without gradients.

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
        any, and its IoU with that object, 0 where there is none.
    """
    boxes, class_cost = ops.stop_gradient(corners(boxes)), _class_cost(ops.stop_gradient(scores))

    def near(box):
        return _places(box, grid)[0]

    def cost(image, label, box, overlap):
        distance = ops.power(10.0, ops.minimum(_places(box, grid)[1] - CENTRE_RADIUS, FARTHEST))
        return class_cost(image, label, overlap) - OVERLAP_WEIGHT * ops.log(overlap + 1e-7) + distance

    return match(boxes, truth, labels, near, cost, CANDIDATES)


def _places(box, grid):
    """Return whether each cell's corner is in objects (B, 4), and its distance in strides from the centre: (B, P)."""
    inside, squares = [], []
    for axis in (0, 1):
        place, low, high = grid.origins[:, axis], box[:, axis, None], box[:, axis + 2, None]
        inside.append(ops.logical_and(low < place, place < high))
        squares.append(ops.square((place - (low + high) / 2) / grid.cells[:, axis]))
    return ops.logical_and(*inside), ops.sqrt(sum(squares))


def _class_cost(scores):
    """Return a function of images, labels (B,) and overlaps (B, P) to the cost (B, P) of scores (N, P, C).

    The score of the label should be the overlap, the others 0.
    """
    wrong = cross_entropy(0.0, scores, BETA)
    # The sum over all classes as if all were wrong, and what the right one changes.
    all_wrong, score, alone = ops.sum(wrong, axis=-1), of_each_class(scores), of_each_class(wrong)

    def cost(image, label, overlap):
        right = cross_entropy(overlap, score(image, label), BETA) - alone(image, label)
        return right + ops.take(all_wrong, image, axis=0)

    return cost
