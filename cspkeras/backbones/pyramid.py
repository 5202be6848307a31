"""What can be read off a network's graph: a backbone's pyramid, and the order of the convolutions in a cfg."""

import re

import keras
from keras import layers


def pyramid(model):
    """The feature maps of a backbone, finest first: {"P2": KerasTensor, ..., "P5": KerasTensor}.

    Pk has stride 2**k: it is the last output of a stage before the resolution halves. Layers are found by their names,
    `stage1_...` and so on; the last stage is P5.

    Args:
        model: a backbone of this library.

    Raises:
        ValueError: for a model without such layers.
    """
    stages = {layer: int(stage[1]) for layer in model.layers if (stage := re.match(r"stage(\d+)_", layer.name))}
    if not stages:
        raise ValueError(
            "pyramid needs a backbone whose layers are called stage1_..., as all of this library's are. "
            f"Received: {model.name} with layers {[layer.name for layer in model.layers[:3]]}..."
        )
    last = {stages[layer]: layer.output for layer in sorted(stages, key=_distances(model).get)}
    return {f"P{5 - max(last) + stage}": last[stage] for stage in sorted(last)}


def darknet_order(model, backbone=None):
    """The convolutions and dense layers of a network in its cfg's order, which is that of a .weights file.

    The builders create them in this order, but Keras doesn't keep it: `model.layers` goes by the distance from the
    output. The graph has it still. What a layer needs comes before it and, where branches join, in a backbone the one
    with the fewest layers first: part 1 of a stage before part 2, full resolution before the half. A neck and heads
    come behind their backbone: head by head, that with the fewest layers first, and where branches join in the neck the
    one with the most layers first, since a cfg goes on with the map that it has just made.

    Args:
        model: a functional model, loaded and cloned ones too.
        backbone: of a detector its backbone, a model of the same layers.

    Returns:
        List of layers. A convolution's batch-norm is the layer behind it, called `{name}_bn`.
    """
    distance, ordered = _distances(model), {}
    parts = [(model if backbone is None else backbone, min)]
    if backbone is not None:
        parts.append((model, max))
    for part, first in parts:
        outputs = [x._keras_history.operation for x in part.outputs]
        pending = sorted(outputs, key=distance.get, reverse=True)
        while pending:
            missing = [source for source in _sources(pending[-1]) if source not in ordered]
            if missing:
                pending.append(first(missing, key=distance.get))
            else:
                ordered[pending.pop()] = None
    return [layer for layer in ordered if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense))]


def _distances(model):
    """{operation: the number of operations on the longest way to it from an input}."""
    distance = {}
    for operation in model.operations:  # sources first
        distance[operation] = 1 + max((distance[source] for source in _sources(operation)), default=0)
    return distance


def _sources(operation):
    """The operations that give an operation's inputs."""
    if isinstance(operation, layers.InputLayer):
        return []
    return [x._keras_history.operation for x in keras.tree.flatten(operation.input)]
