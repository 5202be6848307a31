"""Assign objects to anchors by the IoU of their shapes; each anchor has one exact scale."""

import numpy as np
from keras import ops

from ..overlaps import size_iou


def assign(boxes, valid, anchors, iou_threshold):
    """Assign every object to its best anchor, and to all others whose shapes' IoU is above a threshold.

    `boxes` (N, M, 4) are cyxhw in parts of the input, `valid` (N, M) false for padding. The threshold is Darknet's
    iou_thresh; 1 leaves only the best. Return (index, positive), both (N, M, A): the prediction of each anchor in the
    cell of the object's centre, and whether it is assigned to the object.
    """
    height, width = anchors.size
    overlap = size_iou(ops.flip(boxes[:, :, None, 2:4], -1), anchors.pairs / np.float32([width, height]))
    best = ops.argmax(overlap, axis=-1)
    positive = ops.logical_or(ops.one_hot(best, overlap.shape[-1], dtype="bool"), overlap > iou_threshold)

    columns = []
    for offset, stride, level in zip(anchors.offsets(), anchors.strides, anchors.boxes, strict=True):
        rows, cols = height // stride, width // stride
        # A centre on the right or lower edge belongs to the last cell.
        y = ops.cast(ops.clip(ops.floor(boxes[..., 0] * rows), 0, rows - 1), "int32")
        x = ops.cast(ops.clip(ops.floor(boxes[..., 1] * cols), 0, cols - 1), "int32")
        columns += [int(offset) + (y * cols + x) * len(level) + a for a in range(len(level))]
    return ops.stack(columns, axis=-1), ops.logical_and(positive, valid[..., None])
