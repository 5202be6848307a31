"""Build a Keras model from a Darknet cfg of this family, with its published weights."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import keras
from keras import layers

from .cfg import read_cfg
from .file import load_weights_file
from .graph import Graph, check_map
from .sections import BUILDERS


def from_darknet(
    cfg: os.PathLike[str] | str,
    weights: os.PathLike[str] | str | None = None,
    classifier_activation: str | Callable | None = "softmax",
) -> keras.Model:
    """Build the network of a Darknet cfg and load its weights.

    Args:
        cfg: the .cfg file; its [net] gives the input's size.
        weights: None, a .weights file, or one called `NAME.conv.K`, which holds only the first K layers.
        classifier_activation: what takes the place of a classifier's [softmax]: "softmax", another activation of
            Keras, or None for logits.

    Returns:
        A functional `keras.Model` of RGB images (N, height, width, 3) in 0..1. A classifier's output is (N, classes),
        a detector's the list (of one: the map itself) of raw maps (N, H, W, anchors * (5 + classes)) that its [yolo]
        and [region] layers read, in the cfg's order, and that of any other network its last layer's map. The layers of
        section k, from 0, are called `layer{k}_conv`, `layer{k}_bn`, `layer{k}_act` and so on.

        A prediction's channels are x, y, w, h, objectness, classes. Of a [yolo] and a [region] the logistic of x and y
        is the centre in its cell, exp of w and h the size in anchors (a [region]'s anchors are in cells), the logistic
        of the rest the scores; but a [region] with softmax=1 scores the classes by their softmax. With new_coords=1 the
        cfg itself ends in a logistic activation, by which all channels are already in 0..1.

    Raises:
        OSError: if a file can't be read.
        ValueError: for a faulty cfg, naming line, section and value, and for weights that don't fit, naming the layer
            and its number of floats.

    Example:
        >>> import cspkeras
        >>> model = cspkeras.from_darknet("yolov4.cfg", "yolov4.weights")  # doctest: +SKIP
    """
    net, *sections = read_cfg(cfg)
    shape = net.integer("height"), net.integer("width"), net.integer("channels", 3)
    check_map(net, shape)
    graph = Graph(layers.Input(shape, name="image"), classifier_activation)
    for section in sections:
        graph.add(section, BUILDERS)
    try:
        model = keras.Model(graph.image, graph.result(), name=re.sub(r"\W", "_", Path(cfg).stem, flags=re.ASCII))
    except RecursionError as e:  # Keras goes from the output to the image, a call within the other for each layer
        raise ValueError(f"{cfg}: {len(sections):,} layers are too deep a network for Keras") from e
    if weights is not None:
        held = len(sections)
        if first := re.search(r"\.conv\.(\d{1,9})$", Path(weights).name, re.ASCII):
            held = int(first[1])
        if held > len(sections):
            raise ValueError(f"{weights}: by its name it holds {held} layers. {cfg} has {len(sections)}")
        load_weights_file(weights, [layer for layer in graph.weighted if layer.index < held])
    return model
