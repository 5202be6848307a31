"""From examples to a detector's batches: the same for the same seed, however many threads it has."""

import numpy as np

from ...detection.images import letterbox
from .detection_augmentation import Augmentation
from .mosaic import COUNT, cells, join
from .stream import SHAPES, Images, Order, batches

SAME_SHAPE = 10  # batches, as Darknet's random=1


def steps_per_epoch(data, batch_size):
    """Number of whole batches that the examples fill.

    Raises:
        ValueError: where they fill none.
    """
    steps = len(data.examples) // batch_size
    if not steps:
        raise ValueError(f"{len(data.examples)} training images do not fill one batch of {batch_size}")
    return steps


def training_batches(
    data, size, batch_size, *, seed=0, start_step=0, augment=None, share=(0, 1), dtype="float32", report=print
):
    """Endless augmented batches for `fit`, `steps_per_epoch` an epoch; the images that are left over differ by epoch.

    An image that turns out to be broken is reported once, and another takes its place.

    Args:
        data: `DetectionData`.
        size: (height, width) of the network's input in pixels.
        batch_size: images a batch.
        seed: decides order and augmentation; a non-negative integer.
        start_step: first batch to give; a resumed run sees what an uninterrupted one would have.
        augment: options of `augmentation.Augmentation`.
        share: (rank, workers); of several workers each gets an equal part of the images of each batch.
        dtype: of the images: float32 in 0..1, or uint8 in 0..255.
        report: called with a line for each broken image.

    Returns:
        A `tf.data.Dataset` of (image (B, height, width, 3) RGB, {"boxes": (B, M, 4) in parts of the input,
        "labels": (B, M) int32, -1 for padding}).

    Raises:
        ValueError: where the examples don't fill a batch, or none can be read.
    """
    order = Order(seed, len(data.examples), steps_per_epoch(data, batch_size) * batch_size)
    augmentation = Augmentation(size, **(augment or {}))
    load, least = Images(data.examples, report), 2 * max(size)
    most = max(1, max(len(e.boxes) for e in data.examples) * augmentation.most)

    def whole(index, rng):
        example, pixels = load(index, rng, least)
        return pixels.array, example.boxes / pixels.factor, example.labels

    def mosaic(index, rng, shape):
        indices, parts = (index, *rng.integers(len(data.examples), size=COUNT - 1)), []
        for i, cell in zip(indices, cells(rng, shape), strict=True):
            example, pixels = load(i, rng, least, cell.window)
            parts.append((cell, pixels, example.boxes, example.labels))
        return join(parts)

    def make(position):
        index, rng = order(position)
        shape = augmentation.shape(np.random.default_rng([seed, SHAPES, position // batch_size // SAME_SHAPE]))
        joined, mixed = augmentation.others(rng)
        picture = mosaic(index, rng, shape) if joined else whole(index, rng)
        other = whole(rng.integers(len(data.examples)), rng) if mixed else None
        image, boxes, labels = augmentation(int(rng.integers(2**31)), picture, other, shape)
        padded_boxes, padded_labels = np.zeros((most, 4), "float32"), np.full(most, -1, "int32")
        padded_boxes[: len(boxes)] = boxes / np.float32([size[1], size[0]] * 2)
        padded_labels[: len(labels)] = labels
        return image, padded_boxes, padded_labels

    load(0, np.random.default_rng(seed))  # here, an error that concerns all images is still one line
    signature = ((*size, 3), "uint8"), ((most, 4), "float32"), ((most,), "int32")
    dataset = batches(make, signature, batch_size, start=start_step, share=share, dtype=dtype)
    return dataset.map(lambda image, boxes, labels: (image, {"boxes": boxes, "labels": labels}))


def images(data, size, limit=None, report=print):
    """The images alone, letterboxed as for detection: (1, height, width, 3) float32 in 0..1, for calibration.

    Those that can't be read are reported and skipped.
    """
    for example in data.examples[:limit]:
        try:
            pixels = example.pixels()
        except OSError as e:
            report(f"skipped: {e}")
            continue
        yield letterbox(pixels, size)[0][None].astype("float32") / 255
