"""Anchors estimated from a data set."""

import numpy as np
import pytest

from cspkeras.detection.anchors import Anchors
from cspkeras.training import DetectionData, Example, estimate_anchors
from cspkeras.training.data.anchors import MAX_OBJECTS, anchor_fit, object_shapes

SHAPES = [(8, 12), (16, 10), (20, 30), (30, 44), (50, 40), (60, 90), (90, 100), (120, 80), (150, 150)]


def data(shapes, size=(200, 200)):
    """An example a shape (width, height), in empty images of `size` (height, width)."""
    image, label = np.zeros((*size, 3), "uint8"), np.zeros(1, "int64")
    return DetectionData([Example(image, np.float32([[5, 5, 5 + w, 5 + h]]), label) for w, h in shapes], ("a",))


def jittered(seed=0, repeats=30):
    rng = np.random.default_rng(seed)
    return [(w * a, h * b) for w, h in SHAPES for a, b in rng.uniform(0.95, 1.05, (repeats, 2))]


@pytest.mark.parametrize(
    "image, size, scale",
    (
        ((200, 200), (200, 200), 1),
        ((200, 200), (416, 416), 2.08),
        ((200, 400), (192, 192), 0.48),  # letterboxed: the longer side counts
        ((400, 200), (192, 320), 0.48),
    ),
)
def test_clear_clusters_are_found(image, size, scale):
    anchors = estimate_anchors(data(jittered(), image), size, seed=2)
    assert anchors.size == size and [len(level) for level in anchors.boxes] == [3, 3, 3]
    got, expected = np.array(sorted(anchors.pairs.tolist())), scale * np.array(sorted(SHAPES))
    matches = [min(np.abs(got / shape - 1).max(axis=1)) < 0.06 for shape in expected]
    assert sum(matches) >= 7  # k-means may settle with two anchors in one cluster
    areas = [w * h for level in anchors.boxes for w, h in level]
    assert areas == sorted(areas)


def test_they_fit_better_than_the_published_ones():
    shapes = np.array(jittered())
    own, published = estimate_anchors(data(shapes), (200, 200)), Anchors.published((200, 200))
    assert anchor_fit(shapes, own.pairs)[0] > 0.85 > anchor_fit(shapes, published.pairs)[0]


@pytest.mark.parametrize(
    "shape, iou, recall",
    (
        ((20, 30), 1, 1),
        ((40, 30), 0.5, 1),
        ((10, 15), 0.25, 1),
        ((79, 30), 20 / 79, 1),  # less than four times too wide
        ((81, 30), 20 / 81, 0),
        ((20, 7), 7 / 30, 0),
    ),
)
def test_the_fit_of_one_anchor(shape, iou, recall):
    assert anchor_fit(np.array([shape], float), np.array([(20.0, 30.0)])) == pytest.approx((iou, recall))


def test_the_fit_is_a_mean_of_the_best():
    shapes, pairs = np.array([(20.0, 30.0), (40, 30), (400, 400)]), np.array([(20.0, 30.0), (40.0, 40.0)])
    assert anchor_fit(shapes, pairs) == pytest.approx((np.mean([1, 0.75, 0.01]), 2 / 3))


@pytest.mark.integration
@pytest.mark.parametrize("seed", range(3))
def test_generations_fit_better_the_more_they_are(seed):
    rng = np.random.default_rng(9)
    shapes = rng.lognormal(4, 0.8, (400, 2)).clip(2, 195)
    fits = [
        anchor_fit(shapes, estimate_anchors(data(shapes), (200, 200), seed=seed, generations=n).pairs)
        for n in (0, 100, 1000)
    ]
    iou, recall = zip(*fits, strict=True)
    assert iou[0] < iou[1] < iou[2] and min(recall) > 0.95


def test_generations_are_the_seeds():
    shapes = np.random.default_rng(9).lognormal(4, 0.8, (400, 2)).clip(2, 195)
    one, same = (estimate_anchors(data(shapes), (200, 200), seed=3, generations=100) for _ in range(2))
    assert one == same != estimate_anchors(data(shapes), (200, 200), seed=3)


def test_two_levels():
    anchors = estimate_anchors(data(jittered()), (200, 200), count=6, strides=(16, 32), generations=5)
    assert anchors.strides == (16, 32) and [len(level) for level in anchors.boxes] == [3, 3]
    too_few = estimate_anchors(data(SHAPES[:3]), (320, 320), count=6, strides=(16, 32))
    assert too_few == Anchors.published((320, 320), (16, 32))


def test_of_a_large_data_set_a_part_is_looked_at():
    boxes = np.float32([[0, 0, 1 + i % 150, 1 + i % 131] for i in range(MAX_OBJECTS + 1)])
    example = Example(np.zeros((200, 200, 3), "uint8"), boxes, np.zeros(len(boxes), "int64"))
    shapes = [object_shapes(DetectionData([example], ("a",)), (200, 200)) for _ in range(2)]
    assert shapes[0].shape == (MAX_OBJECTS, 2)
    np.testing.assert_array_equal(*shapes)


def test_the_seed_decides():
    one, same = (estimate_anchors(data(jittered()), (200, 200), seed=3) for _ in range(2))
    assert one == same


@pytest.mark.parametrize("count", (3, 6, 9))
def test_count(count):
    assert len(estimate_anchors(data(jittered()), (200, 200), count=count).pairs) == count


@pytest.mark.parametrize("shapes", ([], SHAPES[:8], SHAPES[:8] * 5))
def test_too_few_shapes_give_the_published_anchors(shapes):
    assert estimate_anchors(data(shapes), (320, 320)) == Anchors.published((320, 320))


def test_a_frequent_shape_does_not_take_two_anchors():
    anchors = estimate_anchors(data(SHAPES + SHAPES[:1] * 500), (200, 200))
    np.testing.assert_allclose(sorted(anchors.pairs.tolist()), sorted(SHAPES), rtol=1e-5)


def test_images_without_objects_do_not_matter():
    empty = Example(np.zeros((9, 9, 3), "uint8"), np.zeros((0, 4), "float32"), np.zeros(0, "int64"))
    shapes = data(jittered())
    with_empty = DetectionData([empty, *shapes.examples], shapes.class_names)
    assert estimate_anchors(with_empty, (200, 200)) == estimate_anchors(shapes, (200, 200))


def test_a_count_that_is_no_multiple_of_three():
    with pytest.raises(ValueError, match="multiple of 3"):
        estimate_anchors(data(jittered()), (200, 200), count=7)
