"""The graph of a functional Keras 3 model: what comes before and after a layer, and the same model with changes.

Keras offers no public way to walk a graph or to run it with other layers: its private attributes are used here alone.
"""

import sys
from contextlib import contextmanager

import keras

DEEPEST = 20_000  # operations, one after the other: several times those of the deepest network, quantized


@contextmanager
def deep():
    """Let Keras build a model of many operations: it visits them from the last to the first, a call within a call.

    Python's limit of a thousand such calls is too low for a quantized DenseNet of 201 layers.
    """
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, DEEPEST))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def operation_of(tensor):
    """Return the operation that gives a KerasTensor."""
    return tensor._keras_history.operation


def inputs_of(operation):
    """Return the KerasTensors that an operation takes, in a flat list."""
    return keras.tree.flatten(operation.input)


def sources(operation):
    """Return the operations that give an operation's inputs."""
    return [operation_of(x) for x in inputs_of(operation)]


def call_of(tensor):
    """Return the call of an operation that gives a KerasTensor: with operation, input_tensors and output_tensors."""
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def calls(model):
    """Return the calls of a functional model's operations, sources first: as `model.operations`, a shared one again."""
    place = {operation: i for i, operation in enumerate(model.operations)}
    depths = sorted(model._nodes_by_depth.items(), reverse=True)
    return [call for _, found in depths for call in sorted(found, key=lambda call: place[call.operation])]


def call_again(call, tensors, operation=None):
    """Do a call again on other tensors, in the order of its input_tensors, by its own operation or another one."""
    args, kwargs = call.arguments.fill_in(dict(zip(map(id, call.input_tensors), tensors, strict=True)))
    return (operation or call.operation)(*args, **kwargs)


def unwrapped(operation):
    """Return the layer inside a wrapper, or the operation itself."""
    return getattr(operation, "layer", operation)


def is_fake_quantization(operation):
    """Whether a layer of `quantize_aware` rounds its input and does nothing else."""
    return type(operation).__name__.startswith("FakeQuant")


def followers(model):
    """Return {operation: the operations that take its output}, of a model in which each is called once."""
    found = {}
    for operation in model.operations:
        for source in sources(operation):
            found.setdefault(source, []).append(operation)
    return found


def is_shared(operation):
    """Whether an operation is called more than once."""
    return len(operation._inbound_nodes) > 1


def functional_graph(model):
    """Return the functional model that a model is or, as `keras.Sequential`, holds; None for any other model."""
    graph = getattr(model, "_functional", None) or model
    return graph if hasattr(graph, "_run_through_graph") else None


def run_graph(model, inputs, make):
    """Run a functional model's graph on inputs with other functions in place of its operations.

    `make` is a function of an operation that gives a function of the operation's arguments.
    """
    return model._run_through_graph(inputs, make)


def fed(model, tensors):
    """Return a flat list of tensors, one for each input, in the structure that a functional model takes."""
    return keras.tree.pack_sequence_as(functional_graph(model)._inputs_struct, tensors)


def rebuilt_graph(model, make, name=None, start=lambda x, y: y):
    """Build a functional model again, from inputs in float32, with what `make` gives; see `run_graph`.

    `start` is a function of an input and of the new one, whose result is used in place of the new one. Inputs of whole
    numbers, other than pixels, keep their type.
    """

    def renewed(x):
        floats = "float" in x.dtype or x.dtype == "uint8"
        return keras.Input(batch_shape=x.shape, dtype="float32" if floats else x.dtype, name=x.name)

    inputs = keras.tree.map_structure(renewed, model._inputs_struct)
    starts = [start(x, y) for x, y in zip(model.inputs, keras.tree.flatten(inputs), strict=True)]
    with deep():
        return keras.Model(inputs, run_graph(model, starts, make), name=name or model.name)


class Uncopied(ValueError):
    """A layer that can't be made again from its configuration."""


def copied(operation, name, **changes):
    """Return a new operation like another one but for changes of its configuration, and the weights it is to get.

    Raises:
        Uncopied: it can't be made again.
    """
    try:
        return _copied(operation, name, changes)
    except (NotImplementedError, TypeError) as e:
        way = "give it get_config, and let its __init__ hand **kwargs to super().__init__"
        raise Uncopied(f"layer {operation.name!r}, a {type(operation).__name__}, can't be made again; {way}") from e


def _copied(operation, name, changes):
    config = {**operation.get_config(), **changes, "name": name}
    if isinstance(operation, keras.layers.Lambda):  # Keras trusts no function that may come from a file
        config |= {"function": operation.function, "output_shape": operation._output_shape, "mask": operation.mask}
        made = type(operation)(**config)
    else:
        activation = getattr(operation, "activation", None)
        if isinstance(config.get("activation"), dict) and not isinstance(activation, keras.Layer):
            config |= {"activation": activation}  # a function of the user's, which has no name to be found by
        made = type(operation).from_config(config)
    return made, getattr(operation, "weights", None) and operation.get_weights()


def with_weights(operation, weights):
    """Return a function that calls a new operation, which builds it, and then sets its weights, if any."""

    def call(*args, **kwargs):
        output = operation(*args, **kwargs)
        if weights:
            operation.set_weights(weights)
        return output

    return call


def class_in(operation, table):
    """Return an operation's class, or the nearest that it inherits from, that a table by classes has; None for none."""
    return next((cls for cls in type(operation).__mro__ if cls in table), None)


def row_of(operation, table, default=None):
    """Return the row that a table by classes has for an operation's class, or for the nearest that it inherits from."""
    return table.get(class_in(operation, table), default)


def activation_name(operation):
    """Return the name of the activation that an operation is or ends in, "linear" for none."""
    kind = type(operation).__name__
    if kind == "ReLU":
        return {None: "relu", 6.0: "relu6"}.get(operation.max_value, "linear")
    if kind == "Softmax":
        return "softmax"
    activation = getattr(operation, "activation", None)
    return getattr(activation, "__name__", "linear")


def is_detector(model):
    """Whether a model is a `Detector`, or what `quantize_aware` made of one."""
    return hasattr(model, "anchors")
