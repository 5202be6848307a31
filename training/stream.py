"""What the pipelines of detectors and classifiers share: order, pictures and threads.

What is at a position of a run, counted in pictures, depends on seed and position alone, so a run can begin anywhere and
with any number of threads.
"""

import os
import threading
from functools import lru_cache

import numpy as np
import tensorflow as tf

from .pictures import read_pixels

ORDER, PICTURE, SHAPES = range(3)  # beside the seed and a count: what a random generator is for


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
        return int(self._epoch(epoch)[place]), np.random.default_rng([self.seed, PICTURE, position])


class Pictures:
    """The examples' pixels; a picture that turns out to be broken is reported once, and another takes its place.

    Args:
        examples: list of `Example` or `LabelledImage`.
        report: called with a line for each broken picture.
    """

    def __init__(self, examples, report):
        self.examples, self.report = examples, report
        self._broken, self._lock = set(), threading.Lock()

    def __call__(self, index, rng, least=None):
        """(example, pixels, factor) as `read_pixels(..., least)` has them; `rng` decides the substitute.

        Raises:
            ValueError: where none of the pictures can be read.
        """
        while True:
            example = self.examples[index]
            try:
                return example, *read_pixels(example.image, least)
            except OSError as e:
                count = len(self.examples)
                with self._lock:
                    if index not in self._broken:
                        self._broken.add(int(index))
                        self.report(f"skipped: {e}")
                if len(self._broken) == count:
                    raise ValueError(f"none of the {count} training pictures can be read; the last: {e}") from e
            index = rng.integers(len(self.examples))


def stream(make, signature, batch_size, start_step, *, share=(0, 1), dtype="float32"):
    """Endless whole batches of what `make` gives for each position from the step on; else as `batches`.

    Of several workers each gets the rows of a batch that are its `share`, (rank, workers).
    """
    rank, workers = share
    rows = batch_size // workers
    positions = tf.data.Dataset.counter(start_step * rows)
    positions = positions.map(lambda i: i // rows * batch_size + rank * rows + i % rows)
    return batches(positions, make, signature, rows, drop_remainder=True, dtype=dtype)


def batches(positions, make, signature, batch_size, *, keep=None, drop_remainder=False, dtype="float32"):
    """Batches of what `make` gives for each position, by as many threads as there are cores.

    Args:
        positions: a `tf.data.Dataset` of integers.
        make: function of a position; its arrays, the first of them a uint8 picture.
        signature: for each array its (shape, dtype).
        batch_size: positions a batch.
        keep: function of tensors like the arrays that tells whether they are wanted; None for all.
        drop_remainder: whether a last batch that is smaller is left out.
        dtype: of the pictures: float32 in 0..1, or uint8 in 0..255.

    Returns:
        A `tf.data.Dataset` of tuples.
    """
    shapes, dtypes = zip(*signature, strict=True)

    def element(position):
        arrays = tf.numpy_function(make, [position], dtypes)
        return tuple(tf.ensure_shape(array, shape) for array, shape in zip(arrays, shapes, strict=True))

    dataset = positions.map(element, num_parallel_calls=cores())
    if keep:
        dataset = dataset.filter(keep)
    dataset = dataset.batch(batch_size, drop_remainder=drop_remainder)
    if dtype == "float32":
        dataset = dataset.map(as_floats)  # here and not in `make`: a quarter of the bytes to move
    return unhurried(dataset.prefetch(2))


def as_floats(images, *others):
    """A batch with its uint8 pictures as float32 in 0..1."""
    return tf.cast(images, tf.float32) / 255, *others


def unhurried(dataset):
    """`dataset` without tf.data's autotuner: it sleeps for longer and longer, up to a minute, and `fit`'s end waits."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def cores():
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
