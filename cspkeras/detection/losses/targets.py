"""The targets of a detector's training: padded boxes and labels, which of them are objects, and what each weighs."""

import numpy as np
from keras import ops

FARTHEST = 1e6  # largest coordinate of a box; the squares of larger ones overflow float32


def objects(target, classes):
    """Return the objects of a target.

    Args:
        target: {"boxes": (N, M, 4) x1, y1, x2, y2 in parts of the input, "labels": (N, M)}. Labels below 0 are padding;
            so are labels of unknown classes and boxes that have no area, NaN, or a coordinate beyond FARTHEST.
        classes: number of classes.

    Returns:
        (labels (N, M + 1), corners (N, M + 1, 4), valid (N, M + 1)); an invalid one has class 0 and an ordinary box.
        The last row of each image is invalid: an index can point to it where there is no object.
    """
    labels = ops.pad(ops.cast(target["labels"], "int32"), ((0, 0), (0, 1)), constant_values=-1)
    boxes = ops.pad(ops.cast(target["boxes"], "float32"), ((0, 0), (0, 1), (0, 0)))
    in_range = ops.all(ops.abs(boxes) <= FARTHEST, axis=-1)  # false for NaN
    sound = ops.logical_and(in_range, ops.all(boxes[..., 2:] > boxes[..., :2], axis=-1))
    valid = ops.logical_and(sound, ops.logical_and(labels >= 0, labels < classes))
    # NaN would reach the loss and the gradient even if it were multiplied by 0.
    whole = np.float32([0, 0, 1, 1])
    return ops.where(valid, labels, 0), ops.where(valid[..., None], boxes, whole), valid


def weighted(values, sample_weight):
    """Return values (N, ...) times the weights (N,) of the images; None for 1 each."""
    if sample_weight is None:
        return values
    weights = ops.cast(sample_weight, "float32")
    return values * ops.reshape(weights, (-1, *[1] * (len(values.shape) - 1)))


def checked_class_weights(weights, classes):
    """Return the weights of the classes (C,), None for 1 each; raise a ValueError for another number of them."""
    checked = np.ones(classes, "float32") if weights is None else np.float32(weights)
    if checked.shape != (classes,) or not (checked >= 0).all():
        raise ValueError(f"class_weights must be {classes} numbers of at least 0. Received: {checked}")
    return checked
