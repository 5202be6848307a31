"""Validate the images that a model is calibrated on."""

import numpy as np

from ...graph import is_detector
from ...registry import network_of

NORMALIZED = 3.0  # beyond what ImageNet's mean and deviation make of any pixel


def input_limits(model):
    """Return the smallest and largest value that a model's input may have; None for a user's model."""
    if is_detector(model):
        return 0.0, 1.0
    return (-NORMALIZED, NORMALIZED) if network_of(model) else None


def checked(images, model):
    """Check input batches one by one.

    Args:
        images: iterable of batches (N, height, width, channels); for a model of several inputs, of what that takes.
        model: the Keras 3 model, or what `quantize_aware` made of it.

    Yields:
        The batches, as float32.

    Raises:
        ValueError: for no batches, and for one of another shape than the model's input, with values that are not
            finite, or beyond the range of a detector's or a published backbone's input. It says what was received and
            what is accepted.
    """
    count, single = 0, len(model.inputs) == 1
    for count, batch in enumerate(images, 1):  # noqa: B007
        yield _checked(batch, model) if single else batch
    if not count:
        raise ValueError("calibration needs at least one batch of images; received none")


def _checked(batch, model):
    shape, limits = tuple(model.inputs[0].shape), input_limits(model)
    wanted = f"calibration takes batches (N, {', '.join(map(str, shape[1:]))})"
    if isinstance(batch, tuple | list | dict):
        raise ValueError(f"{wanted}, the images alone. Received: a {type(batch).__name__} of {len(batch)}")
    batch = np.asarray(batch, "float32")
    fits = all(side in (None, found) for side, found in zip(shape, batch.shape, strict=False))
    if batch.ndim != len(shape) or not fits or not batch.size:
        raise ValueError(f"{wanted}. Received: {batch.shape}")
    if not np.isfinite(batch).all():
        raise ValueError(f"{wanted} of finite numbers. Received: {np.sum(~np.isfinite(batch))} that are not")
    low, high = float(batch.min()), float(batch.max())
    if limits and not limits[0] <= low <= high <= limits[1]:
        raise ValueError(f"{wanted} of pixels in 0..1, as {model.name} takes them. Received: {low:g} to {high:g}")
    return batch
