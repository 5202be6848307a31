"""A functional Keras 3 model as a tf-keras (Keras 2) one, weights carried over: what tfmot works on."""

import inspect

import keras
import tensorflow as tf
import tf_keras

from ...graph import run_graph
from .kinds import KINDS, kind_of
from .quantizers import unit


@tf_keras.utils.register_keras_serializable("cspkeras")
class Bridge(tf_keras.layers.Layer):
    """A Keras 3 operation without weights as a tf-keras layer.

    Args:
        operation: the Keras 3 layer or operation, or its serialized form.
        spread: whether it takes its inputs as separate arguments.
    """

    def __init__(self, operation, spread=False, **kwargs):
        super().__init__(**kwargs)
        if isinstance(operation, dict):
            operation = keras.saving.deserialize_keras_object(operation)
        self.operation, self.spread = operation, spread

    def call(self, inputs):
        return self.operation(*inputs) if self.spread else self.operation(inputs)

    def get_config(self):
        operation = keras.saving.serialize_keras_object(self.operation)
        return {**super().get_config(), "operation": operation, "spread": self.spread}


class GroupedConv2D(tf_keras.layers.Conv2D):
    """The twin of `cspkeras.layers.GroupedConv2D`: it too avoids XLA on a CPU."""

    def _jit_compiled_convolution_op(self, inputs, kernel):
        return self.convolution_op(inputs, kernel)


@tf_keras.utils.register_keras_serializable("cspkeras")
class Swish(tf_keras.layers.Layer):
    """Swish as an int8 file computes it, in two operations."""

    def call(self, x):
        return x * unit(tf.sigmoid(x))


OURS = {cls.__name__: cls for cls in (GroupedConv2D, Swish)}


def twin_class(name):
    """Return the tf-keras class of the name that a `Kind` or an `Activation` gives as its twin."""
    return OURS.get(name) or getattr(tf_keras.layers, name)


def translate(model, annotate=lambda layer, operation: layer):
    """Build the tf-keras twin of a functional Keras 3 model.

    An activation inside a convolution or dense layer becomes a layer of its own, `{name}_activation`.

    Args:
        model: a functional `keras.Model`, as `flattened` gives it.
        annotate: function of a tf-keras layer and the Keras 3 operation that it stands for; it gives the layer to
            build with. An input is an operation too, a linear activation.

    Returns:
        A functional `tf_keras.Model` with the same weights.

    Raises:
        ValueError: for a layer that can't be translated, naming it.
    """

    def bridge(operation, spread=False):
        return annotate(Bridge(operation, spread, name=operation.name), operation)

    def make(operation):
        """A function of tf-keras tensors."""
        kind = kind_of(operation)
        if kind.twin:
            first = annotate(_weighted(operation, twin_class(kind.twin)), operation)
            if (activation := _inner_activation(operation)) is None:
                return lambda x, **_: first(x)
            second = bridge(activation)
            return lambda x, **_: second(first(x))
        if getattr(operation, "weights", None):
            raise ValueError(_refusal(operation, kind))
        return lambda *args, **kwargs: _call(bridge, operation, args, kwargs)

    images = [tf_keras.Input(x.shape[1:], name=x.name) for x in model.inputs]
    starts = [make(_input_layer(x))(y) for x, y in zip(model.inputs, images, strict=True)]
    return tf_keras.Model(images, run_graph(model, starts, make), name=model.name)


def _refusal(operation, kind):
    """What is said of a layer with weights that has no twin."""
    known = sorted({cls.__name__ for cls, kind in KINDS.items() if kind.twin or kind.rewrite})
    return (
        f"layer {operation.name!r} ({type(operation).__name__}) can't be quantized. Accepted are layers without weights"
        f" and {', '.join(known)}. Use {kind.instead or 'these'} instead, or convert the model to float16 or dynamic"
    )


def _input_layer(x):
    return keras.layers.Activation("linear", name=f"{x.name}_range")


def _weighted(operation, cls):
    """The tf-keras layer of the same weights; initializers and the like are not needed for given weights."""
    known = inspect.signature(cls.__init__).parameters
    config = {
        name: value
        for name, value in operation.get_config().items()
        if name in known and isinstance(value, (bool, int, float, str, tuple, list))
    }
    config.pop("activation", None)
    layer = cls(**config, name=operation.name, trainable=operation.trainable)
    # At once: tfmot's wrapper takes the kernel out of the layer's weights.
    layer.build(operation.input.shape)
    layer.set_weights(operation.get_weights())
    return layer


def _inner_activation(operation):
    activation = operation.get_config().get("activation", "linear")
    if activation in (None, "linear"):
        return None
    return keras.layers.Activation(operation.activation, name=f"{operation.name}_activation")


def _call(bridge, operation, args, kwargs):
    spare = {name: value for name, value in kwargs.items() if value is not None and name != "training"}
    tensors = all(hasattr(x, "shape") for x in keras.tree.flatten(args))
    if spare or not tensors:
        raise ValueError(
            f"operation {operation.name!r} ({type(operation).__name__}) is called with more than tensors, which can't "
            "be quantized; make it a layer that holds its settings"
        )
    if len(args) == 1:
        return bridge(operation)(args[0])
    return bridge(operation, spread=True)(list(args))
