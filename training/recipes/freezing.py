"""Stages that are not trained."""

import re
from contextlib import contextmanager


@contextmanager
def frozen(model, stages):
    """The stem and the stages up to `stages` of a Keras 3 model, by their layers' names, are not trained in this block.

    Their batch-norms use the statistics they have.

    Args:
        model: the model; it must be compiled within the block.
        stages: 0 for none.

    Raises:
        ValueError: where no layer has such a name.
    """
    which = re.compile(rf"(stem|(stage|transition)({'|'.join(map(str, range(1, stages + 1)))}))(_|$)")
    layers = [layer for layer in model.layers if stages and which.match(layer.name)]
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
