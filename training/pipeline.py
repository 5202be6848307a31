"""From examples to batches: a `tf.data` pipeline that is the same for the same seed, however many threads it has."""

import threading

import numpy as np
import tensorflow as tf

from ..detection.pictures import letterbox
from . import augmentation

MOSAIC = 4  # pictures in a mosaic


def training_batches(data, size, batch_size, *, seed=0, start_epoch=0, augment=None, report=print):
    """Endless augmented batches for `fit`.

    A picture that turns out to be broken is reported once and skipped.

    Args:
        data: `DetectionData`.
        size: (height, width) of the network's input in pixels.
        batch_size: pictures a batch.
        seed: decides order and augmentation.
        start_epoch: first epoch to give; a resumed run sees what an uninterrupted one would have.
        augment: options of `augmentation.build`.
        report: called with a line for each broken picture.

    Returns:
        A `tf.data.Dataset` of (image (B, height, width, 3) float32 in 0..1, {"boxes": (B, M, 4) in parts of the input,
        "labels": (B, M) int32, -1 for padding}).
    """
    examples, local, broken = data.examples, threading.local(), set()
    most = max(1, max(len(e.boxes) for e in examples) * MOSAIC)

    def order():
        epoch = start_epoch
        while True:
            for index in np.random.default_rng([seed, epoch]).permutation(len(examples)):
                yield epoch, index
            epoch += 1

    def load(index):
        example = examples[index]
        return example.pixels(), example.boxes, example.labels

    def make(epoch, index):
        if not hasattr(local, "compose"):
            local.compose = augmentation.build(size, **(augment or {}))
        rng = np.random.default_rng([seed, epoch, index])
        chosen = [index, *rng.integers(len(examples), size=MOSAIC - 1)]
        try:
            picture, *others = map(load, chosen)
        except OSError as e:
            if str(e) not in broken:
                broken.add(str(e))
                report(f"skipped: {e}")
            return np.zeros((*size, 3), "float32"), *_padded([], [], most), False
        image, boxes, labels = augmentation.apply(local.compose, int(rng.integers(2**31)), picture, others)
        boxes = boxes / np.float32([size[1], size[0]] * 2)
        return (image / np.float32(255)).astype("float32"), *_padded(boxes, labels, most), True

    def element(epoch, index):
        types = (tf.float32, tf.float32, tf.int32, tf.bool)
        image, boxes, labels, usable = tf.numpy_function(make, [epoch, index], types)
        image.set_shape((*size, 3)), boxes.set_shape((most, 4)), labels.set_shape((most,)), usable.set_shape(())
        return image, boxes, labels, usable

    dataset = tf.data.Dataset.from_generator(order, output_signature=(tf.TensorSpec((), tf.int64),) * 2)
    dataset = dataset.map(element, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.filter(lambda image, boxes, labels, usable: usable)
    dataset = dataset.map(lambda image, boxes, labels, _: (image, {"boxes": boxes, "labels": labels}))
    return dataset.batch(batch_size, drop_remainder=True).prefetch(2)


def images(data, size, limit=None):
    """The pictures alone, letterboxed as for detection: (1, height, width, 3) float32 in 0..1, for calibration."""
    for example in data.examples[:limit]:
        yield letterbox(example.pixels(), size)[0][None].astype("float32") / 255


def _padded(boxes, labels, most):
    count = min(len(boxes), most)
    padded_boxes, padded_labels = np.zeros((most, 4), "float32"), np.full(most, -1, "int32")
    padded_boxes[:count], padded_labels[:count] = np.reshape(boxes[:count], (-1, 4)), labels[:count]
    return padded_boxes, padded_labels
