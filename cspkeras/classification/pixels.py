"""The range in which a network takes an image's pixels: given, or by the model's first layers, or its name."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from ..graph import functional_graph, is_fake_quantization, run_graph, unwrapped
from ..registry import name_of
from .imagenet import preparation_of

HEAD = 10.0  # what a network computes with is hardly beyond
LEAST_MEAN = 2.0  # of pixels in 0..255; those in 0..1 have a smaller one
PROBES = 0.0, 1.0, 255.0  # images of one value
ANY_SIDE = 32  # of such an image, where the model takes any
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue in grey, as Pillow has it


class Pixels(NamedTuple):
    """A network's input is (pixel - mean) * scale, the pixel in 0..255; both may have a number for each channel."""

    mean: float | tuple[float, ...] = 0.0
    scale: float | tuple[float, ...] = 1 / 255

    def of(self, images):
        """Return the network's input of images in 0..255: an array of the same shape, float32."""
        return (np.asarray(images, "float32") - np.float32(self.mean)) * np.float32(self.scale)

    def of_unit(self, images, channels=3):
        """Return the input, of 3 channels or 1, of RGB images in 0..1, an array or tensor; UNIT changes no values."""
        if channels == 1:
            images = sum(images[..., i : i + 1] * np.float32(share) for i, share in enumerate(LUMA))
        return images if self == UNIT else (images * 255 - np.float32(self.mean)) * np.float32(self.scale)

    def limits(self):
        """Return the least and the largest value that the network takes."""
        ends = self.of([[0.0], [255.0]])
        return float(ends.min()), float(ends.max())


UNIT, BYTES, SIGNED = Pixels(), Pixels(0.0, 1.0), Pixels(127.5, 1 / 127.5)


def pixels_of(
    model: keras.Model,
    mean: float | Sequence[float] | None = None,
    scale: float | Sequence[float] | None = None,
    layout: str | None = None,
) -> Pixels:
    """Return the range in which a model takes pixels: as given, as its network's weights, as its first layers, or 0..1.

    Args:
        model: a Keras model, or what `quantize_aware` made of it.
        mean: a number, or one for each channel, in 0..255: the input is (pixel - mean) * scale. None: 0 where there is
            a scale.
        scale: likewise, but not 0. None: 1 where there is a mean.
        layout: the network's, as in `preprocess_input`, where neither is given. None: the model's own.

    Returns:
        The `Pixels`.

    Raises:
        ValueError: for what is not such a number, or not as many as there are channels.

    Example:
        >>> import keras
        >>> from cspkeras.classification.pixels import pixels_of
        >>> model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Rescaling(1 / 255)])
        >>> pixels_of(model)
        Pixels(mean=0.0, scale=1.0)
    """
    if mean is None and scale is None:
        return _network_pixels(model, layout) or recognized_pixels(model) or UNIT
    channels = model.inputs[0].shape[-1]
    found = Pixels(
        _numbers("mean", 0.0 if mean is None else mean, channels),
        _numbers("scale", 1.0 if scale is None else scale, channels),
    )
    if not np.all(found.scale):
        raise ValueError(f"scale must not be 0. Received: scale={found.scale}")
    return found


def _network_pixels(model, layout):
    """Return the range that a network's weights take, as it keeps or by its name and layout; None if they say none."""
    kept = None if layout else getattr(model, "preparation", None)
    preparation = kept or preparation_of(name_of(model), layout or getattr(model, "layout", None))
    if preparation is None:
        return None
    mean, deviation = np.array([preparation.mean, preparation.deviation])
    return Pixels(tuple((255 * mean).tolist()), tuple((1 / (255 * deviation)).tolist()))


def _numbers(name, value, channels) -> float | tuple[float, ...]:
    try:
        numbers = np.asarray(value, "float64")
    except (TypeError, ValueError):
        numbers = np.array(np.nan)
    if numbers.shape not in ((), (1,), (channels,)) or not np.isfinite(numbers).all():
        raise ValueError(f"{name} must be a number, or {channels}, one for each channel. Received: {name}={value!r}")
    return numbers.item() if numbers.size == 1 else tuple(numbers.tolist())


def recognized_pixels(model: keras.Model) -> Pixels | None:
    """Return the range that a model's first layers show; None where they show none.

    Up to the first layer with weights of another kind than Normalization's, what they make of an image is followed:
    Rescaling, Normalization, arithmetic with constants, among layers that only augment.
    """
    graph = functional_graph(model)
    if graph is None or len(graph.inputs) != 1 or len(graph.inputs[0].shape) != 4:
        return None
    shape = [side or ANY_SIDE for side in graph.inputs[0].shape[1:]]
    images = np.stack([np.full(shape, value, "float32") for value in PROBES])
    low, one, high = (part.ravel().astype("float64") for part in _after_head(graph, images))
    slope = one - low
    kept = slope != 0
    if not kept.any() or (np.all(slope[kept] == 1) and not low.any()):  # zeros are padding
        return None
    mean, most = np.median(-low[kept] / slope[kept]), np.median(np.abs(high[kept]))
    if mean > LEAST_MEAN or most <= HEAD:
        return BYTES
    return SIGNED if mean < -LEAST_MEAN / 255 else UNIT


def _after_head(graph, images):
    """Return what the first layers make of `PROBES`: arrays of one shape, each linear in its image's value."""
    try:
        made = run_graph(graph, keras.ops.convert_to_tensor(images), _make)
    except _Reached as reached:
        made = reached.args[0]
    return keras.ops.convert_to_numpy(keras.tree.flatten(made)[0])


class _Reached(Exception):
    """The end of the first layers; its argument is the tensor there."""


def _make(operation):
    """Return a function that does an operation's work on images of one value each, or raises `_Reached`."""
    operation = unwrapped(operation)
    if is_fake_quantization(operation):
        return lambda x, **_: x
    if (inside := functional_graph(operation)) is not None:
        return lambda *args, **_: run_graph(inside, args, _make)

    def call(*args, **kwargs):
        made = _linear(operation, args, kwargs)
        if made is None:
            raise _Reached(keras.tree.flatten(args)[0])
        return made

    return call


def _linear(operation, args, kwargs):
    """Return what an operation makes of such images; None where it isn't linear in their values."""
    if getattr(operation, "weights", None) and not isinstance(operation, keras.layers.Normalization):
        return None
    try:
        made = operation(*args, **kwargs)
        low, one, high = keras.ops.convert_to_numpy(made).astype("float64")
    except Exception:  # a layer of whoever built the model, on images that are none; or several results
        return None
    linear = np.allclose(high - low, PROBES[-1] * (one - low), rtol=1e-2, atol=1e-3)
    return made if linear and (one != low).any() else None
