"""What can be read off a backbone's graph: its pyramid, and the order of its convolutions in a cfg."""

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


def darknet_order(model):
    """The convolutions and dense layers of a backbone in its cfg's order, which is that of a .weights file.

    The builders create them in this order, but Keras doesn't keep it: `model.layers` goes by the distance from the
    output. The graph has it still. What a layer needs comes before it and, where branches join, the one with the
    fewest layers first: part 1 of a stage before part 2, full resolution before the half.

    Args:
        model: a functional model, loaded and cloned ones too.

    Returns:
        List of layers. A convolution's batch-norm is the layer behind it, called `{name}_bn`.
    """
    distance, ordered = _distances(model), {}
    pending = [x._keras_history.operation for x in reversed(model.outputs)]
    while pending:
        missing = [source for source in _sources(pending[-1]) if source not in ordered]
        if missing:
            pending.append(min(missing, key=distance.get))
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
