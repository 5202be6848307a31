"""From a detector's raw numbers to boxes and scores, in NumPy: what `cspkeras.detection.boxes` does in a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

CANDIDATES = 1000  # the best (box, class) pairs, those that suppression sees
MOST_LEVELS, MOST_ANCHORS = 16, 64  # of a file's settings
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


def best_logits(logits, tensor, threshold):
    """Find the sigmoids of a tensor's raw numbers (N, M) above a threshold, as `best` does."""
    limit = np.log(max(threshold, 1e-30)) - np.log(max(1 - threshold, 1e-7))  # finite for 0 and 1
    rows, labels, found = best(logits, tensor, limit)
    above = (scores := sigmoid(found)) > threshold
    return rows[above], labels[above], scores[above]


def corners(centres, sizes):
    """Return boxes of (N, 2) centres and sizes as x1, y1, x2, y2."""
    return np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)


def exp(x):
    """Return exp(x), of large numbers that of the limit."""
    return np.exp(np.minimum(x, EXP_LIMIT))


def square(x):
    """Return the square of twice the sigmoid, 0..4."""
    return np.square(2 * sigmoid(x))


class Coding(NamedTuple):
    """What the four raw numbers of a box mean; the same as in `cspkeras.detection.codings`.

    Attributes:
        first: the function of the first two.
        last: that of the last two.
        distances: whether they are then the distances from the cell's left upper corner to the box's left, top, right
            and bottom in cells, instead of its centre x and y in cells and its width and height in anchors.
        objectness: whether a prediction has an objectness before its classes.
    """

    first: Callable
    last: Callable
    distances: bool = False
    objectness: bool = True


CODINGS = {
    "yolo": Coding(sigmoid, exp),
    "free": Coding(np.positive, exp),
    "scaled": Coding(sigmoid, square),
    "distances": Coding(np.positive, np.positive, distances=True, objectness=False),
    "log_distances": Coding(exp, exp, distances=True, objectness=False),
}


class Grid(NamedTuple):
    """Where a network's predictions lie, by level, row, column, anchor; x before y, in parts of the input.

    Attributes:
        origins: (P, 2), the cells' left upper corners.
        cells: (P, 2), the cells' sizes.
        sizes: (P, 2), the anchors' sizes.
        scales: (P, 1), how far a centre may leave its cell.
        coding: a row of `CODINGS`.
    """

    origins: np.ndarray
    cells: np.ndarray
    sizes: np.ndarray
    scales: np.ndarray
    coding: Coding

    @classmethod
    def of(cls, decode, size):
        """Make the grid of a file's setting "decode" on an input of `size` (height, width)."""
        levels, side = [], np.array(size[::-1], np.float32)
        # Older files say "linear", whether a raw centre is a number of cells instead of a logit.
        older = "free" if decode.get("linear") else "yolo"
        coding = older if "linear" in decode else decode["coding"]
        if coding not in CODINGS:
            raise ValueError(f"coding {coding!r} is not one of {', '.join(CODINGS)}")
        if len(decode["levels"]) > MOST_LEVELS:
            raise ValueError(f"{len(decode['levels'])} levels; at most {MOST_LEVELS} are accepted")
        for level in decode["levels"]:
            stride, anchors = level["stride"], level["anchors"]
            if not (1 <= stride <= max(size) and 1 <= len(anchors) <= MOST_ANCHORS):
                raise ValueError(f"a level of stride {stride} and {len(anchors)} anchors")
            y, x, a = (i.reshape(-1) for i in np.indices((size[0] // stride, size[1] // stride, len(anchors))))
            cells, scales = np.full((len(a), 2), stride) / side, np.full((len(a), 1), level["scale_xy"])
            parts = np.stack([x, y], axis=1) * cells, cells, np.array(anchors)[a] / side, scales
            levels.append(np.concatenate(parts, axis=1).astype(np.float32))
        return cls(*np.split(np.concatenate(levels), (2, 4, 6), axis=1), CODINGS[coding])

    def boxes(self, raw, rows):
        """Decode the raw numbers (N, 4) of predictions `rows` to x1, y1, x2, y2 in parts of the input."""
        first, last = self.coding.first(raw[:, :2]), self.coding.last(raw[:, 2:4])
        origins, cells, sizes, scales = (values[rows] for values in self[:4])
        if self.coding.distances:
            return np.concatenate([origins - first * cells, origins + last * cells], axis=1)
        return corners((first * scales - (scales - 1) / 2) * cells + origins, last * sizes)
