"""Assignment and the loss, against plain loops over the objects."""

import math

import numpy as np
import pytest
import tensorflow as tf

from cspkeras.detection.anchors import Anchors
from cspkeras.detection.assignment import assign
from cspkeras.detection.boxes import ciou
from cspkeras.detection.losses import YoloLoss

SIZE, STRIDES, CLASSES = (64, 96), (8, 16, 32), 3
ANCHORS = Anchors.of([(6, 9), (10, 7), (14, 22), (30, 18), (40, 36), (70, 50)], SIZE, scale_xy=(1.2, 1.1, 1.05))
EACH = 2  # anchors a level


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def cross_entropy(wanted, logit):
    return -wanted * math.log(sigmoid(logit)) - (1 - wanted) * math.log(1 - sigmoid(logit))


def shape_iou(a, b):
    common = min(a[0], b[0]) * min(a[1], b[1])
    return common / (a[0] * a[1] + b[0] * b[1] - common)


def box_iou(a, b):
    """IoU of cyxhw boxes."""
    sides = (
        min(a[i] + a[i + 2] / 2, b[i] + b[i + 2] / 2) - max(a[i] - a[i + 2] / 2, b[i] - b[i + 2] / 2) for i in (0, 1)
    )
    common = math.prod(max(side, 0) for side in sides)
    return common / (a[2] * a[3] + b[2] * b[3] - common)


def answering(box, iou_threshold):
    """(level, row, column, anchor) of the predictions that answer for an object x1, y1, x2, y2."""
    height, width = SIZE
    x1, y1, x2, y2 = box
    overlaps = [shape_iou(((x2 - x1) * width, (y2 - y1) * height), pair) for pair in ANCHORS.pairs.tolist()]
    for number, overlap in enumerate(overlaps):
        if overlap > iou_threshold or number == int(np.argmax(overlaps)):
            level, anchor = divmod(number, EACH)
            rows, columns = height // STRIDES[level], width // STRIDES[level]
            row = min(max(math.floor((y1 + y2) / 2 * rows), 0), rows - 1)
            column = min(max(math.floor((x1 + x2) / 2 * columns), 0), columns - 1)
            yield level, row, column, anchor


def decode(raw, level, row, column, anchor):
    """A raw prediction as cyxhw in parts of the input."""
    (height, width), stride, scale = SIZE, STRIDES[level], ANCHORS.scale_xy[level]
    w, h = ANCHORS.boxes[level][anchor]
    x = (column + sigmoid(raw[0]) * scale - (scale - 1) / 2) * stride
    y = (row + sigmoid(raw[1]) * scale - (scale - 1) / 2) * stride
    return y / height, x / width, h * math.exp(raw[3]) / height, w * math.exp(raw[2]) / width


def plain_loss(boxes, labels, heads, *, iou_threshold=0.3, ignore_threshold=0.7, box=2.0, objectness=1.0, classes=1.0):
    """(loss, predictions not held against the network), as the docstrings have it."""
    count = box_loss = class_loss = objectness_loss = ignored = 0
    for n in range(len(labels)):
        objects = [(b, k) for b, k in zip(boxes[n].tolist(), labels[n].tolist(), strict=True) if k >= 0]
        truths = [((y1 + y2) / 2, (x1 + x2) / 2, y2 - y1, x2 - x1) for (x1, y1, x2, y2), _ in objects]
        answers = set()
        for (corner, label), truth in zip(objects, truths, strict=True):
            for place in answering(corner, iou_threshold):
                level, row, column, anchor = place
                raw = heads[level][n, row, column].reshape(EACH, -1)[anchor].tolist()
                count += 1
                box_loss += 1 - float(ciou(np.float32([decode(raw, *place)]), np.float32([truth]))[0])
                class_loss += sum(cross_entropy(float(k == label), raw[5 + k]) for k in range(CLASSES))
                answers.add(place)
        for level, head in enumerate(heads):
            for row, column, anchor in np.ndindex(*head.shape[1:3], EACH):
                place = level, row, column, anchor
                raw = head[n, row, column].reshape(EACH, -1)[anchor].tolist()
                found = decode(raw, *place)
                covered = any(box_iou(found, truth) > ignore_threshold for truth in truths)
                if place in answers or not covered:
                    objectness_loss += cross_entropy(float(place in answers), raw[4])
                else:
                    ignored += 1
    total = box * box_loss + objectness * objectness_loss + classes * class_loss
    return total / max(count, 1), ignored


