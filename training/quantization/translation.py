"""A functional Keras 3 model as a tf-keras (Keras 2) one, weights carried over: what tfmot works on."""

import inspect

import keras
import tf_keras

WEIGHTED = ("BatchNormalization", "Conv2D", "Conv2DTranspose", "Dense", "DepthwiseConv2D", "GroupedConv2D")
REPLACED = {  # by what does the same, or nearly, in 8 bits
    "PReLU": "LeakyReLU",
    "GroupNormalization": "BatchNormalization",
    "LayerNormalization": "BatchNormalization",
    "Conv1D": "Conv2D with a kernel of one row",
}


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
    """The twin of `cspkeras.layers.GroupedConv2D`: as there, not by way of XLA on a CPU."""

    def _jit_compiled_convolution_op(self, inputs, kernel):
        return self.convolution_op(inputs, kernel)


def translate(model, annotate=lambda layer, operation: layer):
    """Build the tf-keras twin of a functional Keras 3 model.

    An activation inside a convolution or dense layer becomes a layer of its own, `{name}_activation`.

    Args:
        model: a functional `keras.Model`, as `flattened` gives it.
        annotate: function of a tf-keras layer and the Keras 3 operation that it stands for, that gives the layer to
            build with; for the input it is called with the input's layer.

    Returns:
        A functional `tf_keras.Model` with the same weights.

    Raises:
        ValueError: for a layer that can't be translated, naming it.
    """
    twins = {}

    def bridge(operation, spread=False):
        return annotate(Bridge(operation, spread, name=operation.name), operation)

    def twin(operation):
        """A function of tf-keras tensors."""
        kind = type(operation).__name__
        if kind in WEIGHTED:
            first = annotate(_weighted(operation), operation)
            if (activation := _inner_activation(operation)) is None:
                return lambda x, **_: first(x)
            second = bridge(activation)
            return lambda x, **_: second(first(x))
        if getattr(operation, "weights", None):
            instead = REPLACED.get(kind, "these")
            raise ValueError(
                f"layer {operation.name!r} ({kind}) can't be quantized; layers without weights can, and "
                f"{', '.join(WEIGHTED)}, SeparableConv2D and Normalization. Build it of {instead}, or convert the "
                "model to float16 or dynamic"
            )
        return lambda *args, **kwargs: _call(bridge, operation, args, kwargs)

    def once(operation):
        if operation not in twins:
            twins[operation] = twin(operation)
        return twins[operation]

    images = [tf_keras.Input(x.shape[1:], name=x.name) for x in model.inputs]
    starts = [once(_input_layer(x))(y) for x, y in zip(model.inputs, images, strict=True)]
    return tf_keras.Model(images, model._run_through_graph(starts, once), name=model.name)


def _input_layer(x):
    return keras.layers.Activation("linear", name=f"{x.name}_range")


def _weighted(operation):
    """The tf-keras layer of the same class and weights; initializers and the like are not needed for given weights."""
    kind = type(operation).__name__
    cls = GroupedConv2D if kind == "GroupedConv2D" else getattr(tf_keras.layers, kind)
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
            "be quantized; make it a layer that holds its settings."
        )
    if len(args) == 1:
        return bridge(operation)(args[0])
    return bridge(operation, spread=True)(list(args))
