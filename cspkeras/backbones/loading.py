"""Load weights into a backbone; the file's suffix selects the reader."""

import os
import re
import warnings
from functools import partial

import keras

from ..weights.darknet.file import WeightedLayer, load_weights_file
from ..weights.impostors import check_is_weights
from ..weights.keras_file import check_weights_file
from ..weights.timm import load_timm_file
from ..weights.torch_file import is_torch
from .pyramid import darknet_order

WEIGHT_FILES = "a .keras, .weights.h5 or Darknet .weights file"
TIMM_WEIGHTS = "a .keras or .weights.h5 file or timm's .safetensors file"  # of networks in timm's layout
WEIGHTS = f"{WEIGHT_FILES}, for networks with a `layout` argument also timm's .safetensors file"


def is_darknet(weights):
    """Return whether weights are a Darknet file, by its name."""
    return re.search(r"\.weights$|\.conv\.\d+$", str(weights)) is not None


def is_keras(weights):
    """Return whether weights are a Keras file, by its name."""
    return str(weights).endswith((".keras", ".weights.h5"))


def is_timm(weights):
    """Return whether weights are a file of timm's, by its name."""
    return str(weights).endswith(".safetensors")


LAYOUTS = {"timm": is_timm, "torch": is_torch}  # those beside "darknet", with the function that knows their weights


def checked_layout(layout, weights, other):
    """Return the layout of a network that has two, "darknet" and `other`.

    None is inferred from the weights, "darknet" if they do not say; a layout that contradicts them is an error.
    """
    needed = other if LAYOUTS[other](weights) else "darknet" if is_darknet(weights) else None
    if layout not in (None, *((needed,) if needed else ("darknet", other))):
        accepted = f"{needed!r} or None for these weights" if needed else f"'darknet', {other!r} or None"
        raise ValueError(f"layout must be {accepted}. Received: layout={layout!r}, weights={weights!r}")
    return layout or needed or "darknet"


def load_weights(model, weights, *, include_top=True, skip_mismatch=False, modules=None, torch=None):
    """Load weights into a backbone from a path.

    With `skip_mismatch` the file may have another classifier than a model that `include_top` says ends in one; the
    model's own stays as it is then. `modules` are timm's names of the layers, None for the Darknet layout; `torch`
    reads the network's checkpoints of PyTorch's, a function as `weights.peleenet.load_peleenet`, None if there are
    none. An OSError says that a file can't be read, a ValueError where it doesn't fit.
    """
    if modules and is_timm(weights):
        read = partial(load_timm_file, modules=modules)
    elif torch and is_torch(weights):
        read = torch
    elif not modules and is_darknet(weights):
        read = _load_darknet
    else:
        read = _load_keras if is_keras(weights) else None
    check_weights(weights, read, TIMM_WEIGHTS if modules else WEIGHTS)
    try:
        read(weights, model, whole=include_top)
    except ValueError:
        if not (skip_mismatch and include_top):
            raise
        # The layers are shared. All of them but the classifier must fit.
        body = keras.Model(model.inputs, model.get_layer("predictions").input, name=model.name)
        read(weights, body, whole=False)


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
    check_is_weights(path)
    with warnings.catch_warnings():
        # If a file doesn't fit, Keras warns once for each of the model's own lists of layers, which hold nothing.
        warnings.filterwarnings("ignore", "Skipping nested container")
        try:
            check_weights_file(path)
            model.load_weights(path, **options)
        except Exception as e:  # Keras raises whatever its zip and HDF5 readers raise
            if str(e).startswith(f"{path}: "):
                raise
            reason = " ".join(str(e).partition(" Target variable:")[0].split()) or type(e).__name__
            raise ValueError(f"{path}: holds no weights for this {model.name} ({reason})") from e


def weighted_layers(model, order):
    """Return the layers of `order`, each with the batch-norm after it, as a .weights file holds them."""
    norms = {layer.name: layer for layer in model.layers}
    return [
        WeightedLayer(i, f"{model.name}'s layer {layer.name!r}", layer, norms.get(f"{layer.name}_bn"))
        for i, layer in enumerate(order)
    ]
