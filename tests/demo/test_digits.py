"""The digit scenes: the same every time, exact boxes, no handwriting in both splits."""

import numpy as np
import plain_overlaps
import pytest

pytest.importorskip("sklearn")

from cspkeras.demo import digits


def test_a_scene_depends_on_its_number_seed_and_split_alone():
    in_order = list(digits.scenes(4, size=96, seed=5))
    alone = digits.scene(3, size=96, seed=5)
    for got, expected in zip(alone, in_order[3], strict=True):
        np.testing.assert_array_equal(got, expected)
    others = [digits.scene(2, 96, 5), digits.scene(3, 96, 6), digits.scene(3, 96, 5, "test")]
    assert not any(np.mean(alone.image == other.image) > 0.5 for other in others)  # the ground differs too


@pytest.mark.integration
@pytest.mark.parametrize("size", (64, 160, 200))
def test_format_and_overlap(size):
    seen = set()
    for image, boxes, labels in digits.scenes(60, size=size, split="test"):
        assert image.dtype == np.uint8 and image.shape == (size, size, 3)
        assert boxes.dtype == np.float32 and boxes.shape == (len(labels), 4) and labels.dtype == np.int64
        assert 2 <= len(labels) <= 7
        assert (boxes >= 0).all() and (boxes <= size).all() and (boxes[:, 2:] > boxes[:, :2]).all()
        for first in range(len(boxes)):
            for second in range(first):
                assert plain_overlaps.iou(boxes[first], boxes[second]) < 0.05
        seen |= set(labels.tolist())
    assert seen == set(range(10))


def test_boxes_are_tight_round_the_ink():
    for index in range(40):
        image, boxes, _ = digits.scene(index)
        bare = digits.ground(np.random.default_rng([0, index, 0]), 160)
        changed = np.abs(image - np.clip(bare, 0, 255)).max(-1) > 8
        outside = changed.copy()
        for x1, y1, x2, y2 in boxes.astype(int):
            ink = changed[y1:y2, x1:x2]
            assert ink[0].any() and ink[-1].any() and ink[:, 0].any() and ink[:, -1].any()
            outside[y1:y2, x1:x2] = False
        assert not outside.any()


def test_digits_stand_out_from_the_ground():
    for index in range(40):
        image, boxes, _ = digits.scene(index)
        bare = digits.ground(np.random.default_rng([0, index, 0]), 160)
        for x1, y1, x2, y2 in boxes.astype(int):
            change = np.abs(image[y1:y2, x1:x2] - bare[y1:y2, x1:x2]).max(-1)
            assert np.percentile(change, 90) > 60


@pytest.mark.parametrize("height, angle", ((16, 0), (16, 12), (40, -12), (64, 7)))
def test_rendered_height_and_crop(height, angle, monkeypatch):
    glyphs, _ = digits.handwriting("train")
    cropped = [digits.render(glyph, height, angle) for glyph in glyphs[:20]]
    monkeypatch.setattr(digits, "VISIBLE", 0)
    for glyph, ink in zip(glyphs, cropped, strict=False):
        assert abs(ink.shape[0] - height) <= 0.2 * height
        for edge in (ink[0], ink[-1], ink[:, 0], ink[:, -1]):
            assert edge.max() >= 0.2
        whole = digits.render(glyph, height, angle)
        assert (whole > 0.2).sum() == (ink > 0.2).sum()
        assert ink.max() == 1


def test_a_positive_angle_turns_counter_clockwise():
    bar = np.zeros((96, 96), np.uint8)
    bar[16:80, 44:52] = 255
    ink = digits.render(bar, 64, 12)
    columns = np.arange(ink.shape[1])
    top, bottom = (np.average(columns, weights=part.sum(0)) for part in (ink[:20], ink[-20:]))
    assert top < bottom - 5


def test_the_splits_share_no_handwriting():
    (train, train_labels), (test, test_labels) = map(digits.handwriting, digits.SPLITS)
    assert len(train) == len(train_labels) == 1437 and len(test) == len(test_labels) == 360
    assert not {glyph.tobytes() for glyph in train} & {glyph.tobytes() for glyph in test}
    assert set(train_labels) == set(test_labels) == set(range(10))


@pytest.mark.parametrize(
    "arguments, message",
    (
        ({"count": -1}, "count=-1"),
        ({"size": 32}, "size=32"),
        ({"seed": -1}, "seed=-1"),
        ({"split": "val"}, "split='val'"),
    ),
)
def test_errors_come_at_the_call(arguments, message):
    with pytest.raises(ValueError, match=message):
        digits.scenes(**{"count": 1, **arguments})
