"""A user's functional model as the flat graph of plain layers that `aware` and `translation` work on."""

from collections import Counter

import keras

from ...graph import copied, functional_graph, is_shared, rebuilt_graph, run_graph, with_weights
from ...precision import plain
from .kinds import kind_of


def flattened(model):
    """Return the same computation without models inside the model, shared layers, and layers made of others.

    Layers that do something in training alone (dropout, noise, random images) are left out, a separable convolution
    becomes its two, `Normalization` a `Rescaling`, `UpSampling2D` an `Upsample`, mixed precision float32. A layer that
    is called twice becomes two of equal weights, which further training may tell apart.

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
    if graph is model and not any(map(_changes, model.operations)):
        return model
    return rebuilt_graph(graph, _maker(Counter(x.name for x in graph.inputs)), model.name)


def _graph(model):
    """The functional model that a model is or holds."""
    if (graph := functional_graph(model)) is None:
        raise ValueError(
            f"only functional models can be quantized. Received: {type(model).__name__} {model.name!r}; build it as "
            "keras.Model(inputs, outputs), and call it inside others on their tensors"
        )
    return graph


def _changes(operation):
    kind = kind_of(operation)
    return isinstance(operation, keras.Model) or kind.training_only or kind.rewrite or is_shared(operation)


def _maker(taken, prefix=""):
    """A function for `run_graph` that makes a new layer for each call; `taken` counts the names that are used."""

    def make(operation):
        kind = kind_of(operation)
        if kind.training_only:
            return lambda x, **_: x
        if isinstance(operation, keras.Model):
            inside = _graph(operation)
            return lambda *args, **_: run_graph(inside, args, _maker(taken, f"{operation.name}_"))
        name = operation.name if operation.name not in taken else f"{prefix}{operation.name}"
        taken[name] += 1
        if taken[name] > 1:
            name = f"{name}_{taken[name]}"
            taken[name] += 1
        return kind.rewrite(operation, name) if kind.rewrite else with_weights(*copied(operation, name))

    return make
