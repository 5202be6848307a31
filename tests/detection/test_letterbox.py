"""Images into the network, boxes in the images' pixels out, with networks that return given boxes."""

import math

import numpy as np
import pytest

from cspkeras.detection.anchors import Anchors
from cspkeras.detection.detection import detect
from cspkeras.detection.images import letterbox
from cspkeras.tflite.device.frames import to_input

SIZE = (64, 96)
ANCHORS = Anchors.of([(6, 9), (10, 7), (14, 22), (30, 18), (40, 36), (70, 50)], SIZE)
CLASSES = 3


def raw_heads(boxes, anchors=ANCHORS):
    """Raw heads that decode to `boxes`: for each image (score, label, x1, y1, x2, y2 in pixels of the input)."""
    height, width = anchors.size
    heads = [np.full((len(boxes), height // s, width // s, 2, 5 + CLASSES), -30.0, "float32") for s in (8, 16, 32)]
    for image, found in enumerate(boxes):
        for score, label, x1, y1, x2, y2 in found:
            level = 2 if x2 - x1 > 40 else 1
            stride, (w, h) = anchors.strides[level], anchors.boxes[level][1]
            column, x = divmod((x1 + x2) / 2 / stride, 1)
            row, y = divmod((y1 + y2) / 2 / stride, 1)
            cell = heads[level][image, int(row), int(column), 1]
            cell[:2] = math.log(x / (1 - x)), math.log(y / (1 - y))
            cell[2:4] = math.log((x2 - x1) / w), math.log((y2 - y1) / h)
            cell[4], cell[5 + label] = 30, math.log(score / (1 - score))
    return [head.reshape(*head.shape[:3], -1) for head in heads]


def placed(box, shape, size=SIZE):
    """A box of an image in pixels of the letterboxed input, all sides exact."""
    scale = min(size[0] / shape[0], size[1] / shape[1])
    left, top = (size[1] - shape[1] * scale) / 2, (size[0] - shape[0] * scale) / 2
    return [value * scale + pad for value, pad in zip(box, (left, top) * 2, strict=True)]


@pytest.mark.parametrize("shape", [(64, 96), (128, 192), (48, 100), (200, 100), (33, 17), (37, 501), (8, 12)], ids=str)
def test_boxes_lie_in_the_images_pixels(shape):
    height, width = shape
    box = [0.31 * width, 0.17 * height, 0.83 * width, 0.57 * height]
    (found,) = detect(lambda x: raw_heads([[(0.8, 2, *placed(box, shape))]]), ANCHORS, [np.zeros((*shape, 3), "uint8")])
    assert found["labels"].tolist() == [2]
    assert found["scores"] == pytest.approx([0.8], abs=1e-5)
    # The letterbox has whole pixels: up to one of the input's on each side.
    scale = max(height / SIZE[0], width / SIZE[1])
    np.testing.assert_allclose(found["boxes"], [box], atol=scale + 1e-3)
    assert {key: value.dtype.name for key, value in found.items()} == dict(
        boxes="float32", labels="int32", scores="float32"
    )


def test_boxes_are_clipped_to_the_image_and_those_outside_are_dropped():
    shape = (32, 96)  # the letterbox adds 16 rows above and below
    boxes = [
        (0.9, 0, 20.3, 1.2, 30.7, 12.5),  # in the upper margin
        (0.8, 1, -9.5, 10.2, 15.4, 30.9),
        (0.7, 2, 70.3, 30.1, 110.5, 60.2),
    ]
    (found,) = detect(lambda x: raw_heads([boxes]), ANCHORS, np.zeros((1, *shape, 3), "uint8"))
    assert found["labels"].tolist() == [1, 2]
    np.testing.assert_allclose(found["boxes"], [[0, 0, 15.4, 14.9], [70.3, 14.1, 96, 32]], atol=1e-2)


def test_thresholds():
    boxes = [(0.9, 0, 10.3, 10.2, 50.6, 40.9), (0.6, 0, 11.3, 26.2, 51.6, 56.9), (0.3, 1, 60.1, 10.3, 80.2, 20.4)]
    image = [np.zeros((*SIZE, 3), "uint8")]

    def scores(*thresholds):
        return (
            detect(lambda x: raw_heads([boxes]), ANCHORS, image, *thresholds)[0]["scores"]
            .astype(float)
            .round(2)
            .tolist()
        )

    assert scores() == [0.9, 0.6, 0.3]
    assert scores(0.5) == [0.9, 0.6]
    assert scores(0.25, 0.3) == [0.9, 0.3]  # the first two overlap by 0.31
    assert scores(0.95) == []


def test_many_images_keep_their_order_over_batches():
    images = [np.full((20 + i, 30, 3), 10 * i, "uint8") for i in range(7)]
    sizes = []

    def predict(x):
        sizes.append(len(x))
        brightness = (x[:, 32, 48].mean(axis=-1) * 25.5).round().astype(int)
        return raw_heads([[(0.1 + 0.1 * k, k % CLASSES, 20.3, 20.4, 60.5, 50.6)] for k in brightness])

    found = detect(predict, ANCHORS, images, score_threshold=0.05, batch_size=3)
    assert sizes == [3, 3, 1]
    assert [one["labels"].tolist() for one in found] == [[i % CLASSES] for i in range(7)]
    np.testing.assert_allclose([one["scores"][0] for one in found], 0.1 + 0.1 * np.arange(7), atol=1e-5)
    assert detect(predict, ANCHORS, []) == []


@pytest.mark.parametrize("shape", [(64, 96), (48, 100), (200, 100), (33, 17), (1, 500), (65, 95)], ids=str)
def test_the_network_sees_what_the_devices_script_shows_it(shape):
    image = np.random.default_rng(0).integers(256, size=(*shape, 3), dtype="uint8")
    seen = []
    detect(lambda x: seen.append(x) or raw_heads([[]]), ANCHORS, [image])
    assert seen[0].shape == (1, *SIZE, 3) and seen[0].dtype == np.float32
    np.testing.assert_allclose(seen[0][0] * 255, to_input(image, SIZE, "letterbox", 114), atol=1e-4)


def test_the_letterbox_is_centred_on_grey():
    canvas, placement = letterbox(np.zeros((20, 20, 3), "uint8"), SIZE)
    assert placement == (16, 0, 64 / 20, 64 / 20)
    assert (canvas[:, :16] == 114).all() and (canvas[:, 80:] == 114).all() and (canvas[:, 16:80] == 0).all()


def test_images_of_other_kinds_are_converted():
    seen, rgb = [], np.random.default_rng(0).integers(256, size=(64, 96, 3), dtype="uint8")
    images = [rgb, rgb / 255, rgb[..., 0], np.dstack([rgb, np.full((64, 96), 255, "uint8")]), rgb * np.uint16(257)]
    detect(lambda x: seen.append(x) or raw_heads([[]] * len(images)), ANCHORS, images)
    grey = np.stack([rgb[..., 0]] * 3, axis=-1)
    for found, expected in zip(seen[0], [rgb, rgb, grey, rgb, rgb], strict=True):
        np.testing.assert_allclose(found * 255, to_input(expected, SIZE, "letterbox", 114), atol=1e-4)


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (8, 8, 3), (8, 8, 4)], ids=str)
def test_one_image_in_place_of_a_sequence_is_an_error(shape):
    with pytest.raises(ValueError) as caught:
        detect(None, ANCHORS, np.zeros(shape, "uint8"))
    assert (
        str(caught.value)
        == f"images must be a sequence of images, [image] for one. Received: an array of shape {shape}"
    )
