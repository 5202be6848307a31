"""Which predictions are assigned to an object."""

import numpy as np
import pytest
from plain_loss import ANCHORS, EACH, SIZE, STRIDES

from cspkeras.detection.losses.assignment import assign


@pytest.mark.parametrize(
    ("centre", "cells"),
    [
        ((0.0, 0.0), [(0, 0), (0, 0), (0, 0)]),
        ((1.0, 1.0), [(7, 11), (3, 5), (1, 2)]),
        ((0.5, 1.0), [(4, 11), (2, 5), (1, 2)]),
        ((1.0, 0.5), [(7, 6), (3, 3), (1, 1)]),
        ((0.999, 0.0), [(7, 0), (3, 0), (1, 0)]),
        ((1.7, -0.4), [(7, 0), (3, 0), (1, 0)]),
        ((1e20, -1e20), [(7, 0), (3, 0), (1, 0)]),
    ],
)
def test_which_cell_answers(centre, cells):
    index, _ = assign(np.float32([[[*centre, 0.2, 0.2]]]), np.array([[True]]), ANCHORS, 0.3)
    first, expected = 0, []
    for (row, column), stride in zip(cells, STRIDES, strict=True):
        rows, columns = SIZE[0] // stride, SIZE[1] // stride
        expected += [first + (row * columns + column) * EACH + anchor for anchor in range(EACH)]
        first += rows * columns * EACH
    assert np.asarray(index)[0, 0].tolist() == expected


@pytest.mark.parametrize(
    ("pixels", "threshold", "anchors"),
    [
        ((6, 9), 1, [0]),  # width, height of the object
        ((70, 50), 1, [5]),
        ((50, 70), 1, [5]),
        ((8, 8), 0.5, [0, 1]),
        ((36, 28), 0.3, [3, 4, 2]),
        ((3, 40), 0.9, [0]),  # where none fits well the best is assigned
        ((0, 0), 0.3, [0]),
    ],
)
def test_which_anchors_answer(pixels, threshold, anchors):
    box = np.float32([[[0.5, 0.5, pixels[1] / SIZE[0], pixels[0] / SIZE[1]]] * 2])
    _, positive = assign(box, np.array([[True, False]]), ANCHORS, threshold)
    assert set(np.flatnonzero(positive[0, 0])) == set(anchors)
    assert not np.any(positive[0, 1])  # padding
