"""Batches: the same for the same seed, whole, and with every box still on its object."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scenes import PALETTE, PLAIN, assert_same, scene, take
from small_data import COLORS

from cspkeras.training import DetectionData, Example, training_batches
from cspkeras.training.pipeline.detection import letterboxed
from cspkeras.training.pipeline.detection_augmentation import Augmentation
from cspkeras.training.pipeline.stream import Images


def scenes(count):
    return DetectionData([scene(seed) for seed in range(count)], tuple(COLORS))


def with_threads(dataset, threads):
    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    return dataset.with_options(options)


def test_the_number_of_threads_decides_nothing():
    data = scenes(7)
    expected = take(with_threads(training_batches(data, (64, 64), 3, seed=5), 1), 8)
    for threads in (2, 16):
        assert_same(take(with_threads(training_batches(data, (64, 64), 3, seed=5), threads), 8), expected)
    other = take(training_batches(data, (64, 64), 3, seed=6), 8)
    assert not any(np.array_equal(a[0], b[0]) for a, b in zip(other, expected, strict=True))


@pytest.mark.integration
@pytest.mark.parametrize("count, batch_size", ((8, 4), (7, 3), (4, 4)))
def test_a_later_start_continues_the_sequence(count, batch_size):
    data, steps = scenes(count), count // batch_size
    whole = take(training_batches(data, (64, 64), batch_size, seed=1), 3 * steps)
    for epoch in (1, 2):
        rest = take(training_batches(data, (64, 64), batch_size, seed=1, start_step=epoch * steps), (3 - epoch) * steps)
        assert_same(rest, whole[epoch * steps :])


def test_an_epoch_has_each_image_at_most_once_and_leaves_out_others():
    greys = [
        Example(np.full((64, 64, 3), 20 * i, "uint8"), np.float32([[4, 4, 60, 60]]), np.int64([0])) for i in range(7)
    ]
    batches = take(training_batches(DetectionData(greys, ("a",)), (64, 64), 2, augment=PLAIN), 30)
    shown = np.rint(np.concatenate([image[:, 0, 0, 0] for image, *_ in batches]) * 255 / 20).reshape(10, 6)
    assert all(len(set(epoch)) == 6 for epoch in shown)
    assert len({tuple(epoch) for epoch in shown}) == 10
    assert len({tuple(sorted(epoch)) for epoch in shown}) > 2


@pytest.mark.integration
@pytest.mark.parametrize("option", (None, "mosaic", "crop", "flip", "all"))
@pytest.mark.parametrize("size", ((96, 96), (64, 128), (160, 96)))
def test_boxes_stay_on_their_objects(option, size):
    augment = (
        {**dict.fromkeys(PLAIN, 1.0), "color": 0.0}
        if option == "all"
        else {**PLAIN, **({option: 1.0} if option else {})}
    )
    count = 0
    for image, boxes, labels in take(training_batches(scenes(8), size, 4, seed=2, augment=augment), 6):
        assert image.dtype == np.float32 and image.shape == (4, *size, 3) and image.min() >= 0 and image.max() <= 1
        assert boxes.dtype == np.float32 and boxes.shape == (4, 8, 4)
        assert labels.dtype == np.int32 and labels.shape == (4, 8)
        for pixels, places, kinds in zip(np.rint(image * 255), boxes, labels, strict=True):
            real = kinds >= 0
            assert real[: real.sum()].all() and (places[~real] == 0).all() and (kinds[~real] == -1).all()
            assert (places >= 0).all() and (places <= 1).all()
            explained = np.zeros(size, bool)
            for box, kind in zip(places[real] * [*size[::-1], *size[::-1]], kinds[real], strict=True):
                x1, y1, x2, y2 = np.rint(box).astype(int)
                inside = pixels[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2]
                np.testing.assert_allclose(inside, np.broadcast_to(PALETTE[kind], inside.shape), atol=30)
                explained[max(0, y1 - 2) : y2 + 2, max(0, x1 - 2) : x2 + 2] = True
                count += 1
            if option in (None, "flip"):  # elsewhere, the remains of an object that was cut off have no box
                assert (np.ptp(pixels, axis=-1)[~explained] < 20).all()
    assert count > 24


def test_a_letterbox_is_grey_and_keeps_the_shape():
    data = DetectionData(
        [Example(np.zeros((40, 80, 3), "uint8"), np.float32([[20, 10, 60, 30]]), np.int64([0]))], ("a",)
    )
    ((image, boxes, _),) = take(training_batches(data, (64, 64), 1, augment=PLAIN), 1)
    bands = np.rint(image[0, :, :, 0] * 255)
    assert (bands[:16] == 114).all() and (bands[16:48] == 0).all() and (bands[48:] == 114).all()
    np.testing.assert_allclose(boxes[0, 0], [0.25, 0.375, 0.75, 0.625])


def test_mixup_shows_two_images_with_all_boxes():
    greys = [
        (np.full((64, 64, 3), grey, "uint8"), np.float32([[8 * k, 0, 8 * k + 8, 64]]), np.int64([k]))
        for k, grey in enumerate((40, 200))
    ]
    augmentation = Augmentation((64, 64), **PLAIN, mixup=1.0)
    image, boxes, labels = augmentation(3, *greys)
    assert (image == 120).all() and labels.tolist() == [0, 1]
    np.testing.assert_allclose(boxes, [[0, 0, 8, 64], [8, 0, 16, 64]])
    data = DetectionData([Example(*grey) for grey in greys], ("a", "b"))
    for shown, boxes, labels in take(training_batches(data, (64, 64), 2, augment={**PLAIN, "mixup": 1.0}), 4):
        assert boxes.shape == (2, 8, 4) and ((labels >= 0).sum(axis=1) == 2).all()
        assert set(np.rint(shown[:, 0, 0, 0] * 255)) <= {40, 120, 200}


def test_shapes_change_every_ten_batches_within_the_same_input():
    example = Example(np.zeros((128, 128, 3), "uint8"), np.float32([[32, 32, 96, 96]]), np.int64([0]))
    data, augment = DetectionData([example] * 2, ("a",)), {**PLAIN, "multiscale": 1.4}
    batches, seen = take(training_batches(data, (128, 128), 2, seed=2, augment=augment), 60), []
    for start in range(0, 60, 10):
        sides = set()
        for shown, boxes, labels in batches[start : start + 10]:
            assert shown.shape == (2, 128, 128, 3)
            for image, (box, *_), (label, *_) in zip(shown, boxes * 128, labels, strict=True):
                if label == 0 and box.min() > 0 and box.max() < 128:  # else it is cut
                    sides.add(round(float(box[2] - box[0])))
                    grey = (np.rint(image[..., 0] * 255) == 114).mean()
                    assert grey == pytest.approx(max(0, 1 - (2 * (box[2] - box[0]) / 128) ** 2))
        assert len(sides) <= 1
        seen += sides
    assert set(seen) <= {48, 64, 80, 96} and len(set(seen)) > 1
    augmentation = Augmentation((128, 64), **augment)
    shapes = {augmentation.shape(np.random.default_rng(seed)) for seed in range(300)}
    assert {height for height, _ in shapes} == {96, 128, 160, 192}  # 128 by 1 / 1.4 to 1.4, to the nearest multiple
    assert {width for _, width in shapes} == {32, 64, 96}
    assert_same(take(training_batches(data, (128, 128), 2, seed=2, start_step=13, augment=augment), 10), batches[13:23])


def crowded(counts):
    """Images with as many objects as `counts` says, in rows."""
    examples = []
    for count in counts:
        places = np.arange(count)
        corners = np.stack([places % 40 * 6, places // 40 * 6], 1)
        boxes = np.hstack([corners, corners + 5]).astype("float32")
        examples.append(Example(np.zeros((240, 240, 3), "uint8"), boxes, np.zeros(count, "int64")))
    return DetectionData(examples, ("a",))


def test_a_batch_has_room_for_its_own_objects():
    seen = set()
    for _, boxes, labels in take(training_batches(crowded([900, 20, 3, 1, 0, 0]), (240, 240), 1, augment=PLAIN), 6):
        most = (labels >= 0).sum(axis=1).max()
        seen.add((most, boxes.shape[1]))
        assert boxes.shape[:2] == labels.shape
    assert seen == {(900, 1024), (20, 32), (3, 8), (1, 8), (0, 8)}


@pytest.mark.parametrize(
    "augment",
    [{}, {"mosaic": 1.0, "mixup": 1.0}, {"mixup": 1.0, "cached": 2, "crop": 0.0}],
    ids=["", "mixup", "cached"],
)
def test_all_machines_have_room_for_as_many_objects(augment):
    shapes = []
    for rank in range(2):
        options = dict(seed=1, augment=augment, share=(rank, 2))
        found = take(training_batches(crowded([300, 20, 3, 1, 0, 0, 2, 2]), (64, 64), 4, **options), 8)
        assert all((labels >= 0).sum(axis=1).max() <= labels.shape[1] for *_, labels in found)
        shapes.append([labels.shape for *_, labels in found])
    assert shapes[0] == shapes[1] and len({shape[1] for shape in shapes[0]}) > 1


def test_large_files_are_decoded_smaller_with_their_boxes(tmp_path):
    image = np.full((512, 512, 3), 128, "uint8")
    image[128:256, 256:384] = PALETTE[0]
    Image.fromarray(image).save(tmp_path / "a.jpg", quality=95)
    data = DetectionData([Example(tmp_path / "a.jpg", np.float32([[256, 128, 384, 256]]), np.int64([0]))], ("a",))
    ((shown, boxes, _),) = take(training_batches(data, (64, 64), 1, augment=PLAIN), 1)
    np.testing.assert_allclose(boxes[0, 0], [0.5, 0.25, 0.75, 0.5])
    np.testing.assert_allclose(shown[0, 18:30, 34:46] * 255, np.broadcast_to(PALETTE[0], (12, 12, 3)), atol=8)


def files(folder, broken):
    """Five images of one grey each in files; those in `broken` end too early."""
    examples = []
    for i in range(5):
        path = folder / f"{i}.jpg"
        Image.new("RGB", (64, 64), (40 * i,) * 3).save(path)
        if i in broken:
            path.write_bytes(path.read_bytes()[:-40])
        examples.append(Example(path, np.float32([[4, 4, 60, 60]]), np.int64([0])))
    return DetectionData(examples, ("a",))


def test_a_broken_image_is_reported_once_and_replaced(tmp_path):
    data, reports = files(tmp_path, {0, 3}), []
    batches = take(training_batches(data, (64, 64), 2, augment=PLAIN, report=reports.append), 20)
    assert len(batches) == 20
    shown = set(np.rint(np.concatenate([image[:, 32, 32, 0] for image, *_ in batches]) * 255 / 40).astype(int))
    assert shown == {1, 2, 4}
    for line, i in zip(sorted(reports), (0, 3), strict=True):
        assert line.startswith(f"skipped: {tmp_path}/{i}.jpg: not a readable image (image file is truncated")
    rest = take(training_batches(data, (64, 64), 2, augment=PLAIN, start_step=8, report=reports.append), 12)
    assert_same(rest, batches[8:])


@pytest.mark.parametrize(
    "broken, batch_size, augment, error, message",
    (
        (range(5), 2, {}, ValueError, "none of the 5 training images can be read; the last: .*jpg: not a readable"),
        ((), 6, {}, ValueError, "5 training images do not fill one batch of 6"),
        ((), 2, {"zoom": 0.5}, TypeError, "zoom"),
        ((), 2, {"flip": 1.5}, ValueError, "flip must be a probability, from 0 to 1. Received: flip=1.5"),
        ((), 2, {"multiscale": 0.5}, ValueError, "multiscale must be from 1 to 8"),
    ),
)
def test_errors_come_at_the_call(tmp_path, broken, batch_size, augment, error, message):
    with pytest.raises(error, match=message):
        training_batches(files(tmp_path, broken), (64, 64), batch_size, augment=augment, report=lambda line: None)


def test_a_disk_that_has_gone_ends_a_large_set_soon(tmp_path):
    reports, missing = [], [Example(tmp_path / f"{i}.jpg", np.zeros((0, 4)), np.zeros(0)) for i in range(10**5)]
    images = Images(missing, np.zeros(len(missing), bool), reports.append)
    with pytest.raises(ValueError, match=r"1,000 training images in a row can't be read; is the disk there\? .*\.jpg:"):
        images(0, np.random.default_rng(0))
    assert len(reports) <= 1000


def test_calibration_images(tmp_path):
    reports = []
    found = list(letterboxed(files(tmp_path, {1}), (32, 64), limit=3, report=reports.append))
    assert [image.shape for image in found] == [(1, 32, 64, 3)] * 2
    assert [image.dtype for image in found] == ["float32"] * 2
    np.testing.assert_allclose([image[0, 16, 32, 0] * 255 for image in found], [0, 80], atol=2)
    np.testing.assert_allclose([image[0, 16, 0, 0] * 255 for image in found], [114, 114])
    assert len(reports) == 1 and "1.jpg: not a readable image" in reports[0]
