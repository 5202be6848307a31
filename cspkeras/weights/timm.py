"""Load the weights of timm (pytorch-image-models) from safetensors files into its layout of the networks."""

import math
import os
import re

import numpy as np
from keras import layers

from .impostors import check_is_weights

HEAD = "head.fc"
PARTS = {
    "downsample": "conv_down",
    "expand": "conv_exp",
    "part2_transition": "conv_transition_b",
    "transition": "conv_transition",
}


def classifier_shape(path):
    """Return (classes, channels) of the classifier in a safetensors file of timm's."""
    with _open(path) as file:
        shape = _shapes(file).get(f"{HEAD}.weight")
    if not shape:
        raise ValueError(f"{path}: holds no tensor {HEAD}.weight, expected the classifier's (classes, channels)")
    return shape


def load_timm_file(path, model, *, whole=True):
    """Load a safetensors file of timm's into a backbone in its layout; no layer is touched unless all of the file fits.

    Unless `whole`, the file's classifier is ignored. A ValueError names the tensor that doesn't fit.
    """
    expected = timm_tensors(model)
    with _open(path) as file:
        shapes = _shapes(file)
        for name, (layer, variable, axes) in expected.items():
            shape = tuple(variable.shape[axes.index(axis)] for axis in range(len(axes)))
            if shapes.get(name) != shape:
                raise ValueError(
                    f"{path}: {name} of layer {layer!r}: expected {_shown(shape)}, found {_shown(shapes.get(name))}"
                )
        extra = [name for name in shapes if name not in expected and (whole or not name.startswith(f"{HEAD}."))]
        if extra:
            raise ValueError(
                f"{path}: {extra[0]}: expected no such tensor in {model.name}, found {_shown(shapes[extra[0]])}"
            )
        values = {name: file.get_tensor(name) for name in expected}
    for name, (_, variable, axes) in expected.items():
        variable.assign(np.transpose(values[name], axes).astype("float32"))


def _open(path):
    try:
        import safetensors
    except ImportError as e:
        raise ImportError("reading .safetensors files needs safetensors: pip install 'cspkeras[timm]'") from e
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: missing; expected timm's .safetensors file")
    check_is_weights(path)
    try:
        return safetensors.safe_open(path, framework="numpy")
    except safetensors.SafetensorError as e:
        raise ValueError(f"{path}: not a safetensors file, or not a whole one ({e})") from e


def _shapes(file):
    """Return {tensor: its shape}, without batch-norm's count of training steps, which Keras does not have."""
    names = [name for name in file.keys() if not name.endswith(".num_batches_tracked")]  # noqa: SIM118
    return {name: tuple(file.get_slice(name).get_shape()) for name in names}


def _shown(shape):
    return "none" if shape is None else f"shape {shape} of {math.prod(shape):,} floats"


def timm_tensors(model):
    """Return {tensor: (layer's name, variable, the axes that transpose the tensor for it)}."""
    expected = {}
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            variables = {"conv.weight": (layer.kernel, (2, 3, 1, 0))}
        elif isinstance(layer, layers.Dense):
            variables = {"weight": (layer.kernel, (1, 0)), "bias": (layer.bias, (0,))}
        elif isinstance(layer, layers.BatchNormalization):
            norm = dict(weight=layer.gamma, bias=layer.beta, running_mean=layer.moving_mean)
            norm["running_var"] = layer.moving_variance
            variables = {f"bn.{name}": (variable, (0,)) for name, variable in norm.items()}
        else:
            continue
        prefix = _timm_name(layer.name.removesuffix("_bn"))
        expected |= {f"{prefix}.{name}": (layer.name, *entry) for name, entry in variables.items()}
    return expected


def _timm_name(name):
    """Return timm's name of a layer: stages.0.blocks.1.conv2 for stage1_block2_conv2."""
    if name in ("stem_conv", "predictions"):
        return {"stem_conv": "stem.conv1", "predictions": HEAD}[name]
    stage, block, part = re.fullmatch(r"stage(\d+)_(?:block(\d+)_)?(\w+)", name).groups()
    block = f"blocks.{int(block) - 1}." if block else ""
    return f"stages.{int(stage) - 1}.{block}{PARTS.get(part, part)}"
