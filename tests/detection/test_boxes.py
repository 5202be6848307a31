"""Box arithmetic, against plain Python."""

import math

import numpy as np
import pytest
import tensorflow as tf

from cspkeras.detection import boxes
from cspkeras.detection.anchors import Anchors
from cspkeras.detection.heads import RawHead

RNG = np.random.default_rng(0)
ANCHORS = Anchors.of([(5, 7), (9, 6), (12, 20), (30, 15), (40, 30), (60, 90)], (64, 96), scale_xy=(1.2, 1.1, 1.05))
# cyxhw, in parts of the input
BOXES = {
    "ordinary": (0.5, 0.4, 0.2, 0.3),
    "shifted": (0.55, 0.45, 0.3, 0.2),
    "touching": (0.5, 0.7, 0.2, 0.3),
    "inside": (0.5, 0.4, 0.1, 0.1),
    "far outside": (-20.0, 30.0, 0.2, 0.3),
    "huge": (0.5, 0.5, 2000.0, 3000.0),
    "flat": (0.5, 0.4, 0.0, 0.3),
    "thin": (0.5, 0.4, 0.2, 0.0),
    "point": (0.5, 0.4, 0.0, 0.0),
    "origin": (0.0, 0.0, 0.0, 0.0),
}
PAIRS = [(a, b) for a in BOXES for b in BOXES]


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def plain_iou(a, b):
    (ay, ax, ah, aw), (by, bx, bh, bw) = a, b
    height = min(ay + ah / 2, by + bh / 2) - max(ay - ah / 2, by - bh / 2)
    width = min(ax + aw / 2, bx + bw / 2) - max(ax - aw / 2, bx - bw / 2)
    common = max(height, 0) * max(width, 0)
    union = ah * aw + bh * bw - common
    return common / union if union else 0.0


def plain_ciou(a, b):
    (ay, ax, ah, aw), (by, bx, bh, bw) = a, b
    overlap = plain_iou(a, b)
    height = max(ay + ah / 2, by + bh / 2) - min(ay - ah / 2, by - bh / 2)
    width = max(ax + aw / 2, bx + bw / 2) - min(ax - aw / 2, bx - bw / 2)
    diagonal = height**2 + width**2
    distance = ((ay - by) ** 2 + (ax - bx) ** 2) / diagonal if diagonal else 0.0
    aspect = 4 / math.pi**2 * (math.atan2(bw, bh + 1e-9) - math.atan2(aw, ah + 1e-9)) ** 2
    weight = aspect / (1 - overlap + aspect) if aspect else 0.0
    return overlap - distance - weight * aspect


