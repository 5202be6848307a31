"""RTMDet's assignment and loss: mmdetection's own figures, and plain loops over the objects."""

import json
import math

import keras
import numpy as np
import plain_overlaps
import pytest
import tensorflow as tf

from cspkeras.detection.anchors import Anchors
from cspkeras.detection.boxes import decode_boxes, flatten_heads
from cspkeras.detection.losses import RTMDetLoss, default_loss
from cspkeras.detection.losses.soft_labels import assign_by_soft_label

SIZE, CLASSES = (96, 128), 3
ANCHORS = {log: Anchors.distances(SIZE, log=log) for log in (False, True)}
CELLS = [  # (x, y, stride) of each prediction's point, in pixels
    (column * stride, row * stride, stride)
    for stride in ANCHORS[False].strides
    for row in range(SIZE[0] // stride)
    for column in range(SIZE[1] // stride)
]


def focal(wanted, logit):
    p = 1 / (1 + math.exp(-logit))
    return -(wanted * math.log(p) + (1 - wanted) * math.log(1 - p)) * abs(wanted - p) ** 2


def decode(raw, cell):
    """A raw prediction as x1, y1, x2, y2 in pixels."""
    x, y, stride = cell
    left, top, right, bottom = (float(value) * stride for value in raw[:4])
    return x - left, y - top, x + right, y + bottom


def plain_assignment(raw, objects):
    """{prediction: (object, IoU)} of one image, from raw predictions (P, 4 + C) and (box in pixels, label)s."""
    costs, overlaps = {}, {}
    for p, (x, y, stride) in enumerate(CELLS):
        if not any(b[0] < x < b[2] and b[1] < y < b[3] for b, _ in objects):
            continue
        for g, (box, label) in enumerate(objects):
            overlap = overlaps[g, p] = plain_overlaps.iou(box, decode(raw[p], CELLS[p]))
            classes = sum(focal(overlap * (k == label), raw[p, 4 + k]) for k in range(CLASSES))
            away = math.hypot(x - (box[0] + box[2]) / 2, y - (box[1] + box[3]) / 2) / stride
            costs[g, p] = classes - 3 * math.log(overlap + 1e-7) + 10 ** (away - 3)
    candidates = sorted({p for _, p in costs})
    takers = {}
    for g in range(len(objects)):
        number = max(int(sum(sorted((overlaps[g, p] for p in candidates), reverse=True)[:13])), 1)
        for p in sorted(candidates, key=lambda p: costs[g, p])[:number]:
            takers.setdefault(p, []).append(g)
    answers = {}
    for p, objects_ in takers.items():
        g = objects_[0] if len(objects_) == 1 else min(range(len(objects)), key=lambda g: costs[g, p])
        answers[p] = g, overlaps[g, p]
    return answers


def plain_loss(boxes, labels, raw, class_weights=(1,) * CLASSES):
    classes = places = total = 0
    for n in range(len(labels)):
        objects = objects_of(boxes[n], labels[n])
        answers = plain_assignment(raw[n], objects)
        for p, cell in enumerate(CELLS):
            g, overlap = answers.get(p, (None, 0))
            box, label = (None, None) if g is None else objects[g]
            weight = 1 if g is None else class_weights[label]
            classes += weight * sum(focal(overlap * (k == label), raw[n, p, 4 + k]) for k in range(CLASSES))
            if g is not None:
                total += overlap
                places += weight * overlap * (1 - plain_overlaps.giou(box, decode(raw[n, p], cell)))
    return (classes + 2 * places) / max(total, 1)


def objects_of(boxes, labels):
    scale = [SIZE[1], SIZE[0]] * 2
    return [(tuple(box * scale), int(label)) for box, label in zip(boxes, labels, strict=True) if label >= 0]


def scene(seed, images=2, objects=4, padding=2):
    """Random boxes, labels and raw predictions (N, P, 4 + C), half of them near an object."""
    rng = np.random.default_rng(seed)
    centre, half = rng.uniform(0.1, 0.9, (images, objects, 2)), rng.uniform(0.05, 0.3, (images, objects, 2))
    if objects > 1:
        centre[0, 1] = centre[0, 0] + 0.02  # two objects that want the same predictions
    boxes = np.concatenate([centre - half, centre + half], -1)
    labels = rng.integers(CLASSES, size=(images, objects))
    raw = rng.normal(size=(images, len(CELLS), 4 + CLASSES))
    raw[..., :4] = np.exp(raw[..., :4])
    for n, p in np.argwhere(rng.random((images, len(CELLS))) < 0.5):
        if objects:
            box, (x, y, stride) = boxes[n, rng.integers(objects)] * np.tile(SIZE[::-1], 2), CELLS[p]
            sides = np.array([x - box[0], y - box[1], box[2] - x, box[3] - y]) / stride
            raw[n, p, :4] = np.maximum(sides * rng.uniform(0.8, 1.2, 4), 0.01)
    boxes = np.pad(boxes, ((0, 0), (0, padding), (0, 0)), constant_values=0.5)
    labels = np.pad(labels, ((0, 0), (0, padding)), constant_values=-1)
    return boxes.astype("float32"), labels, raw


def heads_of(raw, log=False):
    if log:
        raw = np.concatenate([np.log(raw[..., :4]), raw[..., 4:]], -1)
    parts = np.split(raw.astype("float32"), ANCHORS[log].offsets()[1:], axis=1)
    return [part.reshape(len(raw), SIZE[0] // s, SIZE[1] // s, -1) for part, s in zip(parts, (8, 16, 32), strict=True)]


@pytest.mark.parametrize("seed", range(4))
def test_the_assignment_is_the_plain_one(seed):
    (boxes, labels, raw), several, grid = scene(seed), 0, ANCHORS[False].grid()
    raw_boxes, scores = flatten_heads(heads_of(raw), ANCHORS[False])
    found = assign_by_soft_label(decode_boxes(raw_boxes, grid), scores, boxes, labels, grid)
    index, positive, overlap = map(np.asarray, found)
    for n in range(len(labels)):
        expected = plain_assignment(raw[n], objects_of(boxes[n], labels[n]))
        assert np.flatnonzero(positive[n]).tolist() == sorted(expected)
        for p, (g, iou) in expected.items():
            assert (index[n, p], overlap[n, p]) == (g, pytest.approx(iou, abs=1e-4))
        several += len(expected) > (labels[n] >= 0).sum()
    assert several  # the scene is one in which objects take more than one prediction


@pytest.mark.parametrize("objects", [0, 1, 5])
@pytest.mark.parametrize("log", ANCHORS)
@pytest.mark.parametrize("weights", [None, (0.5, 2, 1)], ids=str)
def test_the_loss_is_the_plain_one(objects, log, weights):
    boxes, labels, raw = scene(7, objects=objects)
    loss = RTMDetLoss(ANCHORS[log], CLASSES, class_weights=weights)
    found = loss({"boxes": boxes, "labels": labels}, heads_of(raw, log))
    assert float(found) == pytest.approx(plain_loss(boxes, labels, raw, weights or (1, 1, 1)), rel=1e-4)


def test_the_loss_of_each_level_is_mmdetections(test_data):
    path = test_data / "goldens" / "rtmdet" / "rtmdet_tiny.npz"
    given, expected = np.load(path), json.loads(path.with_suffix(".json").read_text())
    heads = [
        np.concatenate([given[f"loss_distances{i}"] / stride, given[f"loss_scores{i}"]], -1)
        for i, stride in enumerate((8, 16, 32))
    ]
    boxes, labels = zip(*expected["loss_boxes"], strict=True)
    padded_boxes, padded_labels = np.zeros((2, 3, 4), "float32"), np.full((2, 3), -1)
    for n in range(2):
        padded_boxes[n, : len(boxes[n])], padded_labels[n, : len(labels[n])] = np.float32(boxes[n]) / 128, labels[n]
    loss = RTMDetLoss(Anchors.distances((128, 128)), 80)
    found = loss.by_level({"boxes": padded_boxes, "labels": padded_labels}, heads)
    for part, name in zip(found, ("loss_cls", "loss_bbox"), strict=True):
        np.testing.assert_allclose(part, expected["loss"][name], rtol=1e-5)


def loss_and_gradients(boxes, labels, heads, log=False):
    heads = [tf.constant(head) for head in heads]
    with tf.GradientTape() as tape:
        tape.watch(heads)
        loss = RTMDetLoss(ANCHORS[log], CLASSES)({"boxes": boxes, "labels": labels}, heads)
    return [float(loss), *(gradient.numpy() for gradient in tape.gradient(loss, heads))]


@pytest.mark.parametrize("garbage", [0.5, np.nan])
def test_padding_has_no_influence(garbage):
    boxes, labels, raw = scene(3, padding=0)
    expected = loss_and_gradients(boxes, labels, heads_of(raw))
    rows, nothing = np.full((2, 3, 4), garbage, "float32"), np.full((2, 3), -1)
    if np.isnan(garbage):
        nothing[:, 1:] = 0, CLASSES  # a broken box, and a label of no class
    for order in (1, -1):  # after the objects and before them
        padded = np.concatenate([boxes, rows][::order], 1), np.concatenate([labels, nothing][::order], 1)
        for found, wanted in zip(loss_and_gradients(*padded, heads_of(raw)), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_no_objects_need_no_room():
    boxes, labels, raw = scene(4)
    expected = plain_loss(boxes, np.full_like(labels, -1), raw)
    found = RTMDetLoss(ANCHORS[False], CLASSES)({"boxes": boxes[:, :0], "labels": labels[:, :0]}, heads_of(raw))
    assert float(found) == pytest.approx(expected, rel=1e-4)


DEGENERATE = [(0.5, 0.5, 0.5, 0.5), (0.4, 0.4, 0.4, 0.6), (0, 0, 1, 1), (-5, -5, -4, -4), (0.6, 0.6, 0.4, 0.4)]


@pytest.mark.parametrize("value", [None, -100.0, 0.0, 100.0])
@pytest.mark.parametrize("log", ANCHORS)
def test_the_gradient_is_finite_on_degenerate_objects_and_extreme_heads(log, value):
    heads = [head if value is None else np.full_like(head, value) for head in heads_of(scene(5)[2])]
    found = loss_and_gradients(np.float32([DEGENERATE] * 2), np.array([[0, 1, 2, 0, 1]] * 2), heads, log)
    assert all(np.isfinite(part).all() for part in found)


def test_the_loss_goes_by_the_anchors_and_keeps_its_options():
    assert all(type(default_loss(anchors, CLASSES)) is RTMDetLoss for anchors in ANCHORS.values())
    loss = RTMDetLoss(ANCHORS[True], CLASSES, box_weight=3.0, beta=1.5, class_weights=[1, 2, 3])
    copy = RTMDetLoss.from_config(json.loads(json.dumps(loss.get_config())))
    assert copy.get_config() == loss.get_config()


@pytest.mark.parametrize("wrong", [{"beta": -1}, {"class_weights": [1, 2]}, {"class_weights": [1, 2, -3]}], ids=str)
def test_wrong_options(wrong):
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))} must be "):
        RTMDetLoss(ANCHORS[False], CLASSES, **wrong)


@pytest.mark.integration
def test_a_small_network_learns_its_objects():
    """Of raw maps that a single convolution each makes of fixed features."""
    keras.utils.set_random_seed(0)
    features = [keras.Input((SIZE[0] // s, SIZE[1] // s, 8)) for s in (8, 16, 32)]
    model = keras.Model(features, [keras.layers.Conv2D(4 + CLASSES, 3, padding="same")(x) for x in features])
    boxes, labels, _ = scene(1)
    rng = np.random.default_rng(0)
    given = [tf.constant(rng.normal(size=(2, *x.shape[1:])), "float32") for x in features]
    loss, optimizer = RTMDetLoss(ANCHORS[True], CLASSES), keras.optimizers.Adam(0.03)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = loss({"boxes": boxes, "labels": labels}, model(given))
        optimizer.apply(tape.gradient(value, model.trainable_variables))
        return value

    losses = [float(step()) for _ in range(40)]
    assert losses[-1] < 0.4 * losses[0]
