"""From a detector's raw numbers to boxes and scores, in NumPy: what `cspkeras.detection.boxes` does in a network."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

CANDIDATES = 1000  # the best (box, class) pairs, those that suppression sees
EXP_LIMIT = 8  # of a raw width or height
FLOATS = {"quantization": (0.0, 0)}  # the details of a tensor that is not quantized


def dequantize(values, tensor):
    """Return a tensor's raw numbers as float32."""
    scale, zero_point = tensor["quantization"]
    values = values.astype(np.float32, copy=False)
    return (values - np.float32(zero_point)) * np.float32(scale) if scale else values


def sigmoid(x):
    """Return 1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-np.maximum(x, -80)))  # exp(80) is a float32


def best(values, tensor, threshold):
    """Find the scores above a threshold, best first, at most `CANDIDATES`.

    Args:
        values: a tensor's raw numbers (N, M), compared as they are: few are dequantized.
        tensor: its details.
        threshold: of the dequantized scores.

    Returns:
        The rows, the columns and the scores (float32) of those found.
    """
    # The integer above which a score exceeds the threshold; 1e-3 is less than a step, and more than rounding errors.
    scale, zero_point = tensor["quantization"]
    limit = int((threshold / scale + zero_point + 1e-3) // 1) if scale else float(threshold)
    shape, values = values.shape, values.reshape(-1)
    (places,) = (values > limit).nonzero()
    scores = dequantize(values[places], tensor)
    if len(places) > CANDIDATES:
        most = scores >= np.partition(scores, -CANDIDATES)[-CANDIDATES]
        places, scores = places[most], scores[most]
    order = (-scores).argsort(kind="stable")[:CANDIDATES]
    return (*np.unravel_index(places[order], shape), scores[order])


def best_products(objectness, classes, threshold):
    """Find the products of an objectness and a class' score above a threshold, as `best` does.

    Args:
        objectness: (N,) float32 in 0..1.
        classes: a function of row numbers to the classes' scores (rows, C) in 0..1; asked for few rows.
        threshold: of the products.
    """
    (rows,) = (objectness > threshold).nonzero()  # a product is no better
    picked, labels, scores = best(objectness[rows, np.newaxis] * classes(rows), FLOATS, threshold)
    return rows[picked], labels, scores


def corners(centres, sizes):
    """Return boxes of (N, 2) centres and sizes as x1, y1, x2, y2."""
    return np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)


class Grid(NamedTuple):
    """Where a network's predictions lie, by level, row, column, anchor; x before y, in parts of the input.

    Attributes:
        origins: (P, 2), the cells' left upper corners.
        cells: (P, 2), the cells' sizes.
        sizes: (P, 2), the anchors' sizes.
        scales: (P, 1), how far a centre may leave its cell.
        linear: whether a raw centre is a number of cells instead of a logit.
    """

    origins: np.ndarray
    cells: np.ndarray
    sizes: np.ndarray
    scales: np.ndarray
    linear: bool

    @classmethod
    def of(cls, decode, size):
        """Make the grid of a file's setting "decode" on an input of `size` (height, width)."""
        levels, side = [], np.array(size[::-1], np.float32)
        for level in decode["levels"]:
            stride, anchors = level["stride"], level["anchors"]
            y, x, a = (i.reshape(-1) for i in np.indices((size[0] // stride, size[1] // stride, len(anchors))))
            cells, scales = np.full((len(a), 2), stride) / side, np.full((len(a), 1), level["scale_xy"])
            parts = np.stack([x, y], axis=1) * cells, cells, np.array(anchors)[a] / side, scales
            levels.append(np.concatenate(parts, axis=1).astype(np.float32))
        return cls(*np.split(np.concatenate(levels), (2, 4, 6), axis=1), decode["linear"])

    def boxes(self, raw, rows):
        """Decode the raw x, y, w, h (N, 4) of predictions `rows` to x1, y1, x2, y2 in parts of the input."""
        xy, scales = raw[:, :2] if self.linear else sigmoid(raw[:, :2]), self.scales[rows]
        centres = (xy * scales - (scales - 1) / 2) * self.cells[rows] + self.origins[rows]
        return corners(centres, np.exp(np.minimum(raw[:, 2:4], EXP_LIMIT)) * self.sizes[rows])
