"""Anchors and the grid that they lie on."""

import json

import numpy as np
import pytest
from plain_boxes import CODED

from cspkeras.detection.anchors import YOLO_416, Anchors


@pytest.mark.parametrize("each", [1, 2, 3])
def test_pairs_are_spread_by_area_the_smallest_on_the_finest_level(each):
    pairs = [(w, 100 // w) for w in range(1, 3 * each + 1)]
    anchors = Anchors.of(pairs, (64, 96))
    assert [len(level) for level in anchors.boxes] == [each] * 3
    areas = np.prod(anchors.pairs, axis=1)
    assert (np.diff(areas) >= 0).all()
    assert sorted(map(tuple, anchors.pairs.tolist())) == sorted(pairs)
    assert Anchors.of(np.array(pairs[::-1]), [64, 96]) == Anchors.of(pairs[::-1], (64, 96))


@pytest.mark.parametrize(
    "pairs",
    [[], [(1, 2)], [(1, 2)] * 4, [(1, 0)] * 3, [(-1, 2)] * 3, [(1, 2, 3)] * 3, [1, 2, 3], [(1, 2), (3,), (4, 5)]],
    ids=str,
)
def test_wrong_pairs_are_an_error(pairs):
    with pytest.raises(ValueError, match=r"a multiple of 3 pairs of positive \(width, height\). Received: \["):
        Anchors.of(pairs, (64, 64))


@pytest.mark.parametrize("size", [(416, 416), (208, 832), (64, 96)])
def test_the_published_anchors_scale_with_the_input(size):
    expected = np.array(YOLO_416[3]) * [size[1] / 416, size[0] / 416]
    anchors = Anchors.published(size)
    assert anchors.size == size
    found = {tuple(pair) for pair in anchors.pairs.round(3).tolist()}
    assert found == {tuple(pair) for pair in expected.astype("float32").round(3).tolist()}
    if size == (416, 416):
        assert anchors.boxes == (YOLO_416[3][:3], YOLO_416[3][3:6], YOLO_416[3][6:])


def test_the_grid_says_where_each_prediction_lies():
    height, width = size = (64, 96)
    pairs = ((6.0, 9.0), (10.0, 7.0)), ((14.0, 22.0),), ((40.0, 36.0), (41.0, 36.0), (70.0, 50.0))
    anchors = Anchors(size, pairs, scale_xy=(1.2, 1.1, 1.05))
    grid, place, offsets = anchors.grid(), 0, []
    for level, stride, scale in zip(pairs, (8, 16, 32), (1.2, 1.1, 1.05), strict=True):
        offsets.append(place)
        for row in range(height // stride):
            for column in range(width // stride):
                for w, h in level:
                    np.testing.assert_allclose(grid.origins[place], [column * stride / width, row * stride / height])
                    np.testing.assert_allclose(grid.cells[place], [stride / width, stride / height], rtol=1e-6)
                    np.testing.assert_allclose(grid.sizes[place], [w / width, h / height], rtol=1e-6)
                    assert grid.scales[place] == np.float32(scale)
                    place += 1
    assert len(grid.origins) == len(grid.cells) == len(grid.sizes) == len(grid.scales) == place
    assert anchors.offsets().tolist() == offsets
    assert {array.dtype for array in (grid.origins, grid.cells, grid.sizes, grid.scales)} == {np.dtype("float32")}


@pytest.mark.parametrize("coding", CODED)
def test_the_configuration_survives_json(coding):
    anchors = CODED[coding]
    again = Anchors.from_config(json.loads(json.dumps(anchors.get_config())))
    assert again == anchors and hash(again) == hash(anchors) and again.coding == coding
    np.testing.assert_array_equal(again.grid().origins, anchors.grid().origins)


@pytest.mark.parametrize(("older", "coding"), [({"linear": True}, "free"), ({"linear": False}, "yolo"), ({}, "yolo")])
def test_configurations_of_older_versions_are_read(older, coding):
    config = CODED[coding].get_config() | older
    del config["coding"]
    assert Anchors.from_config(config) == CODED[coding]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Anchors.of([(1, 2)] * 3, (64, 64), coding="linear"), "coding must be one of yolo, free, scaled, "),
        (lambda: Anchors((64, 64), CODED["free"].boxes, (8, 16)), "Received: boxes of 3, strides of 2, scale_xy of 3"),
        (lambda: Anchors.published((64, 64), (8, 16, 32, 64)), "for 2 or 3 levels; give anchors. Received: strides "),
    ],
)
def test_anchors_that_are_none_are_one_line(make, message):
    with pytest.raises(ValueError, match=message):
        make()
