"""Estimate anchors for a data set, and measure how well anchors fit it."""

from collections.abc import Sequence

import numpy as np

from ...detection.anchors import STRIDES, Anchors
from .example_tables import ExampleTable
from .examples import DetectionData

MAX_OBJECTS = 20_000  # to look at; of a larger data set as many are drawn at random
RATIO = 4.0  # an object is within an anchor's reach if neither of its sides differs from the anchor's by this factor


def estimate_anchors(
    data: DetectionData,
    size: tuple[int, int],
    count: int = 9,
    seed: int = 0,
    rounds: int = 100,
    generations: int = 0,
    strides: Sequence[int] = STRIDES,
) -> Anchors:
    """Estimate a data set's anchors: k-means++ on its boxes' shapes, distance 1 - IoU (YOLOv2, arXiv 1612.08242).

    Args:
        data: `DetectionData`.
        size: (height, width) of the network's input in pixels; images are taken as letterboxed into it.
        count: number of anchors, shared equally among the levels.
        seed: decides the starting anchors and the mutations.
        rounds: largest number of rounds of k-means.
        generations: mutations to try after k-means, in the manner of YOLOv5's autoanchor: one is kept if it raises the
            objects' mean best IoU, in which an object out of reach (see `anchor_fit`) counts as 0.
        strides: the levels' strides in pixels, finest first.

    Returns:
        `Anchors`, or the published ones where the data set has fewer than `count` different shapes.

    Raises:
        ValueError: for a count that is not a multiple of the number of levels, and for too few shapes where there are
            neither 2 nor 3 levels: no anchors are published for these.

    Example:
        >>> import numpy as np
        >>> from cspkeras.training import DetectionData, Example, estimate_anchors
        >>> image, label = np.zeros((416, 416, 3), "uint8"), np.int64([0])
        >>> boxes = [np.float32([[0, 0, 10 * k, 20 * k]]) for k in range(1, 10)]
        >>> data = DetectionData([Example(image, box, label) for box in boxes], ("cat",))
        >>> anchors = estimate_anchors(data, (416, 416))
        >>> len(anchors.pairs)
        9
    """
    rng = np.random.default_rng(seed)
    shapes = object_shapes(data, size)
    if len(np.unique(shapes, axis=0)) < count:
        return Anchors.published(size, strides)
    centres = rng.choice(shapes, 1)
    while len(centres) < count:  # k-means++: draw the next far from the others
        far = (1 - _iou(shapes, centres).max(axis=1)).clip(0) ** 2
        centres = np.append(centres, rng.choice(shapes, 1, p=far / far.sum()), axis=0)
    for _ in range(rounds):
        nearest = _iou(shapes, centres).argmax(axis=1)
        moved = np.array(
            [np.median(shapes[nearest == k], axis=0) if (nearest == k).any() else centres[k] for k in range(count)]
        )
        if np.allclose(moved, centres):
            break
        centres = moved
    return Anchors.of(_evolve(shapes, centres, generations, rng), size, strides)


def anchor_fit(shapes, pairs):
    """Measure how well anchors, `pairs` (A, 2), fit objects of `object_shapes`.

    Return (mean over the objects of the best anchor's IoU; best possible recall as YOLOv5 defines it: the share of the
    objects that some anchor has within reach, its width and its height less than `RATIO` times too large or small).
    """
    return float(_iou(shapes, pairs).max(axis=1).mean()), float(_reached(shapes, pairs).mean())


def object_shapes(data, size):
    """Return (N, 2) width and height of the objects, letterboxed into `size` (height, width); at most `MAX_OBJECTS`."""
    table = ExampleTable.of(data.examples)
    sizes, (unknown,) = table.sizes.astype("float64"), np.nonzero((table.sizes[:, 0] == 0) & (table.counts > 0))
    for i in unknown.tolist():
        sizes[i] = data.examples[i].size
    scales = np.divide(size[::-1], sizes, out=np.zeros_like(sizes), where=sizes > 0).min(axis=1)
    scales = np.repeat(scales.astype("float32"), table.counts)[:, None]
    shapes = ((table.boxes[:, 2:] - table.boxes[:, :2]) * scales).astype("float64")
    return np.random.default_rng(0).choice(shapes, MAX_OBJECTS, replace=False) if len(shapes) > MAX_OBJECTS else shapes


def _evolve(shapes, pairs, generations, rng):
    def fitness(pairs):
        return float((_iou(shapes, pairs).max(axis=1) * _reached(shapes, pairs)).mean())

    best = fitness(pairs)
    for _ in range(generations):
        chosen = rng.random(pairs.shape) < 0.08  # few: of many sides changed at once, one would spoil the others
        factors = 1 + chosen * rng.normal(0, 10 ** rng.uniform(-2.5, -0.3), pairs.shape)
        mutated = pairs * factors.clip(0.3, 3)
        if (value := fitness(mutated)) > best:
            pairs, best = mutated, value
    return pairs


def _iou(a, b):
    common = np.minimum(a[:, None, 0], b[:, 0]) * np.minimum(a[:, None, 1], b[:, 1])
    return common / (a.prod(-1)[:, None] + b.prod(-1) - common)


def _reached(shapes, pairs):
    ratios = shapes[:, None] / pairs
    return (np.maximum(ratios, 1 / ratios).max(axis=2) < RATIO).any(axis=1)
