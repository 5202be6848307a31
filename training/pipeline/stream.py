"""What the pipelines of detectors and classifiers share: order, images and threads.

The image at a position of a run, counted in images, depends on seed and position alone, so a run can begin anywhere and
with any number of threads.
"""

import math
import threading
from functools import lru_cache

import numpy as np
import tensorflow as tf

from ..data.images import damage_line, decoding_threads

ALIGNMENT = 64  # bytes
# What a random generator is for; it is made of the seed, one of these and a number.
ORDER, IMAGE, SHAPES, MIXING = range(4)


def steps_per_epoch(data, batch_size):
    """Return the number of whole batches that the examples fill; raise a ValueError where they fill none."""
    steps = len(data.examples) // batch_size
    if not steps:
        raise ValueError(f"{len(data.examples)} training images do not fill one batch of {batch_size}")
    return steps


class Order:
    """Which example is at a position, and a generator of random numbers for it.

    Each epoch is a new permutation, of which the first `count` of `total` examples are taken.
    """

    def __init__(self, seed, total, count):
        self.seed, self.total, self.count = seed, total, count
        self._epoch = lru_cache(maxsize=4)(self._epoch)  # threads are in two epochs at most

    def _epoch(self, epoch):
        return np.random.default_rng([self.seed, ORDER, epoch]).permutation(self.total)[: self.count]

    def __call__(self, position):
        epoch, place = divmod(int(position), self.count)
        return int(self._epoch(epoch)[place]), np.random.default_rng([self.seed, IMAGE, position])


class Images:
    """The examples' pixels; an image that turns out to be broken is reported once, and another takes its place.

    One that is damaged is reported once, too, and used.

    Args:
        examples: list of `Example` or `LabelledImage`.
        report: called with a line for each broken or damaged image.
        keep: how many images that are decoded as a whole stay in memory, those used last.
    """

    def __init__(self, examples, report, keep=0):
        self.examples, self.report = examples, report
        self._whole = lru_cache(keep)(self._whole)
        self._broken, self._lock = set(), threading.Lock()
        self._checked = np.zeros(len(examples), bool)  # for damage

    def __call__(self, index, rng, least=None, window=None):
        """Return (example, `read_pixels` of it with `least` and `window`); `rng` decides the substitute."""
        while True:
            example = self.examples[index]
            try:
                if window:
                    pixels = example.read(least, window, check=not self._checked[index])
                else:
                    pixels = self._whole(int(index), least)
            except OSError as e:
                count = len(self.examples)
                with self._lock:
                    if index not in self._broken:
                        self._broken.add(int(index))
                        self.report(f"skipped: {e}")
                if len(self._broken) == count:
                    raise ValueError(f"none of the {count} training images can be read; the last: {e}") from e
            else:
                self._check(index, pixels)
                return example, pixels
            index = rng.integers(len(self.examples))

    def _whole(self, index, least):
        return self.examples[index].read(least)

    def _check(self, index, pixels):
        with self._lock:
            if not self._checked[index] and pixels.damage:
                self.report(damage_line(self.examples[index].image, pixels.damage))
            self._checked[index] = True


def parallel_batches(make, signature, batch_size, *, start=0, total=None, share=(0, 1), dtype="float32"):
    """Batch what `make` returns for each position; as many threads as there are cores make one batch each.

    Args:
        make: function of a position that returns arrays, the first of them a uint8 image, or None to leave it out.
        signature: for each array its (shape, dtype).
        batch_size: positions a batch.
        start: number of the first batch.
        total: number of positions, the last batch may be smaller; None for whole batches without end.
        share: (rank, workers); of several workers each gets its part of every batch.
        dtype: of the images: float32 in 0..1, or uint8 in 0..255.

    Returns:
        A `tf.data.Dataset` of tuples.
    """
    (rank, workers), (shapes, dtypes) = share, zip(*signature, strict=True)
    rows = batch_size // workers

    def together(number):  # a call from TensorFlow into Python costs as much as a tenth of an image
        arrays, count = [_aligned((rows, *shape), dtype) for shape, dtype in signature], 0
        first = int(number) * batch_size + rank * rows
        for position in range(first, min(first + rows, total or first + rows)):
            made = make(position)
            if made is not None:
                for array, value in zip(arrays, made, strict=True):
                    array[count] = value
                count += 1
        return [array[:count] for array in arrays]

    def batch(number):
        arrays = tf.numpy_function(together, [number], dtypes)
        length = None if total else rows
        return tuple(tf.ensure_shape(array, (length, *shape)) for array, shape in zip(arrays, shapes, strict=True))

    numbers = tf.data.Dataset.range(start, -(-total // batch_size) if total else np.iinfo("int64").max)
    dataset = numbers.map(batch, num_parallel_calls=decoding_threads())
    if total:
        dataset = dataset.filter(lambda image, *others: tf.shape(image)[0] > 0)
    if dtype == "float32":
        dataset = dataset.map(as_floats)  # here and not in `make`: a quarter of the bytes to keep
    return without_autotune(dataset.prefetch(2))


def _aligned(shape, dtype):
    """Return an array of any content that TensorFlow takes without a copy, as it is aligned in memory."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def as_floats(images, *others):
    """Return a batch with its uint8 images as float32 in 0..1."""
    return tf.cast(images, tf.float32) / 255, *others


def without_autotune(dataset):
    """Disable tf.data's autotuner: its thread can delay the end of `fit` by a minute."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
