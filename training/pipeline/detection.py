"""A detector's batches: the same for the same seed, however many threads make them."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf

from ...detection.images import letterbox
from ..data.example_tables import ExampleTable
from ..data.examples import DetectionData, readable
from ..data.images import decoding_threads
from .detection_augmentation import Augmentation
from .mosaic import COUNT, join
from .stream import MIXING, SHAPES, Images, Order, parallel_batches, steps_per_epoch

SAME_SHAPE = 10  # batches, as Darknet's random=1


def training_batches(
    data: DetectionData,
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
    """Make a detector's endless augmented batches for `fit`.

    An epoch has as many whole batches as the images fill; the images left over differ from epoch to epoch. An image
    that turns out to be broken is reported once, and another takes its place; one that is damaged is reported and used.

    Args:
        data: `DetectionData`.
        size: (height, width) of the network's input in pixels.
        batch_size: images per batch.
        seed: decides order and augmentation; a non-negative integer.
        start_step: number of the first batch; a resumed run sees what an uninterrupted one would have seen.
        augment: options of `pipeline.detection_augmentation.Augmentation`, by name.
        share: (rank, workers); each of several workers gets an equal part of the images of each batch.
        dtype: of the images: float32 in 0..1, or uint8 in 0..255.
        report: called with a line for each broken or damaged image.

    Returns:
        A `tf.data.Dataset` of (image (B, height, width, 3) RGB, {"boxes": (B, M, 4) in parts of the input,
        "labels": (B, M) int32, -1 for padding}).

    Raises:
        ValueError: where the examples don't fill a batch, or none can be read, and for options out of range.
        TypeError: for an unknown option in `augment`.

    Example:
        >>> import numpy as np
        >>> from cspkeras.training import DetectionData, Example, training_batches
        >>> example = Example(np.zeros((48, 64, 3), "uint8"), np.float32([[8, 8, 24, 32]]), np.int64([0]))
        >>> data = DetectionData([example] * 4, ("cat",))
        >>> for images, objects in training_batches(data, (32, 32), 2, augment={"mosaic": 0.0}).take(1):
        ...     print(images.shape, objects["boxes"].shape)
        (2, 32, 32, 3) (2, 1, 4)
    """
    samples = _Samples(data, size, batch_size, seed, augment or {}, report)
    signature = ((*size, 3), "uint8"), ((samples.max_objects, 4), "float32"), ((samples.max_objects,), "int32")
    dataset = parallel_batches(samples, signature, batch_size, start=start_step, share=share, dtype=dtype)
    return dataset.map(lambda image, boxes, labels: (image, {"boxes": boxes, "labels": labels}))


class _Samples:
    """A training run's augmented images with their objects, by position in the run; the arguments are the batches'.

    With the augmentation's `cached` the other images of a mosaic are those at the positions just before, and MixUp
    takes the result of such a position. So the result depends on the position alone, not on what was made before: the
    images and results kept in memory, for each thread as many as it draws from, only save the time to make them again.
    """

    def __init__(self, data, size, batch_size, seed, augment, report):
        self.examples, self.size, self.batch_size, self.seed = data.examples, size, batch_size, seed
        self.order = Order(seed, len(data.examples), steps_per_epoch(data, batch_size) * batch_size)
        self.augmentation = Augmentation(size, **augment)
        keep = (self.augmentation.cached and self.augmentation.cached + 1) * decoding_threads()
        self.load, self.least = Images(data.examples, report, keep), 2 * max(size)
        self._single = lru_cache(keep)(self._single)
        self.max_objects = max(1, int(ExampleTable.of(data.examples).counts.max(initial=0)) * self.augmentation.most)
        self.load(0, np.random.default_rng(seed))  # here, an error that concerns all images is still one line

    def __call__(self, position):
        """Return (image, boxes in parts of it, labels), padded to `max_objects`."""
        pixels, boxes, labels = self._mixed(position) if self.augmentation.cached else self._single(position)
        padded_boxes, padded_labels = np.zeros((self.max_objects, 4), "float32"), np.full(self.max_objects, -1, "int32")
        padded_boxes[: len(boxes)] = boxes / np.float32([self.size[1], self.size[0]] * 2)
        padded_labels[: len(labels)] = labels
        return pixels, padded_boxes, padded_labels

    def _mixed(self, position):
        """Return the result of a position, and with the probability of a mixture that of an earlier one mixed in."""
        rng, single = np.random.default_rng([self.seed, MIXING, position]), self._single(position)
        if not self.augmentation.others(rng)[1]:
            return single
        other = self._single(self._earlier(position, rng))
        return self.augmentation.blend(single, other, mirrored=rng.random() < self.augmentation.flip)

    def _single(self, position):
        """Return the augmented (pixels, boxes, labels) of a position; without `cached` those of a mixture too."""
        cached, (index, rng) = self.augmentation.cached, self.order(position)
        shape_number = position // self.batch_size // SAME_SHAPE
        shape = self.augmentation.shape(np.random.default_rng([self.seed, SHAPES, shape_number]))
        joined, mixed = self.augmentation.others(rng)
        if joined and cached:
            others = [self.order(self._earlier(position, rng))[0] for _ in range(COUNT - 1)]
        elif joined:
            others = rng.integers(len(self.examples), size=COUNT - 1)
        image = self._mosaic((index, *others), rng, shape) if joined else self._whole(index, rng)
        other = self._whole(rng.integers(len(self.examples)), rng) if mixed and not cached else None
        return self.augmentation(int(rng.integers(2**31)), image, other, shape, joined)

    def _earlier(self, position, rng):
        """Draw one of the `cached` positions before, or the run's first where these begin before it."""
        return max(0, position - int(rng.integers(1, self.augmentation.cached + 1)))

    def _whole(self, index, rng):
        example, pixels = self.load(index, rng, self.least)
        return pixels.array, example.boxes / pixels.factor, example.labels

    def _mosaic(self, indices, rng, shape):
        parts, cached = [], self.augmentation.cached
        for i, cell in zip(indices, self.augmentation.parts(rng, shape), strict=True):
            example, pixels = self.load(i, rng, self.least, None if cached else cell.window)
            parts.append((cell, pixels, example.boxes, example.labels))
        return join(parts)


def letterboxed(data, size, limit=None, report=print):
    """Yield the images alone, letterboxed as for detection: (1, height, width, 3) float32 in 0..1, for calibration.

    Those that can't be read are reported and skipped.
    """
    for _, pixels in readable(data.examples[:limit], report):
        yield letterbox(pixels, size)[0][None].astype("float32") / 255
