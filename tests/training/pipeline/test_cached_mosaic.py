"""RTMDet's augmentation: mosaics and MixUp of the images just before, and their random scale."""

import numpy as np
import pytest
from scenes import PALETTE, PLAIN, assert_same, scene, take
from small_data import COLORS

from cspkeras.training import DetectionData, Example, training_batches
from cspkeras.training.data import example_tables
from cspkeras.training.data.images import read_pixels
from cspkeras.training.pipeline import mosaic, stream
from cspkeras.training.pipeline.detection_augmentation import Augmentation
from cspkeras.training.pipeline.scale_jitter import jittered

SIZE = (64, 96)
ALL = {"mosaic": 1.0, "mixup": 1.0, "cached": 3, "crop": 0.0, "scale": [0.5, 2.0], "flip": 0.5, "color": 0.0}


def scenes(count):
    return DetectionData([scene(seed) for seed in range(count)], tuple(COLORS))


def greys(count):
    """Images of one grey each, an object that fills each."""
    images = [np.full((64, 64, 3), 10 + 20 * i, "uint8") for i in range(count)]
    return DetectionData([Example(x, np.float32([[0, 0, 64, 64]]), np.int64([0])) for x in images], ("a",))


@pytest.mark.parametrize("options", [ALL, {**ALL, "multiscale": 1.4}], ids=["", "multiscale"])
def test_a_resumed_run_gets_the_same_batches(options):
    whole = take(training_batches(scenes(8), SIZE, 2, seed=1, augment=options), 14)
    for step in (1, 5, 11):
        rest = training_batches(scenes(8), SIZE, 2, seed=1, start_step=step, augment=options)
        assert_same(take(rest, 14 - step), whole[step:])
    share = training_batches(scenes(8), SIZE, 2, seed=1, start_step=5, augment=options, share=(1, 2))
    for (image, *objects), (whole_image, *whole_objects) in zip(take(share, 3), whole[5:8], strict=True):
        np.testing.assert_array_equal(image, whole_image[1:])
        for part, known in zip(objects, whole_objects, strict=True):  # with room for more
            np.testing.assert_array_equal(part[:, : known.shape[1]], known[1:])
    assert len({batch[0].tobytes() for batch in whole}) == 14


