"""The images that a model is calibrated on, looked at before they are used."""

import numpy as np

from ...graph import is_detector
from ...registry import NETWORKS

NORMALIZED = 3.0  # beyond what ImageNet's mean and deviation make of any pixel


def limits_of(model):
    """(least, most) value that a model's input may have, or None where that is not known: a user's model's."""
    if is_detector(model):
        return 0.0, 1.0
    ours = model.name in {name.lower() for name in NETWORKS}
    return (-NORMALIZED, NORMALIZED) if ours else None


def checked(images, model):
    """The input batches of `images`, as float32.

    Args:
        images: iterable of batches (N, height, width, channels), of a model of several inputs as that takes them.
        model: the Keras 3 model, or what `quantize_aware` made of it.

    Raises:
        ValueError: where there are none, or one is of another shape than the model's input, not finite, or not in the
            range of a detector or a backbone of ours. It says what was received and what is accepted.
    """
    count, single = 0, len(model.inputs) == 1
    for count, batch in enumerate(images, 1):  # noqa: B007
        yield _checked(batch, model) if single else batch
    if not count:
        raise ValueError("calibration needs at least one batch of images; received none")


def _checked(batch, model):
    shape, limits = tuple(model.inputs[0].shape), limits_of(model)
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
