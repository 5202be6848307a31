"""SimOTA and YOLOX's loss, against plain loops over the objects written from Megvii's description."""

import math

import numpy as np
import plain_overlaps
import pytest
import tensorflow as tf

from cspkeras.detection.anchors import Anchors
from cspkeras.detection.boxes import decode_boxes, flatten_heads
from cspkeras.detection.losses import default_loss
from cspkeras.detection.losses.simota import assign_by_cost
from cspkeras.detection.losses.yolo import YoloLoss
from cspkeras.detection.losses.yolox import YoloXLoss

SIZE, CLASSES = (96, 128), 3
ANCHORS = Anchors.free(SIZE)
CELLS = [  # (column, row, stride) of each prediction
    (column, row, stride)
    for stride in ANCHORS.strides
    for row in range(SIZE[0] // stride)
    for column in range(SIZE[1] // stride)
]


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def cross_entropy(wanted, p):
    """With the logarithms bounded, as in PyTorch."""
    return -wanted * max(math.log(max(p, 1e-300)), -100) - (1 - wanted) * max(math.log(max(1 - p, 1e-300)), -100)


def decode(raw, cell):
    """A raw prediction as x1, y1, x2, y2 in pixels."""
    column, row, stride = cell
    x, y, w, h = (
        (raw[0] + column) * stride,
        (raw[1] + row) * stride,
        math.exp(raw[2]) * stride,
        math.exp(raw[3]) * stride,
    )
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def plain_assignment(raw, objects):
    """{prediction: (object, IoU)} of one image, from raw predictions (P, 5 + C) and (box in pixels, label)s."""
    costs, overlaps = {}, {}
    for p, (column, row, stride) in enumerate(CELLS):
        x, y = (column + 0.5) * stride, (row + 0.5) * stride
        inside = [b[0] < x < b[2] and b[1] < y < b[3] for b, _ in objects]
        near = [max(abs(x - (b[0] + b[2]) / 2), abs(y - (b[1] + b[3]) / 2)) < 2.5 * stride for b, _ in objects]
        if not any(inside + near):
            continue
        for g, (box, label) in enumerate(objects):
            overlaps[g, p] = plain_overlaps.iou(box, decode(raw[p], CELLS[p]))
            scores = [math.sqrt(sigmoid(raw[p, 4]) * sigmoid(raw[p, 5 + k])) for k in range(CLASSES)]
            classes = sum(cross_entropy(float(k == label), score) for k, score in enumerate(scores))
            penalty = 0 if inside[g] and near[g] else 1e5
            costs[g, p] = classes - 3 * math.log(overlaps[g, p] + 1e-8) + penalty
    candidates = sorted({p for _, p in costs})
    takers = {}
    for g in range(len(objects)):
        number = max(int(sum(sorted((overlaps[g, p] for p in candidates), reverse=True)[:10])), 1)
        for p in sorted(candidates, key=lambda p: costs[g, p])[:number]:
            takers.setdefault(p, []).append(g)
    answers = {}
    for p, objects_ in takers.items():
        g = objects_[0] if len(objects_) == 1 else min(range(len(objects)), key=lambda g: costs[g, p])
        answers[p] = g, overlaps[g, p]
    return answers


def plain_loss(boxes, labels, heads, *, use_l1=False):
    raw = np.concatenate([head.reshape(len(labels), -1, 5 + CLASSES) for head in heads], 1).astype("float64")
    count = total = 0
    for n in range(len(labels)):
        objects = objects_of(boxes[n], labels[n])
        answers = plain_assignment(raw[n], objects)
        count += len(answers)
        for p, cell in enumerate(CELLS):
            total += cross_entropy(float(p in answers), sigmoid(raw[n, p, 4]))
            if p not in answers:
                continue
            g, overlap = answers[p]
            (x1, y1, x2, y2), label = objects[g]
            total += 5 * (1 - plain_overlaps.iou((x1, y1, x2, y2), decode(raw[n, p], cell)) ** 2)
            total += sum(cross_entropy(overlap * (k == label), sigmoid(raw[n, p, 5 + k])) for k in range(CLASSES))
            if use_l1:
                column, row, stride = cell
                wanted = (x1 + x2) / 2 / stride - column, (y1 + y2) / 2 / stride - row
                wanted += math.log((x2 - x1) / stride + 1e-8), math.log((y2 - y1) / stride + 1e-8)
                total += np.abs(raw[n, p, :4] - wanted).sum()
    return total / max(count, 1)


def objects_of(boxes, labels):
    scale = [SIZE[1], SIZE[0]] * 2
    return [(tuple(box * scale), int(label)) for box, label in zip(boxes, labels, strict=True) if label >= 0]


def scene(seed, images=2, objects=4, padding=2):
    """Random boxes, labels and raw heads; some predictions are good, so that objects take several."""
    rng = np.random.default_rng(seed)
    centre, half = rng.uniform(0.1, 0.9, (images, objects, 2)), rng.uniform(0.03, 0.3, (images, objects, 2))
    if objects > 1:
        centre[0, 1] = centre[0, 0] + 0.02  # two objects that want the same predictions
    boxes = np.concatenate([centre - half, centre + half], -1)
    labels = rng.integers(CLASSES, size=(images, objects))
    raw = rng.normal(size=(images, len(CELLS), 5 + CLASSES))
    for n in range(images):
        for p, (column, row, stride) in enumerate(CELLS):
            if objects and rng.random() < 0.5:
                x1, y1, x2, y2 = boxes[n, rng.integers(objects)] * np.array([SIZE[1], SIZE[0]] * 2)
                xy = (x1 + x2) / 2 / stride - column, (y1 + y2) / 2 / stride - row
                raw[n, p, :4] = *xy, *np.log([(x2 - x1) / stride, (y2 - y1) / stride])
                raw[n, p, :4] += rng.normal(size=4) * 0.2
    boxes = np.pad(boxes, ((0, 0), (0, padding), (0, 0)), constant_values=0.5)
    labels = np.pad(labels, ((0, 0), (0, padding)), constant_values=-1)
    heads, start = [], 0
    for stride in ANCHORS.strides:
        rows, columns = SIZE[0] // stride, SIZE[1] // stride
        heads.append(raw[:, start : start + rows * columns].reshape(images, rows, columns, -1).astype("float32"))
        start += rows * columns
    return boxes.astype("float32"), labels, heads


def assigned(boxes, labels, heads):
    raw_boxes, raw_scores = flatten_heads(heads, ANCHORS)
    grid = ANCHORS.grid()
    found = assign_by_cost(decode_boxes(raw_boxes, grid), raw_scores, boxes, labels, grid)
    return [np.asarray(part) for part in found]


@pytest.mark.parametrize("seed", range(6))
def test_the_assignment_is_the_plain_one(seed):
    boxes, labels, heads = scene(seed)
    index, positive, overlap = assigned(boxes, labels, heads)
    several = 0
    for n in range(len(labels)):
        raw = np.concatenate([head[n].reshape(-1, 5 + CLASSES) for head in heads]).astype("float64")
        expected = plain_assignment(raw, objects_of(boxes[n], labels[n]))
        assert np.flatnonzero(positive[n]).tolist() == sorted(expected)
        for p, (g, iou) in expected.items():
            assert index[n, p] == g
            assert overlap[n, p] == pytest.approx(iou, abs=1e-4)
        several += len(expected) > (labels[n] >= 0).sum()
    assert several  # the scene is one in which objects take more than one prediction


@pytest.mark.parametrize("use_l1", [False, True])
@pytest.mark.parametrize("objects", [0, 1, 5])
def test_the_loss_is_the_plain_one(objects, use_l1):
    data = scene(7, objects=objects)
    found = YoloXLoss(ANCHORS, CLASSES, use_l1=use_l1)({"boxes": data[0], "labels": data[1]}, data[2])
    assert float(found) == pytest.approx(plain_loss(*data, use_l1=use_l1), rel=1e-4)


def loss_and_gradients(boxes, labels, heads, **options):
    heads = [tf.constant(head) for head in heads]
    with tf.GradientTape() as tape:
        tape.watch(heads)
        loss = YoloXLoss(ANCHORS, CLASSES, **options)({"boxes": boxes, "labels": labels}, heads)
    return [float(loss), *(gradient.numpy() for gradient in tape.gradient(loss, heads))]


@pytest.mark.integration
@pytest.mark.parametrize("garbage", [0.0, 0.5, -3.0, 1e6, np.nan])
def test_padding_has_no_influence(garbage):
    boxes, labels, heads = scene(3, padding=0)
    expected = loss_and_gradients(boxes, labels, heads)
    rows, nothing = np.full((2, 3, 4), garbage, "float32"), np.full((2, 3), -1)
    if np.isnan(garbage):
        nothing[:, 1:] = 0, CLASSES  # a broken box, and a label of no class
    for order in (1, -1):  # after the objects and before them
        padded = np.concatenate([boxes, rows][::order], 1), np.concatenate([labels, nothing][::order], 1)
        for found, wanted in zip(loss_and_gradients(*padded, heads), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_images_without_objects_cost_their_objectness_alone():
    boxes, labels, heads = scene(4)
    nothing = np.full_like(labels, -1)
    expected = plain_loss(boxes, nothing, heads)
    loss = YoloXLoss(ANCHORS, CLASSES)
    assert float(loss({"boxes": boxes, "labels": nothing}, heads)) == pytest.approx(expected, rel=1e-4)
    assert float(loss({"boxes": boxes[:, :0], "labels": labels[:, :0]}, heads)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.integration
@pytest.mark.parametrize("value", [None, -100.0, 0.0, 100.0])
@pytest.mark.parametrize(
    "box",
    [(0.5, 0.5, 0.5, 0.5), (0.4, 0.4, 0.4, 0.6), (0, 0, 1, 1), (1, 1, 1, 1), (-5, -5, -4, -4), (0.6, 0.6, 0.4, 0.4)],
    ids=str,
)
def test_the_gradient_is_finite_on_degenerate_objects_and_extreme_heads(box, value):
    heads = [head if value is None else np.full_like(head, value) for head in scene(5)[2]]
    found = loss_and_gradients(np.float32([[box]] * 2), np.array([[1], [0]]), heads, use_l1=True)
    assert all(np.isfinite(part).all() for part in found)


def test_equal_costs_are_not_all_taken():
    """Of predictions that overlap nothing all cost the same; the object takes one of them."""
    heads = [np.full_like(head, -8) for head in scene(0)[2]]
    _, positive, _ = assigned(np.float32([[[0.2, 0.2, 0.7, 0.7]]] * 2), np.array([[1], [-1]]), heads)
    assert positive.sum(axis=1).tolist() == [1, 0]


def test_the_loss_goes_by_the_anchors():
    assert type(default_loss(ANCHORS, CLASSES)) is YoloXLoss
    assert type(default_loss(Anchors.published(SIZE), CLASSES)) is YoloLoss
