"""Freeze a network's first stages."""

import re
from contextlib import contextmanager


@contextmanager
def frozen(model, stages):
    """Leave a model's stem and first stages untrained within this block; their norms use the statistics they have.

    Args:
        model: a Keras 3 model, its layers named by their stages. It must be compiled within the block.
        stages: how many stages; 0 leaves all layers as they are.

    Raises:
        ValueError: for a model without such a stage.
    """
    names = re.compile(rf"(stem|(stage|transition)({'|'.join(map(str, range(1, stages + 1)))}))(_|$)")
    layers = [layer for layer in model.layers if stages and names.match(layer.name)]
    if stages and not any(layer.name.startswith(f"stage{stages}") for layer in layers):
        raise ValueError(f"freeze must be a stage of {model.name}. Received: freeze={stages}")
    before = [layer.trainable for layer in layers]
    for layer in layers:
        layer.trainable = False
    try:
        yield
    finally:
        for layer, trainable in zip(layers, before, strict=True):
            layer.trainable = trainable