def test_the_others_are_those_just_before():
    count, cached = 10, 3
    order = stream.Order(4, count, count)
    batches = take(training_batches(greys(count), SIZE, 1, seed=4, augment={**PLAIN, "mosaic": 1.0, "cached": 3}), 30)
    mixed = 0
    for position, (image, _, labels) in enumerate(batches):
        shown = {(value - 10) // 20 for value in np.unique(np.rint(image * 255).astype(int))}
        window = {order(max(0, position - k))[0] for k in range(cached + 1)}
        assert order(position)[0] in shown and shown <= window
        assert (labels >= 0).sum() == 4  # every part of a mosaic keeps its object
        mixed += len(shown) > 2
    assert mixed > 10


def test_what_is_mixed_in_was_shown_before_and_keeps_its_boxes():
    options = {**PLAIN, "cached": 2}
    alone = take(training_batches(scenes(6), SIZE, 1, seed=4, augment=options), 12)
    mixed = take(training_batches(scenes(6), SIZE, 1, seed=4, augment={**options, "mixup": 1.0}), 12)
    for position, (image, boxes, labels) in enumerate(mixed):
        one, places, kinds = alone[position]
        assert labels[0, :2].tolist() == kinds[0, :2].tolist()
        np.testing.assert_array_equal(boxes[0, :2], places[0, :2])
        assert any(
            np.array_equal(boxes[0, 2:4], before[1][0, :2]) and np.abs(image - (one + before[0]) / 2).max() < 0.003
            for before in alone[max(0, position - 2) : max(1, position)]
        )


def test_each_image_is_decoded_about_once(tmp_path, monkeypatch):
    read, reads = example_tables.read_pixels, []

    def counted(image, *args, **options):
        reads.append(1)
        return read(image, *args, **options)

    monkeypatch.setattr(example_tables, "read_pixels", counted)
    monkeypatch.setattr("cspkeras.training.pipeline.dataset.decoding_threads", lambda: 4)
    take(training_batches(scenes(24), SIZE, 4, seed=1, augment=ALL), 5)
    assert len(reads) < 60  # of 20 mosaics of four images, and those ahead; 160 with those that are mixed in


def test_nothing_is_kept_that_nothing_takes():
    """As in a run's last epochs, which have neither mosaic nor MixUp."""
    assert Augmentation(SIZE, **{**ALL, "mosaic": 0.0, "mixup": 0.0}).cached == 0
    assert Augmentation(SIZE, **{**ALL, "mosaic": 0.0}).cached == ALL["cached"]


def test_mosaics_scale_and_mixup_keep_the_boxes_on_their_objects():
    count = 0
    for image, boxes, labels in take(training_batches(scenes(8), SIZE, 4, seed=2, augment={**ALL, "mixup": 0.0}), 6):
        assert image.shape == (4, *SIZE, 3) and boxes.shape == (4, 8, 4)
        for pixels, places, kinds in zip(np.rint(image * 255), boxes, labels, strict=True):
            assert (places >= 0).all() and (places <= 1).all()
            for box, kind in zip(places[kinds >= 0] * np.tile(SIZE[::-1], 2), kinds[kinds >= 0], strict=True):
                x1, y1, x2, y2 = np.rint(box).astype(int)
                inside = pixels[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2]
                np.testing.assert_allclose(inside, np.broadcast_to(PALETTE[kind], inside.shape), atol=40)
                count += 1
    assert count > 40


@pytest.mark.parametrize("factor", [0.3, 0.5, 1.0, 1.7])
def test_an_image_is_scaled_and_its_boxes_with_it(factor):
    image = np.full((80, 100, 3), 10, "uint8")
    image[20:60, 30:80] = 250
    for seed in range(5):
        rng = np.random.default_rng(seed)
        (pixels, boxes, labels), shown = jittered(rng, (image, np.float32([[30, 20, 80, 60]]), [7]), SIZE, factor)
        x1, y1, x2, y2 = boxes[0]
        assert pixels.shape == (*SIZE, 3) and labels == [7]
        assert (pixels > 200).all(-1).sum() == pytest.approx((x2 - x1) * (y2 - y1), rel=0.15)
        assert shown[0] == pytest.approx((x2 - x1) * (y2 - y1) / (50 * 40 * factor**2), rel=1e-3)
        rows, columns = np.nonzero((pixels > 200).all(-1))
        edges = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        np.testing.assert_allclose(boxes[0], edges, atol=1.01)
        covered = (pixels != 114).all(-1).mean()
        assert covered == pytest.approx(min(1, 100 * factor / SIZE[1]) * min(1, 80 * factor / SIZE[0]), abs=0.05)


def test_the_images_of_a_mosaic_fit_the_input_and_touch_its_point():
    images = [(np.full((40, 80, 3), value, "uint8"), np.float32([[0, 0, 80, 40]]), np.int64([0])) for value in range(4)]
    for seed in range(5):
        quarters = mosaic.quarters(np.random.default_rng(seed), SIZE)
        parts = [
            (quarter, read_pixels(pixels), *rest) for quarter, (pixels, *rest) in zip(quarters, images, strict=True)
        ]
        image, boxes, _ = mosaic.join(parts)
        assert image.shape == (128, 192, 3) and len(boxes) == 4
        for value, (x1, y1, x2, y2) in enumerate(boxes.astype(int)):
            assert (image[y1:y2, x1:x2] == value).all() and (image == value).all(-1).sum() == (x2 - x1) * (y2 - y1)
            assert x2 - x1 <= 96 and y2 - y1 <= 48  # twice as wide as high
        point = {tuple(part.place[i] for i in (2, 3)) for part in quarters if part.place[:2] == (0, 0)}
        assert all(any((x in box[[0, 2]]) and (y in box[[1, 3]]) for x, y in point) for box in boxes)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cached": -1},
        {"cached": 0.5},
        {"cached": True},
        {"scale": 1.0},
        {"scale": [2.0, 0.5]},
        {"scale": [0, 1]},
        {"scale": ["half", "twice"]},
    ],
    ids=str,
)
def test_wrong_options(wrong):
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))} must be "):
        Augmentation(SIZE, **wrong)
