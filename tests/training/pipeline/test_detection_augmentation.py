"""A detector's augmentation: it depends on its seed alone, and its transforms are independent."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scenes import PLAIN, assert_same, scene

from cspkeras.training.pipeline.detection_augmentation import Augmentation


def test_objects_of_which_too_little_remains_are_dropped():
    image = np.full((64, 64, 3), 128, "uint8")
    corner = (image, np.float32([[0, 0, 12, 12]]), np.int64([0]))
    augmentation = Augmentation((64, 64), **{**PLAIN, "crop": 1.0})
    found = [len(augmentation(seed, corner)[1]) for seed in range(40)]
    assert set(found) == {0, 1}


def test_the_augmentation_depends_on_its_seed_alone():
    example = scene(0)
    image = example.pixels(), example.boxes, example.labels
    one, other = Augmentation((64, 64)), Augmentation((64, 64))
    expected = [one(seed, image) for seed in range(30)]
    with ThreadPoolExecutor(8) as threads:
        assert_same(list(threads.map(lambda seed: other(seed, image), range(30))), expected)


def test_the_transforms_draw_independently():
    left = np.full((64, 64, 3), 128, "uint8")
    left[:, :8] = 200
    augmentation = Augmentation((64, 64), mosaic=0, crop=0.5, flip=0.5, color=0.5)
    seen = set()
    for seed in range(60):
        image, boxes, _ = augmentation(seed, (left, np.float32([[0, 0, 64, 64], [56, 0, 64, 64]]), np.int64([0, 1])))
        mirrored = len(boxes) == 2 and boxes[1, 0] < 32
        values = set(np.unique(image[:, 20:40]).tolist())
        seen.add((len(boxes) == 2, mirrored, values == {128}))
    assert {(True, m, c) for m in (True, False) for c in (True, False)} <= seen


@pytest.mark.parametrize("blur", (0.0, 1.0))
def test_blur(blur):
    image = np.zeros((64, 64, 3), "uint8")
    image[:, 32:] = 255
    result, boxes, _ = Augmentation((64, 64), **PLAIN, blur=blur)(0, (image, np.float32([[4, 4, 60, 60]]), [0]))
    assert (len(np.unique(result)) > 2) == bool(blur)
    np.testing.assert_allclose(boxes, [[4, 4, 60, 60]])
