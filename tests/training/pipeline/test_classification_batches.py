"""A classifier's batches: reproducible, and labels in step with the images."""

import numpy as np
import pytest
from PIL import Image

from cspkeras.training import ClassificationData, LabelledImage, classification_batches, evaluation_batches
from cspkeras.training.pipeline.classification_augmentation import MIXTURES, ClassificationAugmentation

STILL = {"angle": 0.0, "hue": 0.0, "saturation": 1.0, "exposure": 1.0, "aspect": 1.0, "flip": 0.0}
COLORS = np.array([[200, 40, 30], [30, 180, 60], [40, 60, 210], [220, 210, 40]], "uint8")


def solid(count=8, size=(40, 60)):
    """Images of a single colour each, their class's."""
    examples = [LabelledImage(np.full((*size, 3), COLORS[i % 4], "uint8"), i % 4) for i in range(count)]
    return ClassificationData(examples, tuple("abcd"))


def take(dataset, count):
    return list(dataset.take(count).as_numpy_iterator())


def assert_same(got, expected):
    for one, other in zip(got, expected, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_it_depends_on_seed_and_position_alone():
    mixed = {"mosaic": 0.3, "cutmix": 0.3, "mixup": 0.3, "blur": 0.5}
    whole = take(classification_batches(solid(), (32, 32), 3, seed=4, augment=mixed), 8)
    assert_same(take(classification_batches(solid(), (32, 32), 3, seed=4, augment=mixed), 8), whole)
    for step in (1, 3, 5):  # within an epoch of two steps, too
        rest = classification_batches(solid(), (32, 32), 3, seed=4, start_step=step, augment=mixed)
        assert_same(take(rest, 8 - step), whole[step:])
    other = take(classification_batches(solid(), (32, 32), 3, seed=5, augment=mixed), 8)
    assert not any(np.array_equal(a[0], b[0]) for a, b in zip(other, whole, strict=True))


@pytest.mark.parametrize("mixture", MIXTURES)
@pytest.mark.parametrize("smoothing", (0.0, 0.1))
def test_labels_are_the_shares_of_the_images(mixture, smoothing):
    chances = {} if mixture == "alone" else {mixture: 1.0}
    augment = {**STILL, "rescale": (64, 64), **chances, "label_smoothing": smoothing}
    several = 0
    for images, labels in take(classification_batches(solid(), (32, 48), 4, seed=1, augment=augment), 10):
        assert images.dtype == labels.dtype == np.float32 and images.shape == (4, 32, 48, 3)
        np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
        shares = (labels - smoothing / 4) / (1 - smoothing)
        # Whether by place or by blending: the mean colour is that of the shares.
        np.testing.assert_allclose(images.mean(axis=(1, 2)) * 255, shares @ COLORS.astype(float), atol=1)
        several += ((shares > 0.01).sum(axis=1) > 1).sum()
    assert several > 8 if mixture != "alone" else several == 0


def files(folder, broken):
    examples = []
    for i in range(5):
        path = folder / f"{i}.jpg"
        Image.new("RGB", (64, 48), (40 * i,) * 3).save(path)
        if i in broken:
            path.write_bytes(path.read_bytes()[:-40])
        examples.append(LabelledImage(path, i % 2))
    return ClassificationData(examples, ("a", "b"))


def test_broken_images_are_reported_once(tmp_path):
    data, reports = files(tmp_path, {0, 3}), []
    augment = {**STILL, "rescale": (64, 64)}
    batches = take(classification_batches(data, (32, 32), 2, augment=augment, report=reports.append), 12)
    for images, labels in batches:
        grey = np.rint(images[:, 16, 16, 0] * 255 / 40).astype(int)
        assert set(grey) <= {1, 2, 4} and (labels.argmax(axis=1) == grey % 2).all()
    for line, i in zip(sorted(reports), (0, 3), strict=True):
        assert line.startswith(f"skipped: {tmp_path}/{i}.jpg: not a readable image (image file is truncated")


@pytest.mark.parametrize("batch_size, lengths", ((1, [1, 1, 1]), (2, [1, 1, 1]), (4, [2, 1])))
def test_evaluation_leaves_out_broken_images(tmp_path, batch_size, lengths):
    reports = []
    batches = evaluation_batches(files(tmp_path, {0, 3}), (32, 32), batch_size, report=reports.append)
    for _ in range(2):
        found = take(batches, -1)
        assert [len(images) for images, _ in found] == lengths  # a batch of which nothing is left is none
        np.testing.assert_allclose(np.concatenate([i[:, 9, 9, 0] for i, _ in found]) * 255, [40, 80, 160], atol=2)
        np.testing.assert_array_equal(np.concatenate([labels.argmax(axis=1) for _, labels in found]), [1, 0, 0])
    assert len(reports) == 2


@pytest.mark.parametrize("size", ((1, 1), (1, 300), (200, 40)))
def test_evaluation_shows_the_middle(size):
    image = np.zeros((*size, 3), "uint8")
    image[size[0] // 2 :] = 240
    ((images, _),) = take(evaluation_batches(ClassificationData([LabelledImage(image, 0)], ("a",)), (32, 32), 4), -1)
    assert images.shape == (1, 32, 32, 3)
    if size[0] > 1:
        assert images[0, :15].max() < 0.05 and images[0, 17:].min() > 0.9
    ((images, _),) = take(classification_batches(ClassificationData([LabelledImage(image, 0)], ("a",)), (32, 32), 1), 1)
    assert np.isfinite(images).all()


@pytest.mark.parametrize(
    "augment, message",
    (
        ({"mosaic": 0.6, "cutmix": 0.6}, "exclude each other. Received: probabilities of 1.2"),
        ({"flip": 1.5}, "flip must be a probability, from 0 to 1. Received: flip=1.5"),
        ({"rescale": (9, 3)}, "rescale must be two lengths"),
        ({"aspect": 0}, "aspect must be a factor above 0. Received: aspect=0"),
    ),
)
def test_options_out_of_range(augment, message):
    with pytest.raises(ValueError, match=message):
        ClassificationAugmentation((32, 32), 3, **augment)
