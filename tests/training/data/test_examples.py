"""Data sets: what is not one is an error."""

import numpy as np
import pytest
from small_data import COLORS

from cspkeras.training import ClassificationData, DetectionData, Example, LabelledImage

GREY = np.full((2, 3), 100, "uint8")


@pytest.mark.parametrize(
    "boxes, labels, message",
    (
        (np.zeros((1, 4)), [3], r"examples\[1\]: labels must be from 0 to 2. Received: \[3\]"),
        (np.zeros((1, 4)), [-1], "labels must be from 0 to 2"),
        (np.full((1, 4), np.nan), [0], r"examples\[1\]: boxes must be finite numbers \(1, 4\)"),
        (np.full((1, 4), np.inf), [0], "boxes must be finite"),
        (np.zeros((2, 4)), [0], "boxes must be finite"),
        (np.zeros((1, 5)), [0], "boxes must be finite"),
    ),
)
def test_what_is_no_detection_data(boxes, labels, message):
    good, image = Example(GREY, np.zeros((1, 4)), np.int64([2])), np.zeros((9, 9, 3), "uint8")
    for options in (
        (boxes, np.int64(labels)),
        (good.boxes, good.labels, None, boxes, np.int64(labels)),
    ):
        with pytest.raises(ValueError, match=message):
            DetectionData([good, Example(image, *options)], tuple(COLORS))


@pytest.mark.parametrize("label", (-1, 2))
def test_what_is_no_classification_data(label):
    image = LabelledImage(np.zeros((2, 2, 3), "uint8"), 1)
    with pytest.raises(ValueError, match=rf"examples\[1\]: label must be from 0 to 1. Received: {label}"):
        ClassificationData([image, LabelledImage(image.image, label)], ("cat", "dog"))
