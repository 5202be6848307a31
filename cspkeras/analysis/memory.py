"""The peak activation memory of a functional Keras model: what must be held at once while it runs, layer by layer."""

import math
from dataclasses import dataclass

import keras
from keras import layers

IN_PLACE = (  # each output element replaces the input's, as phones' runtimes do
    layers.BatchNormalization,
    layers.Activation,
    layers.LeakyReLU,
    layers.ReLU,
    layers.Softmax,
    layers.Dropout,
    layers.Flatten,
    layers.Reshape,
    layers.Rescaling,
    layers.ZeroPadding2D,  # the next convolution's own
)


@dataclass(frozen=True)
class Peak:
    """The moment at which most is held.

    Attributes:
        elements: of all feature maps that are held then, for one image.
        layer: name of the layer that runs then.
    """

    elements: int
    layer: str


def peak_memory(model, order=None):
    """Find the peak of an execution order, for inference.

    A feature map is held from the layer that makes it to the last one that reads it; the outputs stay. Batch-norms and
    activations work in place where nothing else reads their input; paddings, weights and workspaces don't count.

    Args:
        model: a functional Keras model with a fixed input size.
        order: its operations in the order of their execution; None for that of Keras.

    Returns:
        `Peak`.

    Raises:
        ValueError: for an order in which a layer precedes what it reads, or that lacks layers.
    """
    order = list(model.operations if order is None else order)
    if len(order) != len(model.operations) or set(order) != set(model.operations):
        raise ValueError(f"order must hold each of the {len(model.operations)} operations of {model.name} once")
    until = {key: step for step, operation in enumerate(order) for key in _read(operation)}
    until |= dict.fromkeys(map(_key, model.outputs), len(order))
    held, peak = {}, Peak(0, "")
    for step, operation in enumerate(order):
        read = _read(operation)
        if missing := [source.name for source, _ in read if (source, _) not in held]:
            raise ValueError(f"order has {operation.name} before {missing[0]}, which it reads")
        for x in keras.tree.flatten(operation.output):
            padding = isinstance(operation, layers.ZeroPadding2D)
            held[_key(x)] = held[read[0]] if padding else math.prod(x.shape[1:])
        now = sum(held.values())
        if isinstance(operation, IN_PLACE) and until[read[0]] == step:
            now -= held[read[0]]
        if now > peak.elements:
            peak = Peak(now, operation.name)
        held = {key: size for key, size in held.items() if until.get(key, step) > step}
    return peak


def _read(operation):
    """The keys of the feature maps that an operation reads."""
    return [] if isinstance(operation, layers.InputLayer) else [_key(x) for x in keras.tree.flatten(operation.input)]


def _key(x):
    return x._keras_history.operation, x._keras_history.tensor_index
