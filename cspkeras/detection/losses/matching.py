"""Each object takes as many predictions as its best overlaps add up to: those of the least cost (OTA's dynamic k)."""

import numpy as np
from keras import ops

IMPOSSIBLE = 1e35  # cost of a pair that may not be assigned


def match(overlap, cost, candidates):
    """Assign predictions to objects.

    An object takes as many predictions as its `candidates` best overlaps add up to, at least one. A prediction that
    several objects take goes to the one of the least cost.

    Args:
        overlap: (N, M, P) IoU of M objects and P predictions, 0 where they may not be assigned to each other.
        cost: (N, M, P), `IMPOSSIBLE` where they may not.
        candidates: how many overlaps are added up, and so the most that an object takes.

    Returns:
        (index, positive, overlap), all (N, P): the object that a prediction is assigned to, whether it is assigned to
        any, and its IoU with that object.
    """
    most = min(candidates, overlap.shape[-1])
    number = ops.maximum(ops.floor(ops.sum(ops.top_k(overlap, most)[0], axis=-1, keepdims=True)), 1.0)
    least, place = ops.top_k(-cost, most)
    taken = ops.logical_and(np.arange(most, dtype="float32") < number, least > -IMPOSSIBLE)

    claims, owner = _count(place, taken, ops.shape(overlap))
    index = ops.where(claims > 1, ops.cast(ops.argmin(cost, axis=1), "int32"), owner)
    return index, claims > 0, ops.take_along_axis(overlap, index[:, None], axis=1)[:, 0]


def _count(place, taken, shape):
    """Return how many objects take each prediction, and the sum of their indices: both (N, P) int32.

    The predictions `place` are (N, M, K), as is whether the object has `taken` them; `shape` is (N, M, P).
    """
    n, m, p = shape
    flat = ops.cast(place, "int32") + p * ops.arange(n, dtype="int32")[:, None, None]
    flat, taken = ops.reshape(flat, (-1, 1)), ops.cast(taken, "int32")
    owner = taken * ops.arange(m, dtype="int32")[None, :, None]
    return [ops.reshape(ops.scatter(flat, ops.reshape(x, (-1,)), (n * p,)), (n, p)) for x in (taken, owner)]
