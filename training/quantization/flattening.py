"""A functional Keras 3 model as one graph of plain layers: what `aware` works on."""

import re
from collections import Counter

import keras
import numpy as np

from ...graph import copied, functional_graph, is_shared, rebuilt_graph, run_graph, with_weights
from ...precision import PLAIN, plain, policy
from .kinds import KINDS, kind_of


@policy(PLAIN)
def flattened(model):
    """Return the same computation without models inside the model, shared layers, and layers made of others.

    Layers that do something in training alone (dropout, noise, random images) are left out, a separable convolution
    becomes its two, `Normalization` a `Rescaling`, `UpSampling2D` an `Upsample`, mixed precision float32, an activation
    inside of a convolution or dense layer a layer of its own, `{name}_activation`, and a layer of the user's without
    weights of its own what it calls. A layer that is called twice becomes two of equal weights, which further training
    may tell apart.

    Args:
        model: a functional or sequential `keras.Model`.

    Returns:
        `model` itself where there is nothing to change; otherwise a functional one with weights of its own. Layers keep
        their names, but where several have one: then it is "{model inside}_{layer}", and a number at the end.

    Raises:
        ValueError: for a model that is not functional, alone or inside another one, naming it.
    """
    _graph(model)  # here, since a model of another kind has no configuration either
    model = plain(model)
    graph = _graph(model)
    name = plain_name(model.name)
    if graph is model and name == model.name and not any(map(_changes, model.operations)):
        return model
    return rebuilt_graph(graph, _maker(Counter(x.name for x in graph.inputs)), name)


def plain_name(name):
    """Return a name in letters that TensorFlow takes, which are those of ASCII."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    return name if name[0].isalnum() else f"layer{name}"


def _graph(model):
    """The functional model that a model is or holds."""
    if (graph := functional_graph(model)) is None:
        raise ValueError(
            f"only functional models can be quantized layer by layer. Received: {type(model).__name__} {model.name!r}; "
            "build it as keras.Model(inputs, outputs), and call it inside others on their tensors"
        )
    return graph


def _changes(operation):
    kind = kind_of(operation)
    changes = isinstance(operation, keras.Model) or kind.training_only or kind.rewrite or is_shared(operation)
    changes = changes or plain_name(operation.name) != operation.name
    return changes or _activates_inside(operation) or _is_made_of_others(operation)


def _activates_inside(operation):
    """Whether a layer ends in an activation that is to be a layer of its own."""
    if type(operation) not in KINDS or not any(weight.name.endswith("kernel") for weight in operation.weights):
        return False  # a recurrent layer's activation, or a user's, is not the end of it
    return getattr(getattr(operation, "activation", None), "__name__", "linear") != "linear"


def _is_made_of_others(operation):
    """Whether a layer is none of Keras' or ours, and has no weights but those of layers that it holds."""
    known = type(operation) in KINDS or type(operation).__module__.startswith("keras.src.layers")
    if known or not isinstance(operation, keras.Layer):
        return type(operation) is keras.layers.MultiHeadAttention
    held = {id(v) for layer in operation._layers for v in layer.variables}
    return held.issuperset(map(id, operation.variables))


def _inside(operation):
    """The graph of what a layer calls; None where it can't be seen, as it depends on the values or on the batch."""
    try:
        (node,) = operation._inbound_nodes
        options = node.arguments.kwargs
        if any(isinstance(x, keras.KerasTensor) for x in keras.tree.flatten(options)):
            return None
        inputs = keras.tree.map_structure(
            lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype), node.arguments.args
        )
        made = keras.Model(keras.tree.flatten(inputs), operation.call(*inputs, **options), name=operation.name)
        return made if _computes_the_same(made, operation, node.arguments.args, options) else None
    except Exception:  # whatever a user's layer raises on tensors without values
        return None


def _computes_the_same(made, operation, arguments, options):
    """Whether a graph gives a layer's answers on an input of noise."""
    rng = np.random.default_rng(0)

    def noise(x):
        shape = [side or 1 for side in x.shape]
        values = rng.normal(size=shape) if "float" in x.dtype else rng.integers(0, 2, shape)
        return keras.ops.convert_to_tensor(values, x.dtype)

    inputs = keras.tree.map_structure(noise, arguments)
    wanted = keras.tree.flatten(operation(*inputs, **options))
    found = keras.tree.flatten(made(keras.tree.flatten(inputs)))
    pairs = [tuple(map(keras.ops.convert_to_numpy, pair)) for pair in zip(wanted, found, strict=True)]
    return all(a.shape == b.shape and np.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in pairs)


def _maker(taken, prefix=""):
    """A function for `run_graph` that makes a new layer for each call; `taken` counts the names that are used."""

    def renamed(name):
        name = plain_name(name)
        name = name if name not in taken else f"{prefix}{name}"
        taken[name] += 1
        if taken[name] > 1:
            name = f"{name}_{taken[name]}"
            taken[name] += 1
        return name

    def make(operation):
        kind = kind_of(operation)
        if kind.training_only:
            return lambda x, **_: x
        if isinstance(operation, keras.Model):
            inside = _graph(operation)
            return lambda *args, **_: run_graph(inside, args, _maker(taken, f"{operation.name}_"))
        if _is_made_of_others(operation) and (inside := _inside(operation)):
            return lambda *args, **_: run_graph(inside, args, _maker(taken, f"{operation.name}_"))
        name = renamed(operation.name)
        if not _activates_inside(operation):
            return kind.rewrite(operation, name) if kind.rewrite else with_weights(*copied(operation, name))
        if kind.rewrite:
            linear = kind.rewrite(operation, name)
        else:
            linear = with_weights(*copied(operation, name, activation="linear"))
        activation = keras.layers.Activation(operation.activation, name=renamed(f"{operation.name}_activation"))
        return lambda *args, **kwargs: activation(linear(*args, **kwargs))

    return make