@pytest.mark.parametrize("size", [(64, 96), (96, 64)])
def test_decoding_is_yolos(size):
    anchors = Anchors.of(ANCHORS.pairs, size, scale_xy=ANCHORS.scale_xy)
    height, width = size
    expected, raws = [], []
    for level, stride, scale in zip(anchors.boxes, (8, 16, 32), anchors.scale_xy, strict=True):
        for row in range(height // stride):
            for column in range(width // stride):
                for w, h in level:
                    tx, ty, tw, th = raw = RNG.normal(size=4) * 2
                    x = (column + sigmoid(tx) * scale - (scale - 1) / 2) * stride
                    y = (row + sigmoid(ty) * scale - (scale - 1) / 2) * stride
                    expected.append((y / height, x / width, h * math.exp(th) / height, w * math.exp(tw) / width))
                    raws.append(raw)
    raws = np.array(raws, "float32")[None]
    np.testing.assert_allclose(boxes.decode_boxes(raws, anchors.grid())[0], expected, rtol=1e-4, atol=1e-6)


def test_heads_are_flattened_in_the_grids_order():
    classes, heads = 2, []
    for number, (stride, level) in enumerate(zip(ANCHORS.strides, ANCHORS.boxes, strict=True)):
        rows, columns, depth = ANCHORS.size[0] // stride, ANCHORS.size[1] // stride, len(level)
        # Every channel says where it is: level, row, column, anchor, and its place within the anchor.
        places = np.stack(np.meshgrid(*map(np.arange, (rows, columns, depth, 7)), indexing="ij"), -1)
        code = number * 1e4 + places @ [1e3, 1e2, 10, 1]
        heads.append(code.reshape(1, rows, columns, depth * 7).astype("float32"))
    raw_boxes, raw_scores = (np.asarray(x)[0] for x in boxes.flatten_heads(heads, classes))
    assert raw_scores.shape[-1] == 1 + classes
    expected = [
        number * 1e4 + row * 1e3 + column * 1e2 + anchor * 10
        for number, stride in enumerate(ANCHORS.strides)
        for row in range(ANCHORS.size[0] // stride)
        for column in range(ANCHORS.size[1] // stride)
        for anchor in range(2)
    ]
    np.testing.assert_array_equal(np.concatenate([raw_boxes, raw_scores], 1), np.add.outer(expected, np.arange(7)))
    assert len(expected) == len(ANCHORS.grid().origins)


def test_the_raw_head_interleaves_boxes_and_scores_as_darknet():
    box, score = (RNG.normal(size=(2, 3, 4, 3, depth)).astype("float32") for depth in (4, 6))
    head = RawHead(3)([box.reshape(2, 3, 4, -1), score.reshape(2, 3, 4, -1)])
    np.testing.assert_array_equal(head, np.concatenate([box, score], -1).reshape(2, 3, 4, -1))


def test_scores_are_the_product_of_objectness_and_class():
    raw = RNG.normal(size=(1, 5, 4)).astype("float32") * 3
    expected = [[sigmoid(o) * sigmoid(c) for c in classes] for o, *classes in raw[0].tolist()]
    np.testing.assert_allclose(boxes.decode_scores(raw)[0], expected, rtol=1e-5)


def test_corners_and_back():
    given = np.float32([[0.5, 0.4, 0.2, 0.6], [0.0, 1.0, 0.0, 0.5]])
    there = np.asarray(boxes.corners(given))
    np.testing.assert_allclose(there, [[0.1, 0.4, 0.7, 0.6], [0.75, 0.0, 1.25, 0.0]], atol=1e-6)
    np.testing.assert_allclose(boxes.from_corners(there), given, atol=1e-6)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [((2, 3), (2, 3), 1), ((2, 3), (3, 2), 4 / 8), ((1, 1), (4, 4), 1 / 16), ((0, 0), (4, 4), 0), ((0, 0), (0, 0), 0)],
)
def test_iou_of_sizes(a, b, expected):
    np.testing.assert_allclose(boxes.size_iou(np.float32(a), np.float32(b)), expected, atol=1e-6)


def test_iou_and_ciou_are_the_plain_ones():
    a, b = (np.float32([BOXES[pair[i]] for pair in PAIRS]) for i in (0, 1))
    expected = [plain_iou(BOXES[m], BOXES[n]) for m, n in PAIRS]
    np.testing.assert_allclose(boxes.iou(boxes.corners(a), boxes.corners(b)), expected, atol=1e-5)
    np.testing.assert_allclose(boxes.ciou(a, b), [plain_ciou(BOXES[m], BOXES[n]) for m, n in PAIRS], atol=1e-5)


def test_ciou_of_random_boxes_is_the_plain_one():
    a, b = (RNG.uniform(0.05, 0.95, (200, 4)).astype("float32") for _ in range(2))
    expected = [plain_ciou(m, n) for m, n in zip(a.tolist(), b.tolist(), strict=True)]
    np.testing.assert_allclose(boxes.ciou(a, b), expected, atol=1e-5)


def test_iou_broadcasts():
    corners = boxes.corners(np.float32([BOXES[name] for name in ("ordinary", "shifted", "inside")]))
    table = np.asarray(boxes.iou(corners[:, None], corners[None]))
    assert table.shape == (3, 3)
    np.testing.assert_allclose(np.diag(table), 1, atol=1e-5)
    np.testing.assert_allclose(table, table.T)


def test_cious_gradient_is_finite_on_degenerate_boxes():
    a, b = (tf.constant([BOXES[pair[i]] for pair in PAIRS]) for i in (0, 1))
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        overlap = boxes.ciou(a, b)
    for gradient in tape.gradient(overlap, [a, b]):
        bad = [pair for pair, row in zip(PAIRS, np.isfinite(gradient).all(axis=1), strict=True) if not row]
        assert not bad


@pytest.mark.parametrize("value", [-100.0, -30.0, 0.0, 30.0, 100.0])
def test_decoding_extreme_values_is_finite_and_so_is_its_gradient(value):
    raw = tf.fill((1, len(ANCHORS.grid().origins), 4), value)
    with tf.GradientTape() as tape:
        tape.watch(raw)
        decoded = boxes.decode_boxes(raw, ANCHORS.grid())
        overlap = boxes.ciou(decoded, tf.constant(BOXES["ordinary"]))
    assert np.isfinite(decoded).all() and np.isfinite(overlap).all()
    assert np.abs(decoded).max() < np.finfo(np.float16).max
    assert np.isfinite(tape.gradient(overlap, raw)).all()
