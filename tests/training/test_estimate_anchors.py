"""Anchors estimated from a data set."""

import numpy as np
import pytest

from cspkeras.detection.anchors import Anchors
from cspkeras.training import DetectionData, Example, estimate_anchors

SHAPES = [(8, 12), (16, 10), (20, 30), (30, 44), (50, 40), (60, 90), (90, 100), (120, 80), (150, 150)]


def data(shapes, size=(200, 200)):
    """An example a shape (width, height), in empty pictures of `size` (height, width)."""
    image, label = np.zeros((*size, 3), "uint8"), np.zeros(1, "int64")
    return DetectionData([Example(image, np.float32([[5, 5, 5 + w, 5 + h]]), label) for w, h in shapes], ("a",))


def jittered(seed=0, repeats=30):
    rng = np.random.default_rng(seed)
    return [(w * a, h * b) for w, h in SHAPES for a, b in rng.uniform(0.95, 1.05, (repeats, 2))]


@pytest.mark.parametrize(
    "picture, size, scale",
    (
        ((200, 200), (200, 200), 1),
        ((200, 200), (416, 416), 2.08),
        ((200, 400), (192, 192), 0.48),  # letterboxed: the longer side counts
        ((400, 200), (192, 320), 0.48),
    ),
)
def test_clear_clusters_are_found(picture, size, scale):
    anchors = estimate_anchors(data(jittered(), picture), size, seed=2)
    assert anchors.size == size and [len(level) for level in anchors.boxes] == [3, 3, 3]
    got, expected = np.array(sorted(anchors.pairs.tolist())), scale * np.array(sorted(SHAPES))
    matches = [min(np.abs(got / shape - 1).max(axis=1)) < 0.06 for shape in expected]
    assert sum(matches) >= 7  # k-means may settle with two anchors in one cluster
    areas = [w * h for level in anchors.boxes for w, h in level]
    assert areas == sorted(areas)


def test_they_fit_better_than_the_published_ones():
    shapes = np.array(jittered())

    def mean_best(anchors):
        common = np.minimum(shapes[:, None], anchors.pairs[None]).prod(-1)
        return (common / (shapes.prod(-1)[:, None] + anchors.pairs.prod(-1) - common)).max(1).mean()

    assert mean_best(estimate_anchors(data(shapes), (200, 200))) > 0.85 > mean_best(Anchors.published((200, 200)))


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


def test_pictures_without_objects_do_not_matter():
    empty = Example(np.zeros((9, 9, 3), "uint8"), np.zeros((0, 4), "float32"), np.zeros(0, "int64"))
    shapes = data(jittered())
    with_empty = DetectionData([empty, *shapes.examples], shapes.class_names)
    assert estimate_anchors(with_empty, (200, 200)) == estimate_anchors(shapes, (200, 200))


def test_a_count_that_is_no_multiple_of_three():
    with pytest.raises(ValueError, match="multiple of 3"):
        estimate_anchors(data(jittered()), (200, 200), count=7)
