"""The YOLO loss in plain loops over objects and predictions, and a scene to try it on."""

import math
from dataclasses import replace

import numpy as np
import plain_overlaps

from cspkeras.detection.anchors import Anchors

SIZE, STRIDES, CLASSES = (64, 96), (8, 16, 32), 3
ANCHORS = Anchors.of([(6, 9), (10, 7), (14, 22), (30, 18), (40, 36), (70, 50)], SIZE, scale_xy=(1.2, 1.1, 1.05))
SCALED = replace(ANCHORS, scale_xy=(2.0, 2.0, 2.0), coding="scaled")
EACH = 2  # anchors a level


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def focal_loss(wanted, logit, gamma=0, alpha=None):
    """Focal loss of a probability; both sides of the cross-entropy weighed, since a smoothed label has both."""
    p = sigmoid(logit)
    entropy = -wanted * math.log(p) - (1 - wanted) * math.log(1 - p)
    balance = 1 if alpha is None else alpha * wanted + (1 - alpha) * (1 - wanted)
    return balance * abs(wanted - p) ** gamma * entropy


def shape_iou(a, b):
    common = min(a[0], b[0]) * min(a[1], b[1])
    return common / (a[0] * a[1] + b[0] * b[1] - common)


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


def decode(anchors, raw, level, row, column, anchor):
    """A raw prediction as x1, y1, x2, y2 in parts of the input."""
    (height, width), stride, scale = SIZE, STRIDES[level], anchors.scale_xy[level]
    factors = [(2 * sigmoid(x)) ** 2 if anchors.coding == "scaled" else math.exp(x) for x in raw[2:4]]
    w, h = ANCHORS.boxes[level][anchor]
    w, h = w * factors[0] / width, h * factors[1] / height
    x = (column + sigmoid(raw[0]) * scale - (scale - 1) / 2) * stride / width
    y = (row + sigmoid(raw[1]) * scale - (scale - 1) / 2) * stride / height
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def squared_error(anchors, raw, box, level, row, column, anchor):
    """Darknet's: against the numbers that decode to the box."""
    (height, width), stride, scale = SIZE, STRIDES[level], anchors.scale_xy[level]
    x1, y1, x2, y2 = box
    error = 0
    for logit, centre, side, cell in ((raw[0], (x1 + x2) / 2, width, column), (raw[1], (y1 + y2) / 2, height, row)):
        inside = centre * side / stride - cell  # 0..1 across the cell
        wanted = (inside + (scale - 1) / 2) / scale
        error += (sigmoid(logit) - min(max(wanted, 0), 1)) ** 2
    sides = (x2 - x1) * width, (y2 - y1) * height
    for logit, side, prior in zip(raw[2:4], sides, ANCHORS.boxes[level][anchor], strict=True):
        if anchors.coding == "scaled":
            error += (sigmoid(logit) - min(math.sqrt(side / prior / 4), 1)) ** 2
        else:
            error += (logit - math.log(side / prior)) ** 2
    return error * (2 - min((x2 - x1) * (y2 - y1), 1))


def loss(
    boxes,
    labels,
    heads,
    anchors=ANCHORS,
    *,
    iou_threshold=0.3,
    ignore_threshold=0.7,
    box="ciou",
    box_weight=2.0,
    objectness_weight=1.0,
    class_weight=1.0,
    focal_gamma=0,
    focal_alpha=None,
    focal_parts=("objectness", "classes"),
    label_smoothing=0,
    class_weights=(1,) * CLASSES,
):
    """(loss, predictions not held against the network), as the docstrings have it."""
    focal = {part: (focal_gamma, focal_alpha) if part in focal_parts else () for part in ("objectness", "classes")}
    count = box_loss = class_loss = objectness_loss = ignored = 0
    for n in range(len(labels)):
        objects = [(b, k) for b, k in zip(boxes[n].tolist(), labels[n].tolist(), strict=True) if k >= 0]
        answers = set()
        for truth, label in objects:
            for place in answering(truth, iou_threshold):
                level, row, column, anchor = place
                raw = heads[level][n, row, column].reshape(EACH, -1)[anchor].tolist()
                count += 1
                if box == "mse":
                    part = squared_error(anchors, raw, truth, *place)
                else:
                    part = 1 - getattr(plain_overlaps, box)(decode(anchors, raw, *place), truth)
                box_loss += class_weights[label] * part
                for k in range(CLASSES):
                    wanted = (k == label) * (1 - label_smoothing) + label_smoothing / 2
                    class_loss += class_weights[label] * focal_loss(wanted, raw[5 + k], *focal["classes"])
                answers.add(place)
        for level, head in enumerate(heads):
            for row, column, anchor in np.ndindex(*head.shape[1:3], EACH):
                place = level, row, column, anchor
                raw = head[n, row, column].reshape(EACH, -1)[anchor].tolist()
                found = decode(anchors, raw, *place)
                covered = any(plain_overlaps.iou(found, truth) > ignore_threshold for truth, _ in objects)
                if place in answers or not covered:
                    objectness_loss += focal_loss(float(place in answers), raw[4], *focal["objectness"])
                else:
                    ignored += 1
    total = box_weight * box_loss + objectness_weight * objectness_loss + class_weight * class_loss
    return total / max(count, 1), ignored


def scene(images=2, objects=3, padding=2):
    """Random boxes (two of one place among them), labels and raw heads."""
    rng = np.random.default_rng(3)
    centre, half = rng.uniform(0.2, 0.8, (images, objects, 2)), rng.uniform(0.05, 0.2, (images, objects, 2))
    boxes = np.concatenate([centre - half, centre + half], -1)
    boxes[0, 1] = boxes[0, 0]
    labels = rng.integers(CLASSES, size=(images, objects))
    labels[0, :2] = 0, 2
    boxes = np.pad(boxes, ((0, 0), (0, padding), (0, 0)), constant_values=0.5)
    labels = np.pad(labels, ((0, 0), (0, padding)), constant_values=-1)
    shapes = [(images, SIZE[0] // s, SIZE[1] // s, EACH * (5 + CLASSES)) for s in STRIDES]
    return boxes.astype("float32"), labels, [rng.normal(size=shape).astype("float32") * 0.7 for shape in shapes]
