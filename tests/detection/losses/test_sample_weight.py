"""The weights of images: an image of weight 2 counts as two, one of weight 0 as none."""

import numpy as np
import plain_loss
import pytest
from plain_loss import ANCHORS, CLASSES, SIZE, scene

from cspkeras.detection.anchors import Anchors
from cspkeras.detection.losses import RTMDetLoss, YoloLoss, YoloXLoss

IMAGES = 4
FREE = Anchors.free(SIZE)


def free_scene(depth):
    boxes, labels, _ = scene(IMAGES)
    rng = np.random.default_rng(4)
    shapes = [(IMAGES, SIZE[0] // s, SIZE[1] // s, depth) for s in FREE.strides]
    return boxes, labels, [rng.normal(size=shape).astype("float32") * 0.7 for shape in shapes]


SCENES = {
    "yolo": (YoloLoss(ANCHORS, CLASSES), scene(IMAGES)),
    "yolo mse, focal": (YoloLoss(ANCHORS, CLASSES, box="mse", focal_gamma=2.0), scene(IMAGES)),
    "yolox": (YoloXLoss(FREE, CLASSES, use_l1=True), free_scene(5 + CLASSES)),
    "rtmdet": (RTMDetLoss(Anchors.distances(SIZE, log=True), CLASSES), free_scene(4 + CLASSES)),
}


def loss_of(loss, boxes, labels, heads, weights=None):
    return float(loss({"boxes": boxes, "labels": labels}, heads, *(() if weights is None else [weights])))


@pytest.mark.parametrize("weights", [(1, 1, 1, 1), (1, 0, 1, 1), (0, 2, 1, 3), (0, 0, 1, 0)], ids=str)
@pytest.mark.parametrize("name", SCENES)
def test_an_image_counts_as_often_as_its_weight_says(name, weights):
    loss, (boxes, labels, heads) = SCENES[name]
    index = np.arange(IMAGES).repeat(weights)
    expected = loss_of(loss, boxes[index], labels[index], [head[index] for head in heads])
    assert loss_of(loss, boxes, labels, heads, np.float32(weights)) == pytest.approx(expected, rel=1e-5)
    unweighted = loss_of(loss, boxes, labels, heads)
    assert (expected == pytest.approx(unweighted, rel=1e-4)) == (weights == (1, 1, 1, 1))


def test_the_weighted_loss_is_the_plain_one_of_the_repeated_images():
    boxes, labels, heads = scene(IMAGES)
    index = [0, 2, 2, 3]
    expected, _ = plain_loss.loss(boxes[index], labels[index], [head[index] for head in heads])
    found = loss_of(YoloLoss(ANCHORS, CLASSES), boxes, labels, heads, np.array([1, 0, 2, 1]))
    assert found == pytest.approx(expected, rel=1e-4)


def test_parts_of_a_weight_count_and_no_weight_is_no_loss():
    boxes, labels, heads = scene(IMAGES)
    loss = YoloLoss(ANCHORS, CLASSES)
    # Three assigned predictions and more an image, so all of them weigh more than one.
    half, whole = (loss_of(loss, boxes, labels, heads, np.full(IMAGES, w, "float32")) for w in (0.5, 1))
    assert half == pytest.approx(whole, rel=1e-5)
    assert loss_of(loss, boxes, labels, heads, np.zeros(IMAGES)) == 0
