"""Each object takes as many predictions as its best overlaps add up to: those of the least cost (OTA's dynamic k)."""

import numpy as np
from keras import ops

from ..overlaps import iou
from .object_blocks import any_object, fold, rows_of

IMPOSSIBLE = 1e35  # cost of a pair that may not be assigned


def match(boxes, truth, labels, near, cost, candidates):
    """Assign predictions to objects.

    Candidates are the predictions that are near to any object of their image. An object takes as many of them as its
    `candidates` best overlaps add up to, at least one. A prediction that several objects take goes to the one of the
    least cost. Objects are compared in blocks, so their number does not matter for the memory.

    Args:
        boxes: (N, P, 4) predictions, x1, y1, x2, y2, without gradients.
        truth: (N, M, 4) objects, the same, padded, M at least 1.
        labels: (N, M), below 0 for padding.
        near: function of objects (B, 4) to whether a prediction is near to them, (B, P).
        cost: function of the images (B,), labels (B,), boxes (B, 4) of objects and their overlap with the predictions
            (B, P), 0 where a prediction is not a candidate, to the costs (B, P).
        candidates: how many overlaps are added up, and so the most that an object takes.

    Returns:
        (index, positive, overlap), all (N, P): the object that a prediction is assigned to, whether it is assigned to
        any, and its IoU with that object, 0 where there is none.
    """
    labels, valid, count = ops.cast(labels, "int32"), labels >= 0, boxes.shape[1]
    n, m = ops.shape(valid)
    objects, most = rows_of(truth), min(candidates, count)
    candidate = any_object(lambda image, row: near(ops.take(objects, row, axis=0)), valid, count)

    def step(state, row, real):
        claims, owner, least, index = state
        image, number, box = row // m, row % m, ops.take(objects, row, axis=0)
        free = ops.logical_and(ops.take(candidate, image, axis=0), real[:, None])
        overlap = ops.where(free, iou(box[:, None], ops.take(boxes, image, axis=0)), 0.0)
        price = cost(image, ops.take(rows_of(labels), row), box, overlap)
        price = ops.where(free, price, IMPOSSIBLE)

        wanted = ops.maximum(ops.floor(ops.sum(ops.top_k(overlap, most)[0], axis=-1, keepdims=True)), 1.0)
        lowest, place = ops.top_k(-price, most)
        taken = ops.logical_and(np.arange(most, dtype="float32") < wanted, lowest > -IMPOSSIBLE)
        place, taken = ops.cast(place, "int32") + image[:, None] * count, ops.cast(taken, "int32")

        # The first object of the least cost for each prediction.
        price_here = ops.segment_min(price, image, num_segments=n)
        first = ops.where(price == ops.take(price_here, image, axis=0), number[:, None], m)
        index_here, lower = ops.segment_min(first, image, num_segments=n), price_here < least
        return (
            claims + _sums(place, taken, (n, count)),
            owner + _sums(place, taken * number[:, None], (n, count)),
            ops.where(lower, price_here, least),
            ops.where(lower, index_here, index),
        )

    none = ops.zeros((n, count), "int32")
    claims, owner, _, index = fold(step, (none, none, ops.full((n, count), IMPOSSIBLE), none), valid, count)
    index, positive = ops.where(claims > 1, index, owner), claims > 0
    assigned = ops.take_along_axis(truth, index[..., None], axis=1)
    return index, positive, ops.where(positive, iou(assigned, boxes), 0.0)


def _sums(place, values, shape):
    """Return the sums of values of the same place in (N * P,): (N, P)."""
    n, p = shape
    return ops.reshape(ops.scatter(ops.reshape(place, (-1, 1)), ops.reshape(values, (-1,)), (n * p,)), (n, p))
