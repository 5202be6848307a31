"""The overlaps of boxes, against plain Python."""

import numpy as np
import plain_overlaps
import pytest
import tensorflow as tf

from cspkeras.detection import overlaps

NAMES = ("iou", "giou", "diou", "ciou")
BOXES = {  # x1, y1, x2, y2
    "ordinary": (0.25, 0.4, 0.55, 0.6),
    "shifted": (0.35, 0.4, 0.55, 0.7),
    "touching": (0.55, 0.4, 0.85, 0.6),
    "apart": (0.8, 0.1, 0.9, 0.2),
    "inside": (0.35, 0.45, 0.45, 0.55),
    "around": (0.0, 0.0, 1.0, 1.0),
    "far outside": (29.85, -20.1, 30.15, -19.9),
    "huge": (-1500.0, -1000.0, 1500.0, 1000.0),
    "flat": (0.25, 0.5, 0.55, 0.5),
    "thin": (0.4, 0.4, 0.4, 0.6),
    "point": (0.4, 0.5, 0.4, 0.5),
    "origin": (0.0, 0.0, 0.0, 0.0),
}
PAIRS = [(a, b) for a in BOXES for b in BOXES]
TABLE = tuple(np.float32([BOXES[pair[i]] for pair in PAIRS]) for i in (0, 1))


@pytest.mark.parametrize("name", NAMES)
def test_overlaps_are_the_plain_ones(name):
    plain = getattr(plain_overlaps, name)
    found = np.asarray(getattr(overlaps, name)(*TABLE))
    for pair, a, b, value in zip(PAIRS, *(rows.tolist() for rows in TABLE), found, strict=True):
        assert value == pytest.approx(plain(a, b), abs=1e-5), pair


@pytest.mark.parametrize("name", NAMES)
def test_overlaps_of_random_boxes_are_the_plain_ones(name):
    rng = np.random.default_rng(0)
    corner, size = rng.uniform(0, 0.7, (2, 200, 2)), rng.uniform(0.05, 0.5, (2, 200, 2))
    a, b = np.concatenate([corner, corner + size], -1).astype("float32")
    expected = [getattr(plain_overlaps, name)(m, n) for m, n in zip(a.tolist(), b.tolist(), strict=True)]
    np.testing.assert_allclose(getattr(overlaps, name)(a, b), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [  # worked out by hand: IoU, GIoU, DIoU
        ((0, 0, 2, 2), (0, 0, 2, 2), (1, 1, 1)),
        ((0, 0, 2, 2), (1, 1, 3, 3), (1 / 7, 1 / 7 - 2 / 9, 1 / 7 - 2 / 18)),
        ((0, 0, 1, 1), (2, 0, 3, 1), (0, -1 / 3, -4 / 10)),
        ((0, 0, 4, 4), (1, 1, 3, 3), (1 / 4, 1 / 4, 1 / 4)),
    ],
)
def test_worked_examples(a, b, expected):
    found = [float(getattr(overlaps, name)(np.float32(a), np.float32(b))) for name in ("iou", "giou", "diou")]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_finite_on_degenerate_boxes(name):
    a, b = map(tf.constant, TABLE)
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        overlap = getattr(overlaps, name)(a, b)
    for gradient in tape.gradient(overlap, [a, b]):
        bad = [pair for pair, row in zip(PAIRS, np.isfinite(gradient).all(axis=1), strict=True) if not row]
        assert not bad


@pytest.mark.parametrize("name", NAMES)
def test_overlaps_broadcast_and_are_symmetric(name):
    boxes = np.float32([BOXES[key] for key in ("ordinary", "shifted", "inside")])
    table = np.asarray(getattr(overlaps, name)(boxes[:, None], boxes[None]))
    assert table.shape == (3, 3)
    np.testing.assert_allclose(np.diag(table), 1, atol=1e-5)
    np.testing.assert_allclose(table, table.T, atol=1e-6)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [((2, 3), (2, 3), 1), ((2, 3), (3, 2), 4 / 8), ((1, 1), (4, 4), 1 / 16), ((0, 0), (4, 4), 0), ((0, 0), (0, 0), 0)],
)
def test_iou_of_sizes(a, b, expected):
    np.testing.assert_allclose(overlaps.size_iou(np.float32(a), np.float32(b)), expected, atol=1e-6)
