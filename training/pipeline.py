"""From examples to batches: a `tf.data` pipeline that is the same for the same seed, however many threads it has."""

import itertools
import threading

import numpy as np
import tensorflow as tf

from ..detection.pictures import letterbox
from .augmentation import Augmentation

MOSAIC = 4  # pictures in a mosaic


def steps_per_epoch(data, batch_size):
    """Number of whole batches that the examples fill.

    Raises:
        ValueError: where they fill none.
    """
    steps = len(data.examples) // batch_size
    if not steps:
        raise ValueError(f"{len(data.examples)} training pictures do not fill one batch of {batch_size}")
    return steps


def training_batches(data, size, batch_size, *, seed=0, start_epoch=0, augment=None, report=print):
    """Endless augmented batches for `fit`, `steps_per_epoch` an epoch; the pictures that are left over differ by epoch.

    A picture that turns out to be broken is reported once, and another takes its place.

    Args:
        data: `DetectionData`.
        size: (height, width) of the network's input in pixels.
        batch_size: pictures a batch.
        seed: decides order and augmentation; a non-negative integer.
        start_epoch: first epoch to give; a resumed run sees what an uninterrupted one would have.
        augment: options of `augmentation.Augmentation`.
        report: called with a line for each broken picture.

    Returns:
        A `tf.data.Dataset` of (image (B, height, width, 3) float32 in 0..1, {"boxes": (B, M, 4) in parts of the input,
        "labels": (B, M) int32, -1 for padding}).

    Raises:
        ValueError: where the examples don't fill a batch, or none can be read.
    """
    examples, count = data.examples, steps_per_epoch(data, batch_size) * batch_size
    augmentation, broken, lock = Augmentation(size, **(augment or {})), set(), threading.Lock()
    most = max(1, max(len(e.boxes) for e in examples) * (MOSAIC if augmentation.mosaic else 1))

    def order():
        for epoch in itertools.count(start_epoch):
            for index in np.random.default_rng([seed, epoch]).permutation(len(examples))[:count]:
                yield epoch, index

    def load(index, rng):
        while True:
            example = examples[index]
            try:
                return example.pixels(), example.boxes, example.labels
            except OSError as e:
                with lock:
                    if index not in broken:
                        broken.add(int(index))
                        report(f"skipped: {e}")
                if len(broken) == len(examples):
                    raise ValueError(f"none of the {len(examples)} training pictures can be read; the last: {e}") from e
            index = rng.integers(len(examples))

    def make(epoch, index):
        rng = np.random.default_rng([seed, epoch, index])
        others = rng.integers(len(examples), size=MOSAIC - 1) if rng.random() < augmentation.mosaic else ()
        pictures = [load(i, rng) for i in (index, *others)]
        image, boxes, labels = augmentation(int(rng.integers(2**31)), pictures)
        padded_boxes, padded_labels = np.zeros((most, 4), "float32"), np.full(most, -1, "int32")
        padded_boxes[: len(boxes)] = boxes / np.float32([size[1], size[0]] * 2)
        padded_labels[: len(labels)] = labels
        return image / np.float32(255), padded_boxes, padded_labels

    def element(epoch, index):
        image, boxes, labels = tf.numpy_function(make, [epoch, index], (tf.float32, tf.float32, tf.int32))
        shape = tf.ensure_shape
        return shape(image, (*size, 3)), {"boxes": shape(boxes, (most, 4)), "labels": shape(labels, (most,))}

    load(0, np.random.default_rng(seed))  # here, an error that concerns all pictures is still one line
    dataset = tf.data.Dataset.from_generator(order, output_signature=(tf.TensorSpec((), tf.int64),) * 2)
    dataset = dataset.map(element, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.batch(batch_size, drop_remainder=True).prefetch(2)


def images(data, size, limit=None, report=print):
    """The pictures alone, letterboxed as for detection: (1, height, width, 3) float32 in 0..1, for calibration.

    Those that can't be read are reported and skipped.
    """
    for example in data.examples[:limit]:
        try:
            pixels = example.pixels()
        except OSError as e:
            report(f"skipped: {e}")
            continue
        yield letterbox(pixels, size)[0][None].astype("float32") / 255
