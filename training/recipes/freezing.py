"""Freeze a network's first stages."""

import re
from contextlib import contextmanager


@contextmanager
def frozen(model, stages):
    """Leave a model's stem and first stages untrained within this block; their norms use the statistics they have.

    The layers' names tell their stages; `stages` 0 freezes none. Compile the model within the block.
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
