"""Box arithmetic, against plain Python."""

import numpy as np
import plain_boxes
import pytest
import tensorflow as tf
from plain_boxes import CODED

from cspkeras.detection import boxes
from cspkeras.detection.anchors import Anchors
from cspkeras.detection.codings import CODINGS
from cspkeras.detection.overlaps import ciou
from cspkeras.tflite.device import decoding

RNG = np.random.default_rng(0)
ANCHORS = Anchors.of([(5, 7), (9, 6), (12, 20), (30, 15), (40, 30), (60, 90)], (64, 96), scale_xy=(1.2, 1.1, 1.05))


@pytest.mark.parametrize("coding", CODED)
def test_boxes_are_decoded_as_the_coding_says(coding):
    anchors = CODED[coding]
    raw = RNG.normal(size=(len(anchors.grid().origins), 4)).astype("float32") * 2
    height, width = anchors.size
    expected = np.array(plain_boxes.boxes(anchors, raw)) / [width, height, width, height]
    found = np.asarray(boxes.decode_boxes(raw[None], anchors.grid())[0])
    np.testing.assert_allclose(found, boxes.from_corners(expected), rtol=1e-4, atol=1e-5)


def test_every_coding_is_tested_and_the_device_knows_it():
    rows = {name: (row.distances, row.objectness) for name, row in CODINGS.items()}
    assert rows == {name: (row.distances, row.objectness) for name, row in decoding.CODINGS.items()}
    assert [*rows] == [*CODED]


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


@pytest.mark.parametrize("coding", ["yolo", "distances"])
def test_scores_are_those_of_the_classes_times_objectness_if_any(coding):
    raw = RNG.normal(size=(1, 5, 4)).astype("float32") * 3
    expected = plain_boxes.scores(CODED[coding], raw[0])
    np.testing.assert_allclose(boxes.decode_scores(raw, CODED[coding].objectness)[0], expected, rtol=1e-5)


def test_heads_without_objectness_are_flattened():
    anchors = CODED["distances"]
    heads = [np.full((2, 64 // s, 128 // s, 4 + 3), s, "float32") for s in anchors.strides]
    raw_boxes, raw_scores = boxes.flatten_heads(heads, anchors)
    assert raw_boxes.shape == (2, len(anchors.grid().origins), 4) and raw_scores.shape[-1] == 3
    np.testing.assert_allclose(raw_boxes[0, :, 0] / anchors.size[::-1][0], anchors.grid().cells[:, 0])


def test_corners_and_back():
    given = np.float32([[0.5, 0.4, 0.2, 0.6], [0.0, 1.0, 0.0, 0.5]])
    there = np.asarray(boxes.corners(given))
    np.testing.assert_allclose(there, [[0.1, 0.4, 0.7, 0.6], [0.75, 0.0, 1.25, 0.0]], atol=1e-6)
    np.testing.assert_allclose(boxes.from_corners(there), given, atol=1e-6)


@pytest.mark.parametrize("value", [-100.0, -30.0, 0.0, 30.0, 100.0])
@pytest.mark.parametrize("coding", CODED)
def test_decoding_extreme_values_is_finite_and_so_is_its_gradient(coding, value):
    grid = CODED[coding].grid()
    raw = tf.fill((1, len(grid.origins), 4), value)
    with tf.GradientTape() as tape:
        tape.watch(raw)
        decoded = boxes.decode_boxes(raw, grid)
        overlap = ciou(boxes.corners(decoded), tf.constant([0.25, 0.4, 0.55, 0.6]))
    assert np.isfinite(decoded).all() and np.isfinite(overlap).all()
    assert np.abs(decoded).max() < np.finfo(np.float16).max
    assert np.isfinite(tape.gradient(overlap, raw)).all()
