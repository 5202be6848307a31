"""Load weights into a backbone; the file's suffix selects the reader."""

import os
import re
import warnings
from functools import partial

import keras

from ..weights.darknet.file import WeightedLayer, load_weights_file
from ..weights.hub import fetch
from ..weights.timm import load_timm_file
from .pyramid import darknet_order

WEIGHT_FILES = "a .keras, .weights.h5 or Darknet .weights file"
TIMM_WEIGHTS = 'timm\'s: "imagenet", "imagenet@REVISION" or a .safetensors file'
WEIGHTS = f"{WEIGHT_FILES}, for networks with a `layout` argument also {TIMM_WEIGHTS}"


def is_darknet(weights):
    """Return whether weights are a Darknet file, by its name."""
    return re.search(r"\.weights$|\.conv\.\d+$", str(weights)) is not None


def is_keras(weights):
    """Return whether weights are a Keras file, by its name."""
    return str(weights).endswith((".keras", ".weights.h5"))


def is_timm(weights):
    """Return whether weights are timm's: a file by its name, or the published ones."""
    return str(weights).endswith(".safetensors") or _published(weights) is not None


def load_weights(model, weights, *, include_top=True, skip_mismatch=False, timm=None, modules=None):
    """Load weights into a backbone from a path, or for timm's layout from "imagenet" or "imagenet@REVISION".

    With `skip_mismatch` the file may have another classifier than a model that `include_top` says ends in one; the
    model's own stays as it is then. `timm` is the Hub's repository of timm's published weights, None for the Darknet
    layout; `modules` are timm's names of the layers. An OSError says that a file can't be fetched or read, a ValueError
    where it doesn't fit.
    """
    if timm and (published := _published(weights)):
        if "." not in timm:  # timm's names of weights are NAME.TAG
            raise ValueError(f"weights={weights!r}: {timm} has none that are published; give the path of a file")
        weights = fetch(timm, revision=published[1])
    if timm and is_timm(weights):
        read = partial(load_timm_file, modules=modules)
    elif not timm and is_darknet(weights):
        read = _load_darknet
    else:
        read = _load_keras if is_keras(weights) else None
    check_weights(weights, read, WEIGHTS)
    try:
        read(weights, model, whole=include_top)
    except ValueError:
        if not (skip_mismatch and include_top):
            raise
        # The layers are shared. All of them but the classifier must fit.
        body = keras.Model(model.inputs, model.get_layer("predictions").input, name=model.name)
        read(weights, body, whole=False)


def _published(weights):
    return re.fullmatch(r"imagenet(?:@(.+))?", str(weights))


def _load_keras(path, model, *, whole):
    load_keras_file(path, model)


def _load_darknet(path, model, *, whole):
    load_weights_file(path, weighted_layers(model, darknet_order(model)), whole=whole)


def check_weights(weights, known, kinds=WEIGHT_FILES):
    """Raise an error unless weights are `known` as one of `kinds` and the file exists."""
    if not known:
        raise ValueError(f"weights must be None or {kinds}. Received: weights={weights!r}")
    if not os.path.isfile(weights):
        raise FileNotFoundError(f"{weights}: missing; expected {kinds}")


def load_keras_file(path, model, **options):
    """Load weights by `model.load_weights`, with errors of one line."""
    with warnings.catch_warnings():
        # If a file doesn't fit, Keras warns once for each of the model's own lists of layers, which hold nothing.
        warnings.filterwarnings("ignore", "Skipping nested container")
        try:
            model.load_weights(path, **options)
        except Exception as e:  # Keras raises whatever its zip and HDF5 readers raise
            reason = " ".join(str(e).partition(" Target variable:")[0].split()) or type(e).__name__
            raise ValueError(f"{path}: holds no weights for this {model.name} ({reason})") from e


def weighted_layers(model, order):
    """Return the layers of `order`, each with the batch-norm after it, as a .weights file holds them."""
    norms = {layer.name: layer for layer in model.layers}
    return [
        WeightedLayer(i, f"{model.name}'s layer {layer.name!r}", layer, norms.get(f"{layer.name}_bn"))
        for i, layer in enumerate(order)
    ]
