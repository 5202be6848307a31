"""Read a network's graph: the pyramid of a backbone, and the order of the convolutions in a cfg."""

import re

import keras
from keras import layers

from ..graph import inputs_of, operation_of, sources


def pyramid(model: keras.Model) -> dict[str, keras.KerasTensor]:
    """Return the feature maps of a backbone.

    Pk has stride 2**k: it is the last output of a stage before the resolution halves. Layers are found by their names,
    `stage1_...` and so on; the last stage is P5, of more than five stages the one with its number.

    Args:
        model: a backbone of this library.

    Returns:
        The levels, finest first: {"P2": KerasTensor, ..., "P5": KerasTensor}.

    Raises:
        ValueError: for a model without such layers.

    Example:
        >>> import cspkeras
        >>> backbone = cspkeras.CSPPeleeNet(include_top=False, input_shape=(64, 64, 3))
        >>> {level: x.shape for level, x in cspkeras.pyramid(backbone).items() if level > "P3"}
        {'P4': (None, 4, 4, 512), 'P5': (None, 2, 2, 640)}
    """
    stages = {layer: int(stage[1]) for layer in model.layers if (stage := re.match(r"stage(\d+)_", layer.name))}
    if not stages:
        raise ValueError(
            "pyramid needs a backbone whose layers are called stage1_..., as all of this library's are. "
            f"Received: {model.name} with layers {[layer.name for layer in model.layers[:3]]}..."
        )
    last = {stages[layer]: layer.output for layer in sorted(stages, key=_distances(model).get)}
    coarsest = max(5, *last)
    return {f"P{coarsest - max(last) + stage}": last[stage] for stage in sorted(last)}


def darknet_order(model, backbone=None, *, heads_last=False):
    """Return a network's convolutions and dense layers in its cfg's order, which is that of a .weights file.

    The builders create them in this order, but Keras doesn't keep it: `model.layers` is sorted by the distance from the
    output. The graph still has it, of loaded and cloned models too. The layers that a layer needs come before it. Where
    branches join in a backbone, the branch with the fewest layers comes first: part 1 of a stage before part 2, full
    resolution before the half. A neck and heads come after their `backbone`, a model of the same layers: head by head,
    that with the fewest layers first; with `heads_last` the whole neck comes before them. Where branches join in the
    neck, the one with the most layers comes first, since a cfg continues with the map that it has just made; but not in
    its cross stages. A convolution's batch-norm is the layer after it, called `{name}_bn`.
    """
    distance, ordered = _distances(model), {}
    ends = [(backbone or model).outputs, *([] if backbone is None else [_neck(model) * heads_last, model.outputs])]
    for number, outputs in enumerate(ends):
        pending = sorted(map(operation_of, outputs), key=distance.get, reverse=True)
        while pending:
            operation = pending[-1]
            if missing := [source for source in sources(operation) if source not in ordered]:
                fewest = number == 0 or operation.name.endswith("_fuse")
                pending.append((min if fewest else max)(missing, key=distance.get))
            else:
                ordered[pending.pop()] = None
    return [layer for layer in ordered if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense))]


def _neck(detector):
    """Return the neck's maps, which the heads take."""
    heads = [operation for operation in detector.operations if operation.name.startswith("head_")]
    return [x for head in heads for x in inputs_of(head) if not operation_of(x).name.startswith("head_")]


def _distances(model):
    """Return {operation: the number of operations on the longest path to it from an input}."""
    distance = {}
    for operation in model.operations:  # sources first
        distance[operation] = 1 + max((distance[source] for source in sources(operation)), default=0)
    return distance
