"""The YOLO loss, against plain loops over the objects."""

import re

import keras
import numpy as np
import plain_loss
import pytest
import tensorflow as tf
from plain_loss import ANCHORS, CLASSES, EACH, SCALED, SIZE, STRIDES, scene

from cspkeras.detection.losses.focal import cross_entropy
from cspkeras.detection.losses.object_blocks import ROWS
from cspkeras.detection.losses.targets import FARTHEST
from cspkeras.detection.losses.yolo import BOX_LOSSES, YoloLoss


def loss_of(boxes, labels, heads, anchors=ANCHORS, **options):
    return float(YoloLoss(anchors, CLASSES, **options)({"boxes": boxes, "labels": labels}, heads))


def loss_and_gradients(boxes, labels, heads, **options):
    heads = [tf.constant(head) for head in heads]
    with tf.GradientTape() as tape:
        tape.watch(heads)
        loss = YoloLoss(ANCHORS, CLASSES, **options)({"boxes": boxes, "labels": labels}, heads)
    return [float(loss), *(gradient.numpy() for gradient in tape.gradient(loss, heads))]


OPTIONS = [
    {},
    {"ignore_threshold": 0.3},
    {"iou_threshold": 1, "ignore_threshold": 0.3},
    {"iou_threshold": 0.1},
    {"box_weight": 0, "objectness_weight": 0},
    {"class_weight": 0, "objectness_weight": 0},
    {"box_weight": 3, "objectness_weight": 0.5, "class_weight": 7},
    *({"box": box, "objectness_weight": 0, "class_weight": 0} for box in BOX_LOSSES),
    {"focal_gamma": 2},
    {"focal_gamma": 2, "focal_alpha": 0.25},
    {"focal_gamma": 0.5, "focal_parts": ("objectness",)},
    {"focal_gamma": 1.5, "focal_alpha": 0.5, "focal_parts": "classes"},
    {"focal_alpha": 0.75},
    {"label_smoothing": 0.3, "box_weight": 0, "objectness_weight": 0},
    {"label_smoothing": 1, "box_weight": 0, "objectness_weight": 0},
    {"label_smoothing": 0.2, "focal_gamma": 2, "focal_alpha": 0.25},
    {"class_weights": [0.2, 1, 2.5]},
    {"class_weights": [0, 0, 1], "box": "mse", "objectness_weight": 0},
    {"box": "mse", "focal_gamma": 2, "label_smoothing": 0.1, "class_weights": [3, 2, 1], "iou_threshold": 0.1},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_loss_is_the_plain_one(options):
    expected, ignored = plain_loss.loss(*scene(), **options)
    assert ignored or "ignore_threshold" not in options
    assert loss_of(*scene(), **options) == pytest.approx(expected, rel=1e-4)
    assert not options or expected != pytest.approx(plain_loss.loss(*scene())[0], rel=1e-3)


@pytest.mark.parametrize("box", BOX_LOSSES)
@pytest.mark.parametrize("iou_threshold", [0.2, 1])
def test_the_loss_of_scaled_boxes_is_the_plain_one(box, iou_threshold):
    options = dict(box=box, iou_threshold=iou_threshold, objectness_weight=0, class_weight=0)
    expected, _ = plain_loss.loss(*scene(), SCALED, **options)
    assert loss_of(*scene(), SCALED, **options) == pytest.approx(expected, rel=1e-4)
    assert expected != pytest.approx(plain_loss.loss(*scene(), **options)[0], rel=5e-4)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss_is_keras_own(gamma):
    boxes, labels, heads = scene()
    logits = np.concatenate([head.reshape(2, -1, 5 + CLASSES)[..., 4] for head in heads], axis=1)
    focal = keras.losses.BinaryFocalCrossentropy(True, alpha=0.25, gamma=gamma, from_logits=True, reduction="sum")
    expected = float(focal(np.zeros_like(logits)[..., None], logits[..., None]))
    found = loss_of(boxes, np.full_like(labels, -1), heads, focal_gamma=gamma, focal_alpha=0.25)
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"box": "l1"}, "box must be one of ciou, diou, giou, iou, mse. Received: box='l1'"),
        ({"focal_parts": ("boxes",)}, "focal_parts must be of objectness, classes. Received: focal_parts=('boxes',)"),
        ({"focal_gamma": -1}, "focal_gamma must be 0 or more. Received: focal_gamma=-1"),
        ({"focal_alpha": 2}, "focal_alpha must be in 0..1. Received: focal_alpha=2"),
        ({"label_smoothing": 1.5}, "label_smoothing must be in 0..1. Received: label_smoothing=1.5"),
        ({"label_smoothing": float("nan")}, "label_smoothing must be in 0..1. Received: label_smoothing=nan"),
        ({"class_weights": [1, 2]}, "class_weights must be 3 numbers of at least 0. Received: [1. 2.]"),
        ({"class_weights": [1, 2, -1]}, "class_weights must be 3 numbers of at least 0. Received: [ 1.  2. -1.]"),
    ],
)
def test_an_option_outside_its_range_is_refused(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        YoloLoss(ANCHORS, CLASSES, **options)


@pytest.mark.parametrize("inside", [0.02, 0.25, 0.5, 0.9])  # where in its cell the object's centre lies
@pytest.mark.parametrize("box", BOX_LOSSES)
@pytest.mark.parametrize("anchors", [ANCHORS, SCALED], ids=lambda anchors: anchors.coding)
def test_a_perfect_prediction_costs_nothing(anchors, box, inside):
    (height, width), stride, scale = SIZE, STRIDES[1], anchors.scale_xy[1]
    w, h = anchors.boxes[1][1]
    x, y = (2 + inside) * stride, (1 + inside) * stride
    truth = (x - w) / width, (y - h / 2) / height, (x + w) / width, (y + h / 2) / height  # twice the anchor's width
    boxes, labels = np.float32([[truth]]), np.array([[1]])
    heads = [np.full_like(head[:1], -30) for head in scene()[2]]
    answer = heads[1].reshape(1, 4, 6, EACH, -1)[0, 1, 2, 1]
    p = (inside + (scale - 1) / 2) / scale
    wide, same = (np.log(2), 0) if anchors is ANCHORS else (-np.log(2 / np.sqrt(2) - 1), 0)  # (2 p)^2 is 2, 1
    answer[:] = *[np.log(p / (1 - p))] * 2, wide, same, 30, -30, 30, -30
    assert loss_of(boxes, labels, heads, anchors, iou_threshold=1, box=box) == pytest.approx(0, abs=1e-4)
    assert loss_of(boxes, labels + 1, heads, anchors, iou_threshold=1, box=box) > 50
    answer[:4] += 0.3
    assert loss_of(boxes, labels, heads, anchors, iou_threshold=1, box=box) > 0.02


@pytest.mark.integration
@pytest.mark.parametrize("garbage", [0.0, 0.5, -3.0, 1e6])
def test_padding_has_no_influence(garbage):
    boxes, labels, heads = scene(padding=0)
    expected = loss_and_gradients(boxes, labels, heads, ignore_threshold=0.3)
    rows, nothing = np.full((2, ROWS + 3, 4), garbage, "float32"), np.full((2, ROWS + 3), -1)
    for order in (1, -1):  # after the objects and before them
        padded = np.concatenate([boxes, rows][::order], 1), np.concatenate([labels, nothing][::order], 1)
        found = loss_and_gradients(*padded, heads, ignore_threshold=0.3)
        for part, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(part, wanted, rtol=1e-4, atol=1e-7)


def test_images_without_objects_cost_their_objectness_alone():
    boxes, labels, heads = scene()
    expected, _ = plain_loss.loss(boxes, np.full_like(labels, -1), heads)
    assert loss_of(boxes, np.full_like(labels, -1), heads) == pytest.approx(expected, rel=1e-4)
    assert loss_of(boxes, np.full_like(labels, -1), heads, objectness_weight=0) == 0
    assert loss_of(boxes[:, :0], labels[:, :0], heads) == pytest.approx(expected, rel=1e-4)  # not even padding


@pytest.mark.integration
@pytest.mark.parametrize("box_loss", BOX_LOSSES)
@pytest.mark.parametrize(
    ("box", "label"),
    [
        ((0.4, 0.4, 0.6, 0.6), CLASSES),  # a label of no class
        ((0.4, 0.4, 0.6, 0.6), 1000),
        ((float("nan"), 0.4, 0.6, 0.6), 1),
        ((float("nan"),) * 4, 1),
        ((0.4, 0.4, float("inf"), 0.6), 1),
        ((-float("inf"), 0.4, 0.6, 0.6), 1),
        ((0.4, 0.4, 2 * FARTHEST, 0.6), 1),
        ((0.4, 0.4, 3e38, 3e38), 1),
        ((0.5, 0.5, 0.5, 0.5), 1),  # no area
        ((0.4, 0.4, 0.4, 0.6), 1),
        ((0.6, 0.6, 0.4, 0.4), 1),  # corners the wrong way round
    ],
    ids=str,
)
def test_what_is_no_object_counts_as_padding(box, label, box_loss):
    boxes, labels, heads = scene()
    expected = loss_and_gradients(boxes, labels, heads, box=box_loss)
    boxes[:, -1], labels[:, -1] = box, label
    for found, wanted in zip(loss_and_gradients(boxes, labels, heads, box=box_loss), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.integration
def test_thousands_of_objects_in_one_image_are_all_assigned():
    rng = np.random.default_rng(4)
    corner = rng.uniform(0, 0.9, (1, 3000, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0.01, 0.1, (1, 3000, 2))], -1).astype("float32")
    target = boxes, rng.integers(CLASSES, size=(1, 3000)), [head[:1] for head in scene()[2]]
    options = dict(iou_threshold=1, objectness_weight=0)  # the plain loop over 3000 times 252 boxes takes long
    expected, _ = plain_loss.loss(*target, **options, ignore_threshold=1)
    assert loss_of(*target, **options) == pytest.approx(expected, rel=1e-3)


@pytest.mark.integration
@pytest.mark.parametrize("value", [None, -100.0, 0.0, 100.0, 1e4])
@pytest.mark.parametrize(
    "options",
    [*({"box": box} for box in BOX_LOSSES), {"focal_gamma": 0.5}, {"focal_gamma": 2, "label_smoothing": 0.1}],
    ids=str,
)
def test_loss_and_gradient_are_finite_on_degenerate_objects_and_extreme_heads(options, value):
    objects = [
        (0.5, 0.5, 0.5, 0.5),
        (0.4, 0.4, 0.4, 0.6),
        (0.5, 0.5, 0.5 + 1e-7, 0.5 + 1e-7),
        (0, 0, 1, 1),
        (0, 0, 1, 1),
        (1, 1, 1, 1),
        (-5, -5, -4, -4),
        (-1000, -1000, 1000, 1000),
        (-FARTHEST, 0.5, FARTHEST, 0.6),
        (0.6, 0.6, 0.4, 0.4),
    ]
    heads = [head if value is None else np.full_like(head, value) for head in scene()[2]]
    labels = np.arange(2 * len(objects)).reshape(2, -1) % CLASSES
    for part in loss_and_gradients(np.float32([objects] * 2), labels, heads, **options):
        assert np.isfinite(part).all()


def test_half_precision_heads_are_counted_in_full_precision():
    boxes, labels, heads = scene()
    half = [head.astype("float16") for head in heads]
    assert loss_of(boxes, labels, half) == pytest.approx(loss_of(boxes, labels, heads), rel=1e-2)
    large = [np.full_like(head, 80) for head in half]
    assert np.isfinite(loss_of(boxes, labels, large))


@pytest.mark.parametrize("wanted", [0.0, 0.25, 1.0])
def test_the_gradient_at_a_logit_of_zero_is_half_less_the_target(wanted):
    """As quantized networks give them: the slope of the logistic curve there, not that of one of its branches."""
    logit = tf.Variable(tf.zeros((1, 1)))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(cross_entropy(tf.fill((1, 1), wanted), logit))
    assert tape.gradient(loss, logit).numpy().item() == pytest.approx(0.5 - wanted)
