"""Load the weights of timm (pytorch-image-models) from safetensors files into networks of its layout."""

import math
import os
import re

import numpy as np
from keras import layers

from ..limits import CLASSES
from .impostors import check_is_weights

HEAD = "head.fc"
KERNELS = {  # by a layer's kind: the axes that transpose PyTorch's kernel for it
    layers.Conv2D: (2, 3, 1, 0),
    layers.DepthwiseConv2D: (2, 3, 0, 1),
    layers.Dense: (1, 0),
}
COUNTER = ".num_batches_tracked"  # of a batch-norm's training steps, which Keras does not have


def classifier_shape(path):
    """Return (classes, channels) of the classifier in a safetensors file of timm's, which holds that many floats."""
    with _open(path) as file:
        shape = _shapes(file).get(f"{HEAD}.weight")
    if len(shape or ()) != 2 or 0 in shape:
        raise ValueError(f"{path}: {HEAD}.weight: expected (classes, channels), found {_shown(shape)}")
    CLASSES.check(shape[0], path)
    return shape


def load_timm_file(path, model, modules, *, whole=True):
    """Load a safetensors file of timm's into a backbone in its layout; no layer is touched unless all of the file fits.

    `modules` are the family's names of its layers, see `timm_tensors`. Unless `whole`, the file's classifier is
    ignored. A ValueError names the tensor that doesn't fit.
    """
    expected = timm_tensors(model, modules)
    with _open(path) as file:
        found = {name: shape for name, shape in _shapes(file).items() if whole or not name.startswith(f"{HEAD}.")}
        assign(path, model.name, expected, found, file.get_tensor)


def assign(path, model, expected, shapes, read):
    """Assign a file's tensors to the variables of a model, if all of them fit; a ValueError names the one that doesn't.

    Args:
        path: the file, for errors.
        model: the model's name, for errors.
        expected: what `timm_tensors` returns.
        shapes: {tensor: its shape} of all that the file holds.
        read: function of a tensor's name to its array.
    """
    for name, parts in expected.items():
        one, *more = (
            tuple(variable.shape[axes.index(axis)] for axis in range(len(axes))) for _, variable, axes in parts
        )
        shape = (one[0] + sum(other[0] for other in more), *one[1:])
        if shapes.get(name) != shape:
            names = " and ".join(repr(layer) for layer, *_ in parts)
            other = next((one for one in shapes if one.endswith(f".{name}")), None) if name not in shapes else None
            hint = f", but {other}: leave the prefix {other.removesuffix(name)!r} out of the names" if other else ""
            raise ValueError(
                f"{path}: {name} of layer {names}: expected {_shown(shape)}, found {_shown(shapes.get(name))}{hint}"
            )
    if extra := [name for name in shapes if name not in expected]:
        raise ValueError(f"{path}: {extra[0]}: expected no such tensor in {model}, found {_shown(shapes[extra[0]])}")
    values = {name: read(name) for name in expected}
    for name, parts in expected.items():
        for value, (_, variable, axes) in zip(np.split(values[name], len(parts)), parts, strict=True):
            variable.assign(np.transpose(value, axes).astype("float32"))


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
    """Return {tensor: its shape}."""
    names = [name for name in file.keys() if not name.endswith(COUNTER)]  # noqa: SIM118
    return {name: tuple(file.get_slice(name).get_shape()) for name in names}


def _shown(shape):
    return "none" if shape is None else f"shape {shape} of {math.prod(shape):,} floats"


def timm_tensors(model, modules):
    """Return {tensor: its parts, each a layer's name, a variable and the axes that transpose the part for it}.

    `modules` has timm's modules by patterns of the layers' names; a module's "{}" stand for the pattern's groups, of
    which numbers count from 0 there. Where a module ends in "[0]" or "[1]", the layer is that one of its equal parts,
    in the order of the output channels.
    """
    found = {}
    for layer in model.layers:
        if variables := _variables(layer):
            module, part = _module(layer.name.removesuffix("_bn"), modules)
            for name, (variable, axes) in variables.items():
                found.setdefault(f"{module}.{name}", {})[part] = (layer.name, variable, axes)
    return {tensor: [parts[part] for part in sorted(parts)] for tensor, parts in found.items()}


def _variables(layer):
    """Return {timm's name: (variable, the axes that transpose the tensor for it)} of a layer."""
    if isinstance(layer, layers.BatchNormalization):
        norm = dict(weight=layer.gamma, bias=layer.beta, running_mean=layer.moving_mean)
        norm["running_var"] = layer.moving_variance
        return {f"bn.{name}": (variable, (0,)) for name, variable in norm.items()}
    axes = next((axes for kind, axes in KERNELS.items() if isinstance(layer, kind)), None)
    if axes is None:
        return {}
    if layer.use_bias:
        return {"weight": (layer.kernel, axes), "bias": (layer.bias, (0,))}
    return {"conv.weight": (layer.kernel, axes)}


def _module(name, modules):
    """Return timm's module of a layer, and which part of it the layer is."""
    if name == "predictions":
        return HEAD, 0
    for pattern, module in modules.items():
        if found := re.fullmatch(pattern, name):
            numbers = [int(text) - 1 if text.isdigit() else text for text in found.groups()]
            module, _, part = module.format(*numbers).partition("[")
            return module, int(part.rstrip("]") or 0)
    raise ValueError(f"{name}: no module of timm's is known for this layer")
