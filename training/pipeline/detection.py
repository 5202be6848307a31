"""A detector's batches: the same for the same seed, however many threads or processes make them."""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np
import tensorflow as tf

from ...detection.images import letterbox
from ..data.example_tables import ExampleTable
from ..data.examples import DetectionData, readable
from .dataset import training_dataset
from .detection_augmentation import Augmentation
from .mosaic import COUNT, join
from .stream import MIXING, SHAPES, Images, Order, Rows, steps_per_epoch

SAME_SHAPE = 10  # batches, as Darknet's random=1
LEAST_OBJECTS = 8  # that a batch has room for per image, or twice as many, and so on: each number is compiled anew


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
    workers: int | None = None,
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
        workers: number of processes that decode and augment, up to 256; 0 for threads of this process; None for one for
            each core that it may use, or 0 for less than 1,000 images, on a single core, and on other systems than
            Linux. The batches are the same for any number.
        report: called with a line for each broken or damaged image.

    Returns:
        A `tf.data.Dataset` of (image (B, height, width, 3) RGB, {"boxes": (B, M, 4) in parts of the input,
        "labels": (B, M) int32, -1 for padding}). M is 8, 16, 32, ..., as many as the batch needs.

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
        (2, 32, 32, 3) (2, 8, 4)
    """
    make = partial(_rows, size=size, batch_size=batch_size, seed=seed, augment=dict(augment or {}), share=share)
    shape, cached = (batch_size // share[1], *size, 3), (augment or {}).get("cached", 0)
    kinds = ((None, 4), "float32"), ((None,), "int32")
    how = dict(workers=workers, start=start_step, dtype=dtype, report=report, run=-(-cached // shape[0]))
    dataset = training_dataset(make, data, shape, kinds, **how)
    return dataset.map(lambda image, boxes, labels: (image, {"boxes": boxes, "labels": labels}))


def _rows(examples, checked, threads, report, *, size, batch_size, seed, augment, share):
    samples = _Samples(examples, checked, threads, report, size, batch_size, seed, augment, alone=share[1] == 1)
    return Rows(samples, batch_size, share)


class _Samples:
    """A training run's augmented images with their objects, by position in the run; the arguments are the batches'.

    With the augmentation's `cached` the other images of a mosaic are those at the positions just before, and MixUp
    takes the result of such a position. So the result depends on the position alone, not on what was made before: the
    images and results kept in memory, for each thread as many as it draws from, only save the time to make them again.
    """

    def __init__(self, examples, checked, threads, report, size, batch_size, seed, augment, alone):
        self.examples, self.size, self.batch_size, self.seed = examples, size, batch_size, seed
        self.order = Order(seed, len(examples), steps_per_epoch(examples, batch_size) * batch_size)
        self.augmentation = Augmentation(size, **augment)
        keep = (self.augmentation.cached and self.augmentation.cached + 1) * threads
        self.load, self.least, self.report = Images(examples, checked, report, keep), 2 * max(size), report
        self._single = lru_cache(keep)(self._single)
        self._counts = None if alone else ExampleTable.of(examples).counts

    def __call__(self, position):
        """Return (image, boxes in parts of it, labels)."""
        pixels, boxes, labels = self._mixed(position) if self.augmentation.cached else self._single(position)
        return pixels, boxes / np.float32([self.size[1], self.size[0]] * 2), labels

    def join(self, parts, positions):
        """Return boxes (N, M, 4) and labels (N, M), padded.

        M suits the batch. Where other machines make other parts of it, it suits all objects of the images that are
        drawn for the whole batch, which each of them knows.
        """
        if self._counts is None:
            most = max(len(labels) for _, labels in parts)
        else:
            most = max(self._count(position) for position in positions)
        room = LEAST_OBJECTS
        while room < most:
            room *= 2
        boxes, labels = np.zeros((len(parts), room, 4), np.float32), np.full((len(parts), room), -1, np.int32)
        for k, (places, kinds) in enumerate(parts):
            if len(kinds) > room:  # only of images that take the place of broken ones
                self.report(
                    f"{len(kinds) - room} objects of an image left out: the other machines have no room for them"
                )
            boxes[k, : len(kinds)], labels[k, : len(kinds)] = places[:room], kinds[:room]
        return boxes, labels

    def _count(self, position):
        """Return how many objects the images have that a position shows, whether it shows the objects or not."""
        single = self._drawn(position)[0]
        if not self.augmentation.cached:
            return self._counts[single].sum()
        rng = np.random.default_rng([self.seed, MIXING, position])
        other = self._drawn(self._earlier(position, rng))[0] if self.augmentation.others(rng)[1] else []
        return self._counts[single].sum() + self._counts[other].sum()

    def _mixed(self, position):
        """Return the result of a position, and with the probability of a mixture that of an earlier one mixed in."""
        rng, single = np.random.default_rng([self.seed, MIXING, position]), self._single(position)
        if not self.augmentation.others(rng)[1]:
            return single
        other = self._single(self._earlier(position, rng))
        return self.augmentation.blend(single, other, mirrored=rng.random() < self.augmentation.flip)

    def _drawn(self, position):
        """Draw what a position shows: ([indices of images], cells of a mosaic or None, shape, generator for the rest).

        Without `cached` the last of the images may be one to mix in.
        """
        cached, (index, rng) = self.augmentation.cached, self.order(position)
        shape_number = position // self.batch_size // SAME_SHAPE
        shape = self.augmentation.shape(np.random.default_rng([self.seed, SHAPES, shape_number]))
        joined, mixed = self.augmentation.others(rng)
        indices, cells = [index], None
        if joined:
            if cached:
                indices += [self.order(self._earlier(position, rng))[0] for _ in range(COUNT - 1)]
            else:
                indices += rng.integers(len(self.examples), size=COUNT - 1).tolist()
            cells = self.augmentation.parts(rng, shape)
        if mixed and not cached:
            indices.append(int(rng.integers(len(self.examples))))
        return indices, cells, shape, rng

    def _single(self, position):
        """Return the augmented (pixels, boxes, labels) of a position; without `cached` those of a mixture too."""
        indices, cells, shape, rng = self._drawn(position)
        seed = int(rng.integers(2**31))
        image = self._mosaic(indices[:COUNT], cells, rng) if cells else self._whole(indices[0], rng)
        others = indices[COUNT if cells else 1 :]
        other = self._whole(others[0], rng) if others else None
        return self.augmentation(seed, image, other, shape, bool(cells))

    def _earlier(self, position, rng):
        """Draw one of the `cached` positions before, or the run's first where these begin before it."""
        return max(0, position - int(rng.integers(1, self.augmentation.cached + 1)))

    def _whole(self, index, rng):
        example, pixels = self.load(index, rng, self.least)
        return pixels.array, example.boxes / pixels.factor, example.labels

    def _mosaic(self, indices, cells, rng):
        parts, cached = [], self.augmentation.cached
        for i, cell in zip(indices, cells, strict=True):
            example, pixels = self.load(i, rng, self.least, None if cached else cell.window)
            parts.append((cell, pixels, example.boxes, example.labels))
        return join(parts)


def letterboxed(data, size, limit=None, report=print):
    """Yield the images alone, letterboxed as for detection: (1, height, width, 3) float32 in 0..1, for calibration.

    Those that can't be read are reported and skipped.
    """
    for _, pixels in readable(data.examples[:limit], report):
        yield letterbox(pixels, size)[0][None].astype("float32") / 255
