"""From labelled images to a classifier's batches: the same for the same seed, however many threads it has."""

import numpy as np

from ...tflite.device.frames import fit
from ..data.images import read_pixels
from .classification_augmentation import ClassificationAugmentation
from .detection import steps_per_epoch
from .stream import Images, Order, batches


def classification_batches(
    data, size, batch_size, *, seed=0, start_step=0, augment=None, share=(0, 1), dtype="float32", report=print
):
    """Endless augmented batches for `fit`, `pipeline.steps_per_epoch` an epoch.

    An image that turns out to be broken is reported once, and another takes its place.

    Args:
        data: `ClassificationData`.
        size, batch_size, seed, start_step, share, dtype, report: as `pipeline.training_batches`.
        augment: options of `classification_augmentation.ClassificationAugmentation`.

    Returns:
        A `tf.data.Dataset` of (image (B, height, width, 3) RGB, one-hot labels (B, classes) float32, of
        mixed images their shares).

    Raises:
        ValueError: where the examples don't fill a batch, or none can be read.
    """
    order = Order(seed, len(data.examples), steps_per_epoch(data, batch_size) * batch_size)
    augmentation = ClassificationAugmentation(size, len(data.class_names), **(augment or {}))
    load = Images(data.examples, report)

    def make(position):
        index, rng = order(position)
        mixture, count = augmentation.mixture(rng)
        images = []
        for i in (index, *rng.integers(len(data.examples), size=count - 1)):
            shorter = augmentation.shorter(rng)
            example, pixels = load(i, rng, shorter)
            images.append((pixels.array, shorter, example.label))
        return augmentation(rng, images, mixture)

    load(0, np.random.default_rng(seed))  # here, an error that concerns all images is still one line
    signature = ((*size, 3), "uint8"), ((len(data.class_names),), "float32")
    return batches(make, signature, batch_size, start=start_step, share=share, dtype=dtype)


def evaluation_batches(data, size, batch_size, *, report=print):
    """Each image once, in order, as Darknet validates: the shorter side at the input's, the middle cut out.

    Those that can't be read are left out of their batch, and reported once.

    Args:
        data, size, batch_size, report: as `classification_batches`; a batch may be smaller.

    Returns:
        A `tf.data.Dataset` of (image (B, height, width, 3) float32 in 0..1, one-hot labels (B, classes) float32).
    """
    return numbered_batches(data, size, batch_size, report=report).map(lambda image, label, number: (image, label))


def numbered_batches(data, size, batch_size, *, report=print):
    """`evaluation_batches` with a third part: the images' numbers among the data's examples, (B,) int64."""
    classes, broken = len(data.class_names), set()

    def make(position):
        example = data.examples[position]
        try:
            pixels = read_pixels(example.image, 2 * max(size)).array
        except OSError as e:
            if position not in broken:  # each time that the batches are gone through
                broken.add(position)
                report(f"skipped: {e}")
            return None
        return fit(pixels, size, "crop", 0), np.eye(classes, dtype="float32")[example.label], position

    signature = ((*size, 3), "uint8"), ((classes,), "float32"), ((), "int64")
    return batches(make, signature, batch_size, total=len(data.examples))
