"""A classifier's batches: the same for the same seed, however many threads make them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from ...tflite.device.frames import to_input
from ..data.examples import ClassificationData
from ..data.images import damage_line, read_pixels
from .classification_augmentation import ClassificationAugmentation
from .stream import Images, Order, parallel_batches, steps_per_epoch


def classification_batches(
    data: ClassificationData,
    size: tuple[int, int],
    batch_size: int,
    *,
    seed: int = 0,
    start_step: int = 0,
    augment: Mapping[str, Any] | None = None,
    share: tuple[int, int] = (0, 1),
    dtype: str = "float32",
    report: Callable[[str], object] = print,
) -> tf.data.Dataset:
    """Make a classifier's endless augmented batches for `fit`.

    An epoch has as many whole batches as the images fill; the images left over differ from epoch to epoch. An image
    that turns out to be broken is reported once, and another takes its place; one that is damaged is reported and used.

    Args:
        data: `ClassificationData`.
        size, batch_size, seed, start_step, share, dtype, report: as for `training_batches`.
        augment: options of `pipeline.classification_augmentation.ClassificationAugmentation`, by name.

    Returns:
        A `tf.data.Dataset` of (image (B, height, width, 3) RGB, labels (B, classes) float32: one-hot, or the shares of
        images that are mixed).

    Raises:
        ValueError: where the examples don't fill a batch, or none can be read, and for options out of range.
        TypeError: for an unknown option in `augment`.

    Example:
        >>> import numpy as np
        >>> from cspkeras.training import ClassificationData, LabelledImage, classification_batches
        >>> data = ClassificationData([LabelledImage(np.zeros((48, 64, 3), "uint8"), 0)] * 4, ("cat", "dog"))
        >>> for images, labels in classification_batches(data, (32, 32), 2).take(1):
        ...     print(images.shape, labels.numpy().tolist())
        (2, 32, 32, 3) [[1.0, 0.0], [1.0, 0.0]]
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
    return parallel_batches(make, signature, batch_size, start=start_step, share=share, dtype=dtype)


def evaluation_batches(
    data: ClassificationData, size: tuple[int, int], batch_size: int, *, report: Callable[[str], object] = print
) -> tf.data.Dataset:
    """Make batches of each image once, in order, as Darknet validates: its shorter side at the input's, the middle cut.

    Images that can't be read are left out of their batch, and reported once, as are those that are damaged.

    Args:
        data: `ClassificationData`.
        size: (height, width) of the network's input in pixels.
        batch_size: images per batch; the last batch, and those with broken images, have fewer.
        report: called with a line for each broken or damaged image.

    Returns:
        A `tf.data.Dataset` of (image (B, height, width, 3) float32 in 0..1, one-hot labels (B, classes) float32).

    Example:
        >>> import numpy as np
        >>> from cspkeras.training import ClassificationData, LabelledImage, evaluation_batches
        >>> data = ClassificationData([LabelledImage(np.zeros((48, 64, 3), "uint8"), 0)] * 3, ("cat", "dog"))
        >>> [len(images) for images, labels in evaluation_batches(data, (32, 32), 2)]
        [2, 1]
    """
    return numbered_batches(data, size, batch_size, report=report).map(lambda image, label, number: (image, label))


def numbered_batches(data, size, batch_size, *, report=print):
    """Make `evaluation_batches` with a third part: the images' numbers among the data's examples, (B,) int64."""
    classes, reported = len(data.class_names), set()

    def tell(position, line):
        if position not in reported:  # the batches may be iterated several times
            reported.add(position)
            report(line)

    def make(position):
        example = data.examples[position]
        try:
            pixels = read_pixels(example.image, 2 * max(size))
        except OSError as e:
            tell(position, f"skipped: {e}")
            return None
        if pixels.damage:
            tell(position, damage_line(example.image, pixels.damage))
        return to_input(pixels.array, size, "crop", 0), np.eye(classes, dtype="float32")[example.label], position

    signature = ((*size, 3), "uint8"), ((classes,), "float32"), ((), "int64")
    return parallel_batches(make, signature, batch_size, total=len(data.examples))
