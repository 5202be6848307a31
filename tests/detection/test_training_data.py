"""What a detector is trained on: what is refused, and in which words; what is padded."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cspkeras.detection.checks import DataError, readable
from cspkeras.detection.inputs import checked

N, CLASSES = 4, 3
IMAGES = np.random.default_rng(0).random((N, 32, 32, 3), "float32")
BOXES = np.tile(np.float32([[0.1, 0.2, 0.5, 0.6], [0, 0, 0, 0]]), (N, 1, 1))
LABELS = np.tile([2, -1], (N, 1))
EXPECTED = 'a detector\'s target must be {"boxes": (N, M, 4), "labels": (N, M)}. Received: '
IN_PARTS = "boxes must be x1, y1, x2, y2 in parts of the input, 0..1; divide pixels by its width and height. Received: "
ORDERED = "boxes must be x1, y1, x2, y2 with x1 <= x2 and y1 <= y2. Received: "
WHOLE = "labels must be whole numbers below 3, the number of classes, or below 0 for padding. Received: "
SAME = "N and M the same in all. Received: "


def changed(array, place, value):
    array = array.copy()
    array[place] = value
    return array


def target(boxes=BOXES, labels=LABELS):
    return {"boxes": boxes, "labels": labels}


VALUES = {  # what only a look at the numbers finds
    "boxes in pixels": ((IMAGES, target(BOXES * 32)), f"{IN_PARTS}[3.2, 6.4, 16.0, 19.2] of image 0"),
    "one in pixels": (
        (IMAGES, target(changed(BOXES, (3, 0), [0, 0, 0.5, 2]))),
        f"{IN_PARTS}[0.0, 0.0, 0.5, 2.0] of ima",
    ),
    "far left": ((IMAGES, target(changed(BOXES, (2, 0, 0), -0.6))), f"{IN_PARTS}[-0.6, 0.2, 0.5, 0.6] of image 2"),
    "nan": ((IMAGES, target(changed(BOXES, (1, 0, 1), np.nan))), f"{IN_PARTS}[0.1, nan, 0.5, 0.6] of image 1"),
    "infinite": ((IMAGES, target(changed(BOXES, (1, 0, 3), np.inf))), f"{IN_PARTS}[0.1, 0.2, 0.5, inf] of image 1"),
    "x, y, w, h": (
        (IMAGES, target(changed(BOXES, (2, 0), [0.5, 0.5, 0.2, 0.2]))),
        f"{ORDERED}[0.5, 0.5, 0.2, 0.2] of i",
    ),
    "label": ((IMAGES, target(labels=changed(LABELS, (3, 1), 3))), f"{WHOLE}3 of image 3"),
    "part of a label": ((IMAGES, target(labels=LABELS + 0.5)), f"{WHOLE}2.5 of image 0"),
    "label nan": ((IMAGES, target(labels=changed(LABELS + 0.0, (2, 0), np.nan))), f"{WHOLE}nan of image 2"),
    "pictures": ((IMAGES * 255, target()), "images must be RGB in 0..1; divide pixels by 255. Received: values from "),
    "image nan": (
        (IMAGES * np.nan, target()),
        "images must be RGB in 0..1; divide pixels by 255. Received: values from n",
    ),
    "weight": (
        (IMAGES, target(), np.float32([1, -1, 1, 1])),
        "sample_weight must be numbers of at least 0. Received: -1",
    ),
    "weight nan": (
        (IMAGES, target(), np.float32([1, 1, np.nan, 1])),
        "sample_weight must be numbers of at least 0. Rec",
    ),
}
SHAPES = {  # what shapes, types and keys tell
    "last axis": (
        (IMAGES, target(BOXES[..., :3])),
        f"boxes must be (N, M, 4), {SAME}images (4, 32, 32, 3), boxes (4, 2, 3)",
    ),
    "M": (
        (IMAGES, target(BOXES[:, :1])),
        f"labels must be (N, M), {SAME}images (4, 32, 32, 3), boxes (4, 1, 4), labels (4, 2)",
    ),
    "one-hot": (
        (IMAGES, target(labels=np.eye(3)[LABELS])),
        "labels must be (N, M). Received: images (4, 32, 32, 3), boxes",
    ),
    "uint8": (
        ((IMAGES * 255).astype("uint8"), target()),
        "images must be floats, RGB in 0..1; divide pixels by 255. Received: u",
    ),
    "text": ((IMAGES, target(labels=np.full((N, 2), "cat"))), "labels must be an array of numbers. Received: "),
    "weights": (
        (IMAGES, target(), np.ones((N, 2))),
        "sample_weight must be (N,). Received: images (4, 32, 32, 3), boxes",
    ),
    "no labels": ((IMAGES, {"boxes": BOXES, "classes": LABELS}), f"{EXPECTED}the keys 'boxes', 'classes'"),
    "tuple": ((IMAGES, (BOXES, LABELS)), f"{EXPECTED}a tuple of 2"),
    "array": ((IMAGES, BOXES), f"{EXPECTED}an array"),
    "nothing": ((IMAGES, None), f"{EXPECTED}none"),
}


def refusal(parts):
    """What is said of arrays, and of a `tf.data.Dataset` of their batches once it is read."""
    with pytest.raises(DataError) as caught, readable():
        for _ in checked(*parts, classes=CLASSES)[0]:
            pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def arguments(parts):
    return (*parts, *[None] * (3 - len(parts)))


@pytest.mark.parametrize("parts, message", [*VALUES.values(), *SHAPES.values()], ids=[*VALUES, *SHAPES])
def test_arrays_that_are_refused(parts, message):
    assert refusal(arguments(parts)).startswith(message)


@pytest.mark.parametrize("name", [*VALUES, *(name for name in SHAPES if name not in ("tuple", "nothing"))])
def test_datasets_that_are_refused(name):
    parts, message = (VALUES | SHAPES)[name]
    if name not in VALUES:  # a dataset does not know N
        message = message.replace("(4,", "(None,")
    dataset = tf.data.Dataset.from_tensor_slices(parts).batch(N)
    assert refusal((dataset, None, None)).startswith(message)


def batches(labels=LABELS):
    for i in range(0, N, 2):
        yield IMAGES[i : i + 2], target(BOXES[i : i + 2], labels[i : i + 2])


class Sequence(keras.utils.PyDataset):
    def __init__(self, labels=LABELS):
        super().__init__()
        self.batches = list(batches(labels))

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def dataset(labels=LABELS):
    return tf.data.Dataset.from_tensor_slices((IMAGES, target(labels=labels))).batch(2)


@pytest.mark.parametrize("make", [batches, Sequence, dataset])
def test_batches_are_checked_as_they_come(make):
    found = list(checked(make(), None, None, CLASSES)[0])
    assert [images.shape for images, _ in found] == [(2, 32, 32, 3)] * 2
    found = iter(checked(make(changed(LABELS, (2, 0), 3)), None, None, CLASSES)[0])
    next(found)
    with pytest.raises(DataError, match="labels must be whole numbers below 3.* Received: 3 of image 0"), readable():
        next(found)


def test_what_is_right_passes_as_it_is():
    far = changed(BOXES, (slice(None), 1), np.nan)  # padding may hold anything
    protruding = changed(far, (0, 0), [-0.4, 0, 1.4, 1])
    weights = np.float32([0, 1, 2, 0.5])
    x, y, w = checked(IMAGES, target(protruding), weights, CLASSES)
    assert x is IMAGES and y["boxes"] is protruding and w is weights
    empty = target(np.zeros((N, 0, 4), "float32"), np.zeros((N, 0), "int32"))
    assert checked(IMAGES, empty, None, CLASSES)[1] is empty


COUNTS = [1, 3, 0, 2]
LISTS = target([BOXES[0, :1].repeat(n, axis=0) for n in COUNTS], [[k % 3 for k in range(n)] for n in COUNTS])
RAGGED = target(
    tf.ragged.constant([x.tolist() for x in LISTS["boxes"]], dtype="float32", inner_shape=(4,)),
    tf.ragged.constant(LISTS["labels"], dtype="int32"),
)
UNEVEN = {**RAGGED, "boxes": tf.ragged.constant([x.tolist() for x in LISTS["boxes"]], dtype="float32")}


def as_dataset(y):
    return tf.data.Dataset.from_tensor_slices((IMAGES, y)).batch(N)


@pytest.mark.parametrize(
    "x, y",
    [(IMAGES, LISTS), (IMAGES, RAGGED), (as_dataset(RAGGED), None), (as_dataset(UNEVEN), None)],
    ids=["lists", "ragged tensors", "a dataset of them", "also in the last axis"],
)
def test_ragged_objects_are_padded(x, y):
    x, y, _ = checked(x, y, None, CLASSES)
    y = next(iter(x))[1] if y is None else y
    boxes, labels = np.asarray(y["boxes"]), np.asarray(y["labels"])
    assert boxes.shape == (N, 4, 4) and labels.shape == (N, 4)  # 3, and the next power of two
    for i, count in enumerate(COUNTS):
        np.testing.assert_allclose(boxes[i, :count], LISTS["boxes"][i])
        assert labels[i].tolist() == LISTS["labels"][i] + [-1] * (4 - count)


@pytest.mark.parametrize(
    "boxes, labels, message",
    [
        (
            LISTS["boxes"],
            LISTS["labels"][::-1],
            "each box must have a label. Received: 1 boxes and 2 labels of image 0",
        ),
        (LISTS["boxes"][1:], LISTS["labels"], "boxes and labels must be of the same images. Received: 3 and 4 images"),
        ([x[:, :3] for x in LISTS["boxes"]], LISTS["labels"], "boxes must be (N, M, 4), N and M the same in all. "),
        (
            [np.zeros((1, 4)), np.zeros((1, 3))],
            [[0], [0]],
            "boxes must be (m, 4) and labels (m,) in each image. Received: ",
        ),
        (
            LISTS["boxes"],
            [0] * N,
            "boxes must be (m, 4) and labels (m,) in each image. Received: labels without an axis",
        ),
    ],
    ids=["label missing", "image missing", "last axis", "two last axes", "no axis"],
)
def test_ragged_objects_that_are_refused(boxes, labels, message):
    assert refusal((IMAGES, target(boxes, labels), None)).startswith(message)


def test_a_ragged_dataset_that_is_refused():
    found = refusal((as_dataset({**RAGGED, "labels": RAGGED["labels"][::-1]}), None, None))
    assert found == "each box must have a label. Received: 1 boxes and 2 labels of image 0"


def test_a_batch_without_objects_is_padded():
    none = target(tf.ragged.constant([[]] * N, "float32", ragged_rank=2), tf.ragged.constant([[]] * N, "int32"))
    ((_, y),) = checked(as_dataset(none), None, None, CLASSES)[0]
    assert y["boxes"].shape == (N, 1, 4) and y["labels"].numpy().tolist() == [[-1]] * N
