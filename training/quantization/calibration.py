"""Validate the inputs that a model is calibrated on."""

import logging
from functools import lru_cache

import keras
import numpy as np

from ...classification.pixels import BYTES, recognized_pixels
from ...graph import functional_graph, is_detector
from ...registry import network_of

NORMALIZED = 3.0  # beyond what ImageNet's mean and deviation make of any pixel
MOST = 1024  # inputs that are taken of what may never end; some dozens are enough
SMALL = 2.0  # pixels in 0..1 or -1..1 are not beyond, those in 0..255 are
log = logging.getLogger("cspkeras")


def input_limits(model):
    """Return the smallest and largest value that a model's input may have; None for a user's model."""
    if is_detector(model):
        return 0.0, 1.0
    return (-NORMALIZED, NORMALIZED) if network_of(model) else None


def checked(images, model):
    """Check input batches one by one.

    Where not all is read, and where pixels are in another range than the model's first layers show, it is logged.

    Args:
        images: iterable of batches (N, height, width, channels), or of whatever shape the model takes; for a model of
            several inputs, of lists or tuples of an array each, in their order, or dicts of them by their names. What
            has no length, such as a generator, is read to 1024 images.
        model: the Keras 3 model, or what `quantize_aware` made of it.

    Yields:
        The batches as the model takes them, of float32, or integers where its input is of those and no pixels.

    Raises:
        ValueError: for no batches, and for one of another shape than the model's input, with values that are not
            finite, or beyond the range of a detector's or a published backbone's input. It says what was received and
            what is accepted.
    """
    count, low, high = 0, np.inf, -np.inf  # the two of the first input
    for batches, batch in enumerate(images):
        if count >= MOST and not _ends(images):
            more = "give a list of batches to have more taken"
            _tell(f"calibration took {batches} batches, {count} inputs, of what may have no end; {more}")
            break
        arrays = _checked(batch, model)
        count, low, high = count + len(arrays[0]), min(low, arrays[0].min()), max(high, arrays[0].max())
        yield keras.tree.pack_sequence_as(_taken(model), arrays)
    if not count:
        raise ValueError("calibration needs at least one batch of images; received none")
    if low == high:
        _tell(
            f"{model.name} is calibrated on inputs that are {low:g} everywhere, which shows no range; give real images"
        )
    if (pixels := recognized_pixels(model)) and (high <= SMALL) == (pixels == BYTES):
        taken = "{:g}..{:g}".format(*pixels.limits())
        seen = f"{low:g} to {high:g}"
        _tell(f"{model.name} takes pixels in {taken}, as its first layers show; it is calibrated on {seen}")


@lru_cache(maxsize=1)  # the same batches are checked for each step of a quantization
def _tell(line):
    log.warning(line)


def _ends(images):
    try:
        return len(images) >= 0
    except TypeError:  # of a generator, and of a tf.data.Dataset that repeats
        return False


def _checked(batch, model):
    """Return a batch as a list of arrays, one for each of the model's inputs."""
    if len(model.inputs) == 1 and not isinstance(batch, dict):
        return [_checked_array(batch, model, model.inputs[0], "")]
    names = _names(model)
    shapes = " and ".join(f"{name!r} {_shape(x)}" for name, x in zip(names[0], model.inputs, strict=True))
    wanted = f"calibration takes batches of {shapes}, as a list, a tuple or a dict by these names"
    if isinstance(batch, dict):
        order = next((order for order in names if set(order) == set(batch)), None)
        if order is None:
            raise ValueError(f"{wanted}. Received: a dict of {', '.join(map(repr, batch)) or 'nothing'}")
        batch = [batch[name] for name in order]
    if not isinstance(batch, list | tuple) or len(batch) != len(model.inputs):
        kind = type(batch).__name__
        what = f"a {kind} of {len(batch)}" if isinstance(batch, list | tuple) else f"one {kind} of {np.shape(batch)}"
        raise ValueError(f"{wanted}. Received: {what}")
    arrays = [_checked_array(x, model, *each) for x, *each in zip(batch, model.inputs, names[0], strict=True)]
    if len(counts := {len(x) for x in arrays}) != 1:
        raise ValueError(f"{wanted}, of equal N. Received: N of {', '.join(map(str, sorted(counts)))}")
    return arrays


def _taken(model):
    """Return what a model takes: a KerasTensor, or a list, a tuple or a dict of them."""
    if (graph := functional_graph(model)) is not None:
        return graph.input
    return model.inputs if len(model.inputs) > 1 else model.inputs[0]


def _names(model):
    """Return how a dict may name a model's inputs, in their order: by their names, or the keys of what it takes."""
    own, taken = [x.name for x in model.inputs], _taken(model)
    return [own, keras.tree.flatten({key: key for key in taken})] if isinstance(taken, dict) else [own]


def _shape(tensor):
    return f"(N{''.join(f', {side}' for side in tensor.shape[1:])})"


def _checked_array(batch, model, tensor, name):
    shape, limits = tuple(tensor.shape), input_limits(model)
    wanted = f"calibration takes batches {_shape(tensor)}{name and f' for {name!r}'}"
    if isinstance(batch, tuple | list | dict):
        raise ValueError(f"{wanted}, the images alone. Received: a {type(batch).__name__} of {len(batch)}")
    try:
        batch = np.asarray(batch, tensor.dtype if tensor.dtype.startswith("int") else "float32")
    except (TypeError, ValueError) as e:
        raise ValueError(f"{wanted} of numbers. Received: a {type(batch).__name__} ({e})") from e
    fits = all(side in (None, found) for side, found in zip(shape[1:], batch.shape[1:], strict=False))
    if batch.ndim != len(shape) or not fits or not batch.size:
        raise ValueError(f"{wanted}. Received: {batch.shape}")
    if not np.isfinite(batch).all():
        raise ValueError(f"{wanted} of finite numbers. Received: {np.sum(~np.isfinite(batch))} that are not")
    low, high = float(batch.min()), float(batch.max())
    if limits and not limits[0] <= low <= high <= limits[1]:
        raise ValueError(f"{wanted} of pixels in 0..1, as {model.name} takes them. Received: {low:g} to {high:g}")
    return batch
