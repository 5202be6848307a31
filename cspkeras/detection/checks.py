"""What a detector can't be trained on, and what an error says then."""

import re
from collections.abc import Mapping
from contextlib import contextmanager

import keras
import numpy as np

TARGET = '{"boxes": (N, M, 4), "labels": (N, M)}'
SHAPES = {"images": "N height width 3", "boxes": "N M 4", "labels": "N M", "sample_weight": "N"}
SLACK = 0.5  # values may leave 0..1 by so much; pixels leave it by more
ROUNDING = 1e-3  # a box may be inverted by so much, and has no area then


class DataError(ValueError):
    """An error in what a detector is trained on."""


def check_shapes(x, y, sample_weight=None):
    """Raise a `DataError` where keys, sizes or types of arrays, or of a graph's tensors, are not those expected.

    Args:
        x: images (N, height, width, 3), floats.
        y: {"boxes": (N, M, 4), "labels": (N, M)}; other keys are left to the loss.
        sample_weight: (N,) or None.
    """
    if not isinstance(y, Mapping):
        kind = "an array" if hasattr(y, "shape") else f"a {type(y).__name__}"
        kind = "none" if y is None else f"{kind} of {len(y)}" if isinstance(y, (list, tuple)) else kind
        raise DataError(f"a detector's target must be {TARGET}. Received: {kind}")
    if not {"boxes", "labels"} <= set(y):
        raise DataError(f"a detector's target must be {TARGET}. Received: the keys {', '.join(map(repr, y)) or 'none'}")
    images = next(iter(keras.tree.flatten(x)), None)
    parts = {"images": images, "boxes": y["boxes"], "labels": y["labels"], "sample_weight": sample_weight}
    parts = {name: part for name, part in parts.items() if part is not None}
    for name, part in parts.items():
        kind = getattr(part, "dtype", type(part).__name__)
        kind = getattr(kind, "name", str(kind))
        if name == "images" and "int" in kind:
            raise DataError(f"images must be floats, RGB in 0..1; divide pixels by 255. Received: {kind}")
        if not any(number in kind for number in ("float", "int", "bool")):
            raise DataError(f"{name} must be an array of numbers. Received: {kind}")
    shapes = {name: _shape(part) for name, part in parts.items()}
    received = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
    sizes = {}
    for name, shape in shapes.items():
        wanted = SHAPES[name].split()
        form = f"{name} must be ({', '.join(wanted)}{',' * (len(wanted) == 1)})"
        if shape is None:
            continue
        if len(shape) != len(wanted):
            raise DataError(f"{form}. Received: {received}")
        for size, found in zip(wanted, shape, strict=True):
            expected = int(size) if size.isdecimal() else sizes.setdefault(size, found)
            if None not in (expected, found) and found != expected:
                raise DataError(f"{form}, N and M the same in all. Received: {received}")


def check_values(images, boxes, labels, sample_weight=None, *, classes):
    """Raise a `DataError` for values out of range in arrays of the right shapes; some of the images' pixels will do.

    A row whose label is below 0 is padding and may hold any box.
    """
    if images.size and not (images.min() >= -SLACK and images.max() <= 1 + SLACK):  # so written, NaN fails
        found = f"values from {images.min():g} to {images.max():g}"
        raise DataError(f"images must be RGB in 0..1; divide pixels by 255. Received: {found}")
    expected = f"labels must be whole numbers below {classes}, the number of classes, or below 0 for padding"
    _raise_first(expected, labels, ~((labels < classes) & (labels == np.floor(labels))))
    real = (labels >= 0)[..., None]
    expected = "boxes must be x1, y1, x2, y2 in parts of the input, 0..1; divide pixels by its width and height"
    _raise_first(expected, boxes, ~(np.abs(boxes - 0.5) <= 0.5 + SLACK) & real)
    expected = "boxes must be x1, y1, x2, y2 with x1 <= x2 and y1 <= y2"
    _raise_first(expected, boxes, (boxes[..., 2:] < boxes[..., :2] - ROUNDING) & real)
    if sample_weight is not None:
        expected = "sample_weight must be numbers of at least 0"
        _raise_first(expected, sample_weight, ~((sample_weight >= 0) & (sample_weight < np.inf)))


def check_counts(boxes, labels):
    """Raise a `DataError` where the numbers of boxes and of labels, one an image, differ."""
    if len(boxes) != len(labels):
        raise DataError(f"boxes and labels must be of the same images. Received: {len(boxes)} and {len(labels)} images")
    for image, (box_count, label_count) in enumerate(zip(boxes, labels, strict=True)):
        if box_count != label_count:
            found = f"{box_count} boxes and {label_count} labels of image {image}"
            raise DataError(f"each box must have a label. Received: {found}")


@contextmanager
def readable():
    """Raise a `DataError` as it was before TensorFlow put it into a text of many lines."""
    try:
        yield
    except Exception as error:
        found = re.search(rf"{DataError.__name__}: (.*)", str(error))
        if isinstance(error, DataError) or not found:
            raise
        raise DataError(found[1]) from None


def _raise_first(expected, values, wrong):
    """Raise a `DataError` with the first row of the values that has something wrong, if any has."""
    if wrong.any():
        place = np.unravel_index(wrong.argmax(), wrong.shape)[:2]
        found = values[place].astype("float64").round(4) if values.dtype.kind == "f" else values[place]
        raise DataError(f"{expected}. Received: {found.tolist()} of image {place[0]}")


def _shape(x):
    """Return a shape with None for each size that a graph does not know; None for all of them."""
    return None if getattr(x.shape, "rank", 0) is None else tuple(x.shape)
