"""What the pipelines of detectors and classifiers share: order, images and whole batches.

The image at a position of a run, counted in images, depends on seed and position alone, so a run can begin anywhere and
with any number of threads and processes.
"""

import threading
from functools import lru_cache

import numpy as np

from ..data.images import damage_line
from ..production.pool import Stopped

# What a random generator is for; it is made of the seed, one of these and a number.
ORDER, IMAGE, SHAPES, MIXING = range(4)
TRIES = 1000  # images in place of one; so many are broken where all are, as on a disk that has gone


def steps_per_epoch(examples, batch_size):
    """Return the number of whole batches that the examples fill; raise a ValueError where they fill none."""
    steps = len(examples) // batch_size
    if not steps:
        raise ValueError(f"{len(examples)} training images do not fill one batch of {batch_size}")
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
        checked: (N,) bool, whether an example was looked at for damage; worker processes share it.
        report: called with a line for each broken or damaged image.
        keep: how many images that are decoded as a whole stay in memory, those used last.
    """

    def __init__(self, examples, checked, report, keep=0):
        self.examples, self.report = examples, report
        self._whole = lru_cache(keep)(self._whole)
        self._broken, self._lock = set(), threading.Lock()
        self._checked = checked

    def __call__(self, index, rng, least=None, window=None):
        """Return (example, `read_pixels` of it with `least` and `window`); `rng` decides the substitute."""
        for _ in range(TRIES):
            example = self.examples[index]
            try:
                if window:
                    pixels = example.read(least, window, check=not self._checked[index])
                else:
                    pixels = self._whole(int(index), least)
            except OSError as e:
                error, count = e, len(self.examples)
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
        raise ValueError(f"{TRIES:,} training images in a row can't be read; is the disk there? The last: {error}")

    def _whole(self, index, least):
        return self.examples[index].read(least)

    def _check(self, index, pixels):
        with self._lock:
            if not self._checked[index] and pixels.damage:
                self.report(damage_line(self.examples[index].image, pixels.damage))
            self._checked[index] = True


class Rows:
    """Whole batches of the images at their positions; a `make` of `production.pool`.

    Args:
        sample: function of a position that returns arrays, the first of them a uint8 image, or None to leave it out.
            Its method `join` makes the batch's other arrays: of a list of tuples, and the whole batch's positions.
        batch_size: positions a batch.
        share: (rank, workers); of several workers each gets its part of every batch.
        total: number of positions, the last batch may be smaller; None for whole batches without end.
    """

    def __init__(self, sample, batch_size, share=(0, 1), total=None):
        self.sample, self.batch_size, self.total, self.stopped = sample, batch_size, total, False
        rank, workers = share
        self.first, self.rows = rank * (batch_size // workers), batch_size // workers

    def __call__(self, number, images):
        """Fill `images` with those of a batch, and return their count and the batch's other arrays."""
        first, parts = number * self.batch_size, []
        last = min(first + self.batch_size, self.total or first + self.batch_size)
        for position in range(first + self.first, min(first + self.first + self.rows, last)):
            if self.stopped:
                raise Stopped("the data pipeline has ended")
            made = self.sample(position)
            if made is not None:
                images[len(parts)] = made[0]
                parts.append(made[1:])
        return len(parts), self.sample.join(parts, range(first, last))
