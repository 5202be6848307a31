"""Images of solid rectangles for the pipelines' tests, and how batches are compared."""

import numpy as np
from small_data import COLORS

from cspkeras.training import Example

PLAIN = {"mosaic": 0.0, "crop": 0.0, "flip": 0.0, "color": 0.0}
PALETTE = np.array([*COLORS.values()], "uint8")


def scene(seed, size=(90, 120)):
    """A grey image with two solid rectangles that don't touch, as an `Example`."""
    rng = np.random.default_rng(seed)
    image, boxes, labels = np.full((*size, 3), 128, "uint8"), [], []
    for half in (0, size[1] // 2):
        w, h = rng.integers(20, size[1] // 2 - 8), rng.integers(20, size[0] - 10)
        x, y = half + rng.integers(2, size[1] // 2 - w - 2), rng.integers(2, size[0] - h - 2)
        label = rng.integers(len(PALETTE))
        image[y : y + h, x : x + w] = PALETTE[label]
        boxes.append([x, y, x + w, y + h])
        labels.append(label)
    return Example(image, np.float32(boxes), np.int64(labels))


def take(dataset, count):
    return [(image, target["boxes"], target["labels"]) for image, target in dataset.take(count).as_numpy_iterator()]


def assert_same(got, expected):
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
