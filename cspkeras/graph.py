"""A functional Keras 3 model's graph: what follows what, and the same model built again with changes."""

import keras


def followers(model):
    """{operation: the operations of a functional model that take its output}."""
    found = {}
    for operation in model.operations:
        for node in operation._inbound_nodes:
            for x in node.input_tensors:
                found.setdefault(x._keras_history.operation, []).append(operation)
    return found


def activation_name(operation):
    """The name of the activation that an operation is or ends in."""
    kind = type(operation).__name__
    if kind == "ReLU":
        return {None: "relu", 6.0: "relu6"}.get(operation.max_value, "linear")
    if kind == "Softmax":
        return "softmax"
    activation = getattr(operation, "activation", None)
    return getattr(activation, "__name__", "linear")


def on_new_inputs(graph, run, name=None):
    """A model of new inputs, like another one's.

    Args:
        graph: a functional model, the inputs of which the new one has, in float32.
        run: function of the new inputs that gives the outputs.
        name: the model's; None: the graph's.
    """
    images = [keras.Input(batch_shape=x.shape, dtype="float32", name=x.name) for x in graph.inputs]
    return keras.Model(images[0] if len(images) == 1 else images, run(images), name=name or graph.name)


def copied(operation, name, **changes):
    """A new operation like another one, but for changes of its configuration; and the weights it is to get, or None."""
    made = type(operation).from_config({**operation.get_config(), **changes, "name": name})
    return made, getattr(operation, "weights", None) and operation.get_weights()


def called(made, weights, *args, **kwargs):
    """A new operation's output; once built by that, it gets its weights."""
    output = made(*args, **kwargs)
    if weights:
        made.set_weights(weights)
    return output


def keras_of(model):
    """The Keras that a model is of: keras or tf_keras."""
    if isinstance(model, keras.Model):
        return keras
    import tf_keras

    return tf_keras


def is_detector(model):
    """Whether a model is a `Detector`, or what `quantize_aware` made of one."""
    return hasattr(model, "anchors")
