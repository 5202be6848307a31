"""Non-maximum suppression in NumPy: greedy, by DIoU, or soft."""

import numpy as np

SUPPRESSIONS = ("greedy", "diou", "soft")
SOFT_CANDIDATES = 300  # the best (box, class) pairs, those that soft suppression sees
SOFT_SIGMA = 0.5  # of soft suppression's Gaussian, as published
BLOCK = 128  # boxes that are compared at once: more cost more pairs, fewer more calls


def suppress(boxes, labels, scores, iou_threshold, score_threshold=0, method="greedy", class_agnostic=False):
    """Suppress (N, 4) boxes, best first, within each class or all; return the indices that stay, and their scores.

    "greedy": a better box drops those that overlap it by more than `iou_threshold`. "diou": the same, boxes with other
    centres overlapping less. "soft": it lowers their scores, by the overlap.
    """
    if class_agnostic:
        labels = np.zeros_like(labels)
    if method == "soft":
        return suppress_softly(boxes[:SOFT_CANDIDATES], labels, scores, score_threshold)

    def beaten(rivals, block):
        over = overlaps(boxes[rivals], boxes[block], method == "diou") > iou_threshold
        return over & (labels[rivals, np.newaxis] == labels[block])

    left = np.ones(len(boxes), bool)
    for start in range(0, len(boxes), BLOCK):
        block = slice(start, start + BLOCK)
        if start:
            left[block] = ~beaten(left[:start].nonzero()[0], block).any(axis=0)
        for i, apart in enumerate(~beaten(block, block), 1):
            if left[start + i - 1]:
                left[start + i : start + BLOCK] &= apart[i:]
    (kept,) = left.nonzero()
    return kept, scores[kept]


def suppress_softly(boxes, labels, scores, threshold):
    """Soft suppression (arXiv 1704.04503): as `suppress`."""
    labels, waiting = labels[: len(boxes)], scores[: len(boxes)].copy()
    table = overlaps(boxes, boxes)
    table = np.where((table > 0) & np.equal.outer(labels, labels), table, 0)
    factors = np.exp(-(table * table) / SOFT_SIGMA)
    order, lowered = [], []
    while len(waiting) and waiting.max() > threshold:
        best = int(waiting.argmax())
        order.append(best)
        lowered.append(waiting[best])
        waiting *= factors[best]
        waiting[best] = -1
    return np.array(order, int), np.array(lowered, np.float32)


def overlaps(a, b, diou=False):
    """Return the IoU, or DIoU, of (N, 4) with (M, 4) boxes: (N, M); 0 without an area, NaN where a number is."""
    # Both axes in one array (2, N, M): half the calls, which are what a few boxes cost.
    (a1, a2), (b1, b2) = a.T.reshape(2, 2, -1, 1), b.T.reshape(2, 2, 1, -1)
    (a_width, a_height), (b_width, b_height) = a2 - a1, b2 - b1
    width, height = np.maximum(np.minimum(a2, b2) - np.maximum(a1, b1), 0)
    shared = width * height
    table = shared / np.maximum(a_width * a_height + b_width * b_height - shared, 1e-12)
    if diou:  # less the centres' squared distance in the squared diagonal of the box around both
        x, y = ((a1 + a2) - (b1 + b2)) / 2
        width, height = np.maximum(a2, b2) - np.minimum(a1, b1)
        table -= (x * x + y * y) / (width * width + height * height + 1e-9)
    return table
