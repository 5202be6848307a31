"""Peak activation memory of a functional Keras model: what must be held at once while it runs, layer by layer."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import keras

from ..graph import calls, operation_of, row_of
from .kinds import FREE, KINDS


@dataclass(frozen=True)
class Peak:
    """The moment at which most is held.

    Attributes:
        elements: number of elements of all feature maps that are held then, for one image.
        layer: name of the layer that runs then.

    Example:
        See `peak_memory`.
    """

    elements: int
    layer: str


def peak_memory(model: keras.Model, order: Sequence[keras.Operation] | None = None) -> Peak:
    """Find the moment of an inference at which most activation memory is held.

    A feature map is held from the layer that makes it to the last one that reads it; the outputs stay. Batch-norms and
    activations work in place where nothing else reads their input; paddings, weights and workspaces don't count.

    Args:
        model: a functional Keras model with a fixed input size.
        order: the model's operations in the order of their execution, each as often as it is called; None: Keras'
            order.

    Returns:
        A `Peak`.

    Raises:
        ValueError: for an order in which a layer precedes what it reads, or that lacks layers.

    Example:
        >>> import cspkeras
        >>> from cspkeras.analysis import peak_memory
        >>> peak_memory(cspkeras.YOLOv4Tiny())
        Peak(elements=2768896, layer='stage2_fuse')
    """
    steps = calls(model)
    if order is not None:
        if Counter(order) != Counter(call.operation for call in steps):
            raise ValueError(f"order must hold each of the {len(steps)} operations of {model.name} once")
        calls_of = {operation: _calls_of(operation, steps) for operation in order}
        steps = [next(calls_of[operation]) for operation in order]
    until = {x: step for step, call in enumerate(steps) for x in call.input_tensors}
    until |= dict.fromkeys(model.outputs, len(steps))
    held, peak = {}, Peak(0, "")
    for step, call in enumerate(steps):
        kind, read = row_of(call.operation, KINDS, FREE), call.input_tensors
        if missing := [operation_of(x).name for x in read if x not in held]:
            raise ValueError(f"order has {call.operation.name} before {missing[0]}, which it reads")
        for x in call.output_tensors:
            held[x] = held[read[0]] if kind.padding else math.prod(x.shape[1:])
        now = sum(held.values())
        if kind.in_place and until[read[0]] == step:
            now -= held[read[0]]
        if now > peak.elements:
            peak = Peak(now, call.operation.name)
        held = {x: size for x, size in held.items() if until.get(x, step) > step}
    return peak


def _calls_of(operation, steps):
    return (call for call in steps if call.operation is operation)
