"""A classifier's batches: the same for the same seed, however many threads or processes make them."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from ...tflite.device.frames import to_input
from ..data.examples import ClassificationData
from ..data.images import damage_line, decoding_threads, read_pixels
from ..production.pool import ThreadPool
from .classification_augmentation import ClassificationAugmentation
from .dataset import batches_of, training_dataset
from .stream import Images, Order, Rows, steps_per_epoch


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
    workers: int | None = None,
    report: Callable[[str], object] = print,
) -> tf.data.Dataset:
    """Make a classifier's endless augmented batches for `fit`.

    An epoch has as many whole batches as the images fill; the images left over differ from epoch to epoch. An image
    that turns out to be broken is reported once, and another takes its place; one that is damaged is reported and used.

    Args:
        data: `ClassificationData`.
        size, batch_size, seed, start_step, share, dtype, workers, report: as for `training_batches`.
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
    make = partial(_rows, len(data.class_names), size, batch_size, seed, dict(augment or {}), share)
    shape, kinds = (batch_size // share[1], *size, 3), [((len(data.class_names),), "float32")]
    return training_dataset(make, data, shape, kinds, workers=workers, start=start_step, dtype=dtype, report=report)


def _rows(classes, size, batch_size, seed, augment, share, examples, checked, threads, report):
    augmentation = ClassificationAugmentation(size, classes, **augment)
    order = Order(seed, len(examples), steps_per_epoch(examples, batch_size) * batch_size)
    return Rows(_Samples(order, augmentation, Images(examples, checked, report)), batch_size, share)


class _Samples:
    """A training run's augmented images with their labels, by position in the run."""

    def __init__(self, order, augmentation, load):
        self.order, self.augmentation, self.load = order, augmentation, load

    def __call__(self, position):
        """Return (image, label)."""
        index, rng = self.order(position)
        mixture, count = self.augmentation.mixture(rng)
        images = []
        for i in (index, *rng.integers(len(self.load.examples), size=count - 1)):
            shorter = self.augmentation.shorter(rng)
            example, pixels = self.load(i, rng, shorter)
            images.append((pixels.array, shorter, example.label))
        return self.augmentation(rng, images, mixture)

    @staticmethod
    def join(parts, positions):
        """Return the labels (N, classes)."""
        return [np.array([label for (label,) in parts])]


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
    shape, classes = (batch_size, *size, 3), len(data.class_names)
    rows = Rows(_Middles(data.examples, size, classes, report), batch_size, total=len(data.examples))
    kinds, stop = [((classes,), "float32"), ((), "int64")], -(-len(data.examples) // batch_size)
    return batches_of(ThreadPool(rows, shape, decoding_threads()), shape, kinds, stop=stop)


class _Middles:
    """The images as the validation takes them, with label and number, by number; None for one that can't be read."""

    def __init__(self, examples, size, classes, report):
        self.examples, self.size, self.labels, self.report = examples, size, np.eye(classes, dtype="float32"), report
        self._reported = set()  # the batches may be iterated several times

    def __call__(self, position):
        """Return (image, label, position)."""
        example = self.examples[position]
        try:
            pixels = read_pixels(example.image, 2 * max(self.size))
        except OSError as e:
            return self._tell(position, f"skipped: {e}")
        if pixels.damage:
            self._tell(position, damage_line(example.image, pixels.damage))
        return to_input(pixels.array, self.size, "crop", 0), self.labels[example.label], position

    def join(self, parts, positions):
        """Return labels (N, classes) and numbers (N,)."""
        labels = np.array([label for label, _ in parts], np.float32).reshape(-1, len(self.labels))
        return labels, np.array([position for _, position in parts], np.int64)

    def _tell(self, position, line):
        if position not in self._reported:
            self._reported.add(position)
            self.report(line)
