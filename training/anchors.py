"""Anchors that suit a data set."""

import numpy as np

from ..detection.anchors import Anchors


def estimate_anchors(data, size, count=9, seed=0, rounds=100):
    """k-means++ on the shapes of a data set's boxes, with 1 - IoU as the distance (YOLOv2, arXiv 1612.08242).

    Args:
        data: `DetectionData`.
        size: (height, width) of the network's input in pixels; pictures are taken as letterboxed into it.
        count: number of anchors, a multiple of three.
        seed: decides the starting anchors.
        rounds: rounds of k-means at most.

    Returns:
        `Anchors`, or the published ones where the data set has fewer than `count` different shapes.
    """
    shapes = [np.zeros((0, 2))]
    for example in data.examples:
        if len(example.boxes):
            w, h = example.size
            shapes.append((example.boxes[:, 2:] - example.boxes[:, :2]) * min(size[0] / h, size[1] / w))
    shapes = np.concatenate(shapes)
    if len(np.unique(shapes, axis=0)) < count:
        return Anchors.published(size)
    rng = np.random.default_rng(seed)
    centres = rng.choice(shapes, 1)
    while len(centres) < count:  # k-means++: far from those that there are
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
    return Anchors.of(centres, size)


def _iou(a, b):
    common = np.minimum(a[:, None], b[None]).prod(-1)
    return common / (a.prod(-1)[:, None] + b.prod(-1)[None] - common)
