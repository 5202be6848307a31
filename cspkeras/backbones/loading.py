"""Weights into a backbone: each kind of file to its reader."""

import os
import re

from ..weights.darknet_file import WeightedLayer, load_weights_file
from .graph import darknet_order

WEIGHT_FILES = "a .keras, .weights.h5 or Darknet .weights file"


def is_darknet(weights):
    """Whether weights are a Darknet file, by its name."""
    return re.search(r"\.weights$|\.conv\.\d+$", str(weights)) is not None


def check_weights(weights):
    """Raise an error where weights are neither a Darknet nor a Keras file that is there."""
    if not is_darknet(weights) and not str(weights).endswith((".keras", ".weights.h5")):
        raise ValueError(f"weights must be None or {WEIGHT_FILES}. Received: weights={weights!r}")
    if not os.path.isfile(weights):
        raise FileNotFoundError(f"{weights}: missing; expected {WEIGHT_FILES}")


def load_weights(model, weights, *, include_top=True):
    """Load a weights file into a backbone; without the top, a Darknet file with one serves as well."""
    check_weights(weights)
    if is_darknet(weights):
        load_weights_file(weights, weighted_layers(model, darknet_order(model)), whole=include_top)
    else:
        load_keras_file(weights, model)


def load_keras_file(path, model, **options):
    """`model.load_weights` with an error of one line."""
    try:
        model.load_weights(path, **options)
    except Exception as e:  # Keras raises what the zip and HDF5 readers below it happen to raise
        reason = (str(e) or type(e).__name__).splitlines()[0]
        raise ValueError(f"{path}: holds no weights for this {model.name} ({reason})") from e


def weighted_layers(model, order):
    """The layers of `order`, each with the batch-norm behind it, as a .weights file holds them."""
    norms = {layer.name: layer for layer in model.layers}
    return [
        WeightedLayer(i, f"{model.name}'s layer {layer.name!r}", layer, norms.get(f"{layer.name}_bn"))
        for i, layer in enumerate(order)
    ]
