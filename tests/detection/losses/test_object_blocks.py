"""Crowded images: objects compared in blocks, in any number, in the same graph and in the same memory."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from plain_loss import CLASSES, SIZE

from cspkeras.detection.anchors import Anchors
from cspkeras.detection.losses import default_loss, object_blocks

ANCHORS = {
    "yolo": Anchors.published(SIZE),
    "scaled": Anchors.of(Anchors.published(SIZE).pairs, SIZE, coding="scaled"),
    "yolox": Anchors.free(SIZE),
    "rtmdet": Anchors.distances(SIZE, log=True),
}
kinds = pytest.mark.parametrize("kind", ANCHORS)


def heads_of(anchors, images):
    rng, depth = np.random.default_rng(2), 4 + anchors.objectness + CLASSES
    shapes = [SIZE[0] // stride for stride in anchors.strides], [SIZE[1] // stride for stride in anchors.strides]
    sizes = zip(*shapes, anchors.boxes, strict=True)
    return [tf.constant(rng.normal(size=(images, h, w, len(b) * depth)) * 0.7, "float32") for h, w, b in sizes]


def crowd(counts, rows):
    """Boxes and labels of images with so many objects, padded to rows; the objects between padding, not before it."""
    rng = np.random.default_rng(5)
    corner = rng.uniform(0, 0.8, (len(counts), rows, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0.05, 0.4, corner.shape)], -1).astype("float32")
    labels = np.full((len(counts), rows), -1, "int32")
    for image, count in enumerate(counts):
        labels[image, rng.permutation(rows)[:count]] = rng.integers(CLASSES, size=count)
    return {"boxes": boxes, "labels": labels}


def loss_and_gradients(loss, target, heads):
    with tf.GradientTape() as tape:
        tape.watch(heads)
        value = loss(target, heads)
    return [value, *tape.gradient(value, heads)]


@kinds
def test_blocks_of_any_size_give_the_same_loss_and_gradients(kind, monkeypatch):
    loss, heads, target = default_loss(ANCHORS[kind], CLASSES), heads_of(ANCHORS[kind], 3), crowd((0, 2, 40), 50)
    monkeypatch.setattr(object_blocks, "ROWS", 1000)  # all of them in one
    expected = loss_and_gradients(loss, target, heads)
    for rows in (1, 5):  # 42 objects: whole blocks, and a rest
        monkeypatch.setattr(object_blocks, "ROWS", rows)
        for found, wanted in zip(loss_and_gradients(loss, target, heads), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    monkeypatch.setattr(object_blocks, "PAIRS", 1)  # more predictions than a block may have: one object after another
    np.testing.assert_allclose(loss(target, heads), expected[0], rtol=1e-5)


@kinds
def test_one_graph_serves_any_number_of_objects_and_images(kind):
    loss, traces = default_loss(ANCHORS[kind], CLASSES), []
    heads = heads_of(ANCHORS[kind], 3)
    target = {"boxes": tf.TensorSpec((None, None, 4)), "labels": tf.TensorSpec((None, None), "int32")}

    @tf.function(input_signature=[target, [tf.TensorSpec((None, *head.shape[1:])) for head in heads]])
    def graph(target, heads):
        traces.append(1)
        return loss_and_gradients(loss, target, heads)

    for counts, rows in (((0, 0, 0), 0), ((1, 0, 2), 8), ((3, 60, 1), 64), ((5,), 8)):
        some, part = crowd(counts, rows), [head[: len(counts)] for head in heads]
        for found, wanted in zip(graph(some, part), loss_and_gradients(loss, some, part), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
    assert len(traces) == 1


MANY = """
import resource, sys
import numpy as np, tensorflow as tf
from cspkeras.detection.anchors import Anchors
from cspkeras.detection.losses import default_loss

size, images, most, rows = (192, 192), 2, 10_000, 16_384
rng = np.random.default_rng(0)
corner = rng.uniform(0, 0.9, (images, rows, 2))
boxes = np.concatenate([corner, corner + rng.uniform(0.01, 0.1, corner.shape)], -1).astype("float32")
labels = np.full((images, rows), -1, "int32")
labels[0, :most], labels[1, 0] = 0, 0
for anchors in (Anchors.published(size), Anchors.free(size)):
    loss, depth = default_loss(anchors, 1), 5 + anchors.objectness
    grids = [(size[0] // s, size[1] // s, len(b) * depth) for s, b in zip(anchors.strides, anchors.boxes)]
    heads = [tf.Variable(rng.normal(size=(images, *grid)).astype("float32")) for grid in grids]

    @tf.function(input_signature=[tf.TensorSpec((2, None, 4)), tf.TensorSpec((2, None), tf.int32)])
    def step(boxes, labels):
        with tf.GradientTape() as tape:
            value = loss({"boxes": boxes, "labels": labels}, heads)
        return value, tape.gradient(value, heads)

    found = []
    for count in (8, rows):
        value, gradients = step(boxes[:, :count], labels[:, :count])
        assert all(np.isfinite(part).all() for part in (value, *gradients))
        found.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    print(found[1] - found[0])
"""


@pytest.mark.integration
def test_ten_thousand_objects_take_no_memory_that_grows_with_the_predictions():
    done = subprocess.run(
        [sys.executable, "-c", MANY], env={**os.environ, "KERAS_BACKEND": "tensorflow"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    more = [int(line) for line in done.stdout.split()]  # MiB; one tensor of all pairs with a prediction has 94 or more
    assert len(more) == 2 and max(more) < 300
