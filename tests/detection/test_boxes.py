"""Box arithmetic, against plain Python."""

import math

import numpy as np
import pytest
import tensorflow as tf

from cspkeras.detection import boxes
from cspkeras.detection.anchors import Anchors
from cspkeras.detection.overlaps import ciou

RNG = np.random.default_rng(0)
ANCHORS = Anchors.of([(5, 7), (9, 6), (12, 20), (30, 15), (40, 30), (60, 90)], (64, 96), scale_xy=(1.2, 1.1, 1.05))


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


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
    raw_boxes, raw_scores = (np.asarray(x)[0] for x in boxes.flatten_heads(heads, ANCHORS))
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


def test_scores_are_the_product_of_objectness_and_class():
    raw = RNG.normal(size=(1, 5, 4)).astype("float32") * 3
    expected = [[sigmoid(o) * sigmoid(c) for c in classes] for o, *classes in raw[0].tolist()]
    np.testing.assert_allclose(boxes.decode_scores(raw)[0], expected, rtol=1e-5)


def test_corners_and_back():
    given = np.float32([[0.5, 0.4, 0.2, 0.6], [0.0, 1.0, 0.0, 0.5]])
    there = np.asarray(boxes.corners(given))
    np.testing.assert_allclose(there, [[0.1, 0.4, 0.7, 0.6], [0.75, 0.0, 1.25, 0.0]], atol=1e-6)
    np.testing.assert_allclose(boxes.from_corners(there), given, atol=1e-6)


@pytest.mark.parametrize("value", [-100.0, -30.0, 0.0, 30.0, 100.0])
def test_decoding_extreme_values_is_finite_and_so_is_its_gradient(value):
    raw = tf.fill((1, len(ANCHORS.grid().origins), 4), value)
    with tf.GradientTape() as tape:
        tape.watch(raw)
        decoded = boxes.decode_boxes(raw, ANCHORS.grid())
        overlap = ciou(boxes.corners(decoded), tf.constant([0.25, 0.4, 0.55, 0.6]))
    assert np.isfinite(decoded).all() and np.isfinite(overlap).all()
    assert np.abs(decoded).max() < np.finfo(np.float16).max
    assert np.isfinite(tape.gradient(overlap, raw)).all()
