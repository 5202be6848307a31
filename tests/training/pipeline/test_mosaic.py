"""Mosaics: parts of four images, each where albumentations has it."""

import cv2
import numpy as np
import pytest
from albumentations.augmentations.mixing.functional import process_cell_geometry
from scenes import scene

from cspkeras.training.data.images import read_pixels
from cspkeras.training.pipeline import mosaic


@pytest.mark.parametrize("size", ((32, 32), (96, 64), (1056, 1056)))
def test_a_mosaic_shows_parts_of_all_four(size):
    greys = [(np.full((80, 100, 3), grey, "uint8"), np.float32([[0, 0, 100, 80]]), np.int64([0])) for grey in range(4)]
    for seed in range(4):
        cells = mosaic.cells(np.random.default_rng(seed), size)
        parts = [(cell, read_pixels(image), *rest) for cell, (image, *rest) in zip(cells, greys, strict=True)]
        image, boxes, labels = mosaic.join(parts)
        parts = [np.mean(image == grey) for grey in range(4)]
        assert min(parts) > 0.05 and sum(parts) == pytest.approx(1) and len(boxes) == len(labels) == 4


@pytest.mark.parametrize("shape", ((96, 96), (64, 128)))
@pytest.mark.parametrize("position", ("top_left", "top_right", "bottom_left", "bottom_right"))
def test_a_mosaics_cell_is_that_of_albumentations(shape, position):
    (height, width), example = shape, scene(3, (400, 500))
    x, y = width // 3, height // 2
    left, right = (0, x) if "left" in position else (x, width)
    top, bottom = (0, y) if "top" in position else (y, height)
    expected = process_cell_geometry(
        shape, {"image": example.image, "bboxes": example.boxes / [500, 400, 500, 400]}, (bottom - top, right - left),
        0, 0, "cover", cv2.INTER_LINEAR, cv2.INTER_NEAREST, position,
    )  # fmt: skip
    image, boxes = mosaic.Cell(shape, (left, top, right, bottom))(read_pixels(example.image), example.boxes)
    assert np.abs(image.astype(int) - expected["image"]).mean() < 4  # the window is one of whole pixels
    shown = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    wanted = expected["bboxes"] * np.tile(image.shape[1::-1], 2)
    np.testing.assert_allclose(boxes[shown] - [left, top] * 2, wanted, atol=0.5)