def scene(pictures=2, objects=3, padding=2):
    """Random boxes (two of one place among them), labels and raw heads."""
    rng = np.random.default_rng(3)
    centre, half = rng.uniform(0.2, 0.8, (pictures, objects, 2)), rng.uniform(0.05, 0.2, (pictures, objects, 2))
    boxes = np.concatenate([centre - half, centre + half], -1)
    boxes[0, 1] = boxes[0, 0]
    labels = rng.integers(CLASSES, size=(pictures, objects))
    labels[0, :2] = 0, 2
    boxes = np.pad(boxes, ((0, 0), (0, padding), (0, 0)), constant_values=0.5)
    labels = np.pad(labels, ((0, 0), (0, padding)), constant_values=-1)
    shapes = [(pictures, SIZE[0] // s, SIZE[1] // s, EACH * (5 + CLASSES)) for s in STRIDES]
    return boxes.astype("float32"), labels, [rng.normal(size=shape).astype("float32") * 0.7 for shape in shapes]


def loss_of(boxes, labels, heads, **options):
    return float(YoloLoss(ANCHORS, CLASSES, **options)({"boxes": boxes, "labels": labels}, heads))


@pytest.mark.parametrize(
    ("options", "plain"),
    [
        ({}, {}),
        ({"ignore_threshold": 0.3}, {"ignore_threshold": 0.3}),
        ({"iou_threshold": 1, "ignore_threshold": 0.3}, {"iou_threshold": 1, "ignore_threshold": 0.3}),
        ({"iou_threshold": 0.1}, {"iou_threshold": 0.1}),
        ({"box_weight": 0, "objectness_weight": 0}, {"box": 0, "objectness": 0}),
        ({"class_weight": 0, "objectness_weight": 0}, {"classes": 0, "objectness": 0}),
        ({"box_weight": 3, "objectness_weight": 0.5, "class_weight": 7}, {"box": 3, "objectness": 0.5, "classes": 7}),
    ],
    ids=str,
)
def test_the_loss_is_the_plain_one(options, plain):
    expected, ignored = plain_loss(*scene(pictures=2), **plain)
    assert ignored or "ignore_threshold" not in plain
    assert loss_of(*scene(pictures=2), **options) == pytest.approx(expected, rel=1e-4)


def loss_and_gradients(boxes, labels, heads):
    heads = [tf.constant(head) for head in heads]
    with tf.GradientTape() as tape:
        tape.watch(heads)
        loss = YoloLoss(ANCHORS, CLASSES)({"boxes": boxes, "labels": labels}, heads)
    return [float(loss), *(gradient.numpy() for gradient in tape.gradient(loss, heads))]


@pytest.mark.parametrize("garbage", [0.0, 0.5, -3.0, 1e6])
def test_padding_has_no_influence(garbage):
    boxes, labels, heads = scene(padding=0)
    expected = loss_and_gradients(boxes, labels, heads)
    rows, nothing = np.full((2, 4, 4), garbage, "float32"), np.full((2, 4), -1)
    for order in (1, -1):  # behind the objects and before them
        padded = np.concatenate([boxes, rows][::order], 1), np.concatenate([labels, nothing][::order], 1)
        for found, wanted in zip(loss_and_gradients(*padded, heads), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-7)


def test_pictures_without_objects_cost_their_objectness_alone():
    boxes, labels, heads = scene()
    expected, _ = plain_loss(boxes, np.full_like(labels, -1), heads)
    assert loss_of(boxes, np.full_like(labels, -1), heads) == pytest.approx(expected, rel=1e-4)
    assert loss_of(boxes, np.full_like(labels, -1), heads, objectness_weight=0) == 0
    assert loss_of(boxes[:, :0], labels[:, :0], heads) == pytest.approx(expected, rel=1e-4)  # not even padding


def test_a_perfect_answer_costs_nothing():
    height, width = SIZE
    w, h = ANCHORS.boxes[1][1]
    x, y = 2.5 * 16, 1.5 * 16  # the middle of a cell at stride 16
    box = np.float32([[[(x - w / 2) / width, (y - h / 2) / height, (x + w / 2) / width, (y + h / 2) / height]]])
    heads = [np.full_like(head[:1], -30) for head in scene()[2]]
    answer = heads[1].reshape(1, 4, 6, EACH, -1)[0, 1, 2, 1]
    answer[:] = 0, 0, 0, 0, 30, -30, 30, -30
    assert loss_of(box, np.array([[1]]), heads, iou_threshold=1) == pytest.approx(0, abs=1e-4)
    assert loss_of(box, np.array([[2]]), heads, iou_threshold=1) > 50


@pytest.mark.parametrize(
    ("centre", "cells"),
    [
        ((0.0, 0.0), [(0, 0), (0, 0), (0, 0)]),
        ((1.0, 1.0), [(7, 11), (3, 5), (1, 2)]),
        ((0.5, 1.0), [(4, 11), (2, 5), (1, 2)]),
        ((1.0, 0.5), [(7, 6), (3, 3), (1, 1)]),
        ((0.999, 0.0), [(7, 0), (3, 0), (1, 0)]),
        ((1.7, -0.4), [(7, 0), (3, 0), (1, 0)]),
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
        ((3, 40), 0.9, [0]),  # where none is good the best answers all the same
        ((0, 0), 0.3, [0]),
    ],
)
def test_which_anchors_answer(pixels, threshold, anchors):
    box = np.float32([[[0.5, 0.5, pixels[1] / SIZE[0], pixels[0] / SIZE[1]]] * 2])
    _, positive = assign(box, np.array([[True, False]]), ANCHORS, threshold)
    assert set(np.flatnonzero(positive[0, 0])) == set(anchors)
    assert not np.any(positive[0, 1])  # padding


@pytest.mark.parametrize("value", [None, -100.0, 0.0, 100.0])
@pytest.mark.parametrize(
    "box",
    [(0.5, 0.5, 0.5, 0.5), (0.4, 0.4, 0.4, 0.6), (0, 0, 1, 1), (1, 1, 1, 1), (-5, -5, -4, -4), (0.6, 0.6, 0.4, 0.4)],
    ids=str,
)
def test_the_gradient_is_finite_on_degenerate_objects_and_extreme_heads(box, value):
    heads = [head if value is None else np.full_like(head, value) for head in scene()[2]]
    found = loss_and_gradients(np.float32([[box]] * 2), np.array([[1], [0]]), heads)
    assert all(np.isfinite(part).all() for part in found)


def test_half_precision_heads_are_counted_in_full_precision():
    boxes, labels, heads = scene()
    half = [head.astype("float16") for head in heads]
    assert loss_of(boxes, labels, half) == pytest.approx(loss_of(boxes, labels, heads), rel=1e-2)
    large = [np.full_like(head, 80) for head in half]
    assert np.isfinite(loss_of(boxes, labels, large))
