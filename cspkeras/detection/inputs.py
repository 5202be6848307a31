"""What a detector is trained on, checked before it is used, and padded where images have several numbers of boxes.

Arrays are checked whole; the batches of a `tf.data.Dataset`, a generator and a `keras.utils.PyDataset` as they come, on
the CPU, so that it makes no difference how the model is compiled. Batches of any other source are checked by the loss
alone, and only their shapes.
"""

import functools
import inspect
import sys
from collections.abc import Mapping

import keras
import numpy as np

from .checks import DataError, check_counts, check_shapes, check_values

SAMPLE = 8  # images of an array or a batch whose pixels are looked at
STEP = 16  # rows and columns from one such pixel to the next
SIZES = 2 ** np.arange(31)  # numbers of rows to pad to: a few, since XLA compiles a program for each
FILL = {"boxes": 0, "labels": -1}
ROWS = "boxes must be (m, 4) and labels (m,) in each image"
SHAPES = {"boxes": (None, None, 4), "labels": (None, None)}


def checked(x, y, sample_weight, classes):
    """Return the data of `keras.Model.fit`, checked, or with a check of each batch that is to come.

    Args:
        x, y, sample_weight: as there.
        classes: the detector's number of classes.

    Raises:
        DataError: for arrays that a detector can't be trained on. A batch raises it later; see `checks.readable`.
    """
    check, tf = functools.partial(_checked_batch, classes=classes), sys.modules.get("tensorflow")
    if tf and isinstance(x, tf.data.Dataset):
        return _checked_dataset(x, classes), y, sample_weight
    if isinstance(x, keras.utils.PyDataset):
        return _Checked(x, check), y, sample_weight
    if inspect.isgenerator(x):
        return (check(batch) for batch in x), y, sample_weight
    if hasattr(next(iter(keras.tree.flatten(x)), None), "shape"):
        return _checked_arrays(x, y, sample_weight, classes)
    return x, y, sample_weight


def _checked_arrays(x, y, sample_weight, classes):
    y = _padded(y)
    check_shapes(x, y, sample_weight)
    images = keras.tree.flatten(x)[0]
    parts = [images[:: len(images) // SAMPLE + 1, ::STEP, ::STEP], y["boxes"], y["labels"]]
    parts += [] if sample_weight is None else [sample_weight]
    check_values(*map(np.asarray, parts), classes=classes)
    return x, y, sample_weight


def _checked_batch(batch, classes):
    checked_parts = _checked_arrays(*keras.utils.unpack_x_y_sample_weight(batch), classes)
    return keras.utils.pack_x_y_sample_weight(*checked_parts)


def _checked_dataset(dataset, classes):
    import tensorflow as tf

    def look(images, boxes, labels, *weights):
        check_shapes(None, {"boxes": boxes, "labels": labels}, *weights)
        check_values(images, boxes, labels, *weights, classes=classes)
        return True

    @tf.autograph.experimental.do_not_convert
    def check(*batch):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch if len(batch) > 1 else batch[0])
        y = _padded_in_graph(y)
        check_shapes(x, y, sample_weight)
        images = keras.tree.flatten(x)[0]
        parts = [images[:: tf.shape(images)[0] // SAMPLE + 1, ::STEP, ::STEP], y["boxes"], y["labels"]]
        parts += [] if sample_weight is None else [sample_weight]
        with tf.control_dependencies([tf.numpy_function(look, parts, tf.bool)]):
            y = dict(tf.nest.map_structure(tf.identity, y))
        y |= {key: tf.ensure_shape(y[key], shape) for key, shape in SHAPES.items()}
        return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)

    return dataset.map(check)


class _Checked(keras.utils.PyDataset):
    """A `keras.utils.PyDataset` with a check of each batch."""

    def __init__(self, dataset, check):
        names = "workers", "use_multiprocessing", "max_queue_size"
        super().__init__(**{name: getattr(dataset, name) for name in names})
        self.dataset, self.check = dataset, check

    @property
    def num_batches(self):
        return self.dataset.num_batches

    def __getitem__(self, index):
        return self.check(self.dataset[index])

    def on_epoch_begin(self):
        self.dataset.on_epoch_begin()

    def on_epoch_end(self):
        self.dataset.on_epoch_end()


def _padded(target):
    """Return a target with its ragged boxes and labels (lists of arrays, ragged tensors) as arrays."""
    rows = {}
    for key in FILL:
        value = target.get(key) if isinstance(target, Mapping) else None
        value = value.to_list() if hasattr(value, "to_list") else value  # of a ragged tensor
        if isinstance(value, (list, tuple)) or getattr(value, "dtype", None) == np.dtype(object):
            rows[key] = [np.asarray(row) for row in value]
            if not all(row.ndim for row in rows[key]):
                raise DataError(f"{ROWS}. Received: {key} without an axis")
    if len(rows) == len(FILL):
        check_counts(*([len(row) for row in part] for part in rows.values()))
    return {**target, **{key: _stacked(key, part) for key, part in rows.items()}} if rows else target


def _stacked(key, rows):
    """Stack arrays (m, ...) of several m to (N, M, ...)."""
    full = [row for row in rows if len(row)]
    if len({row.shape[1:] for row in full}) > 1:
        shapes = ", ".join(str(row.shape) for row in full)
        raise DataError(f"{ROWS}. Received: {key} of {shapes}")
    one = full[0] if full else np.zeros((0, 4) if key == "boxes" else 0, "float32" if key == "boxes" else "int32")
    most = SIZES[np.searchsorted(SIZES, max(map(len, rows), default=0))]
    stacked = np.full((len(rows), most, *one.shape[1:]), FILL[key], one.dtype)
    for place, row in zip(stacked, rows, strict=True):
        place[: len(row)] = row if len(row) else place[:0]
    return stacked


def _padded_in_graph(target):
    """Return what `_padded` does, of a graph's tensors."""
    import tensorflow as tf

    def look(*counts):
        check_counts(*counts)
        return True

    ragged = [key for key in FILL if isinstance(target, Mapping) and isinstance(target.get(key), tf.RaggedTensor)]
    if not ragged:
        return target
    counts = [target[key].row_lengths() for key in ragged]
    most = tf.reduce_max(tf.concat([*counts, [0]], axis=0))
    most = tf.gather(SIZES, tf.searchsorted(SIZES, [most])[0])
    done = [tf.numpy_function(look, counts, tf.bool)] if len(ragged) == len(FILL) else []
    filled = dict(target)
    for key in ragged:
        with tf.control_dependencies(done):
            shape = tf.stack([-1, most, *[-1] * (len(target[key].shape) - 2)])
            filled[key] = target[key].to_tensor(FILL[key], shape=shape)
    if "boxes" in ragged and filled["boxes"].shape[-1] is None:
        more = tf.where(tf.shape(filled["boxes"])[2] == 0, 4, 0)  # where no image of the batch has a box
        filled["boxes"] = tf.pad(filled["boxes"], [[0, 0], [0, 0], [0, more]])
    return filled
