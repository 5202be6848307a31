"""A user's functional model as the flat graph of plain layers that `translation` and `quantization` work on."""

from collections import Counter

import keras
import numpy as np

from ...graph import called, copied, on_new_inputs
from ...layers import Upsample
from ...precision import plain

TRAINING_ONLY = (
    keras.layers.ActivityRegularization,
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.RandomBrightness,
    keras.layers.RandomContrast,
    keras.layers.RandomFlip,
    keras.layers.RandomRotation,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
    keras.layers.SpatialDropout2D,
)


def flattened(model):
    """The same computation without models inside the model, layers that are used twice, and layers made of others.

    What does something in training alone (dropout, noise, random images) is left out, a separable convolution becomes
    its two, `Normalization` a `Rescaling`, `UpSampling2D` an `Upsample`, mixed precision float32. A layer called
    twice becomes two of equal weights, which further training may tell apart.

    Args:
        model: a functional or sequential `keras.Model`.

    Returns:
        `model` itself where there is nothing to change; otherwise a functional one with weights of its own. Layers keep
        their names, but for those of which there are several: "{model inside}_{layer}", and a number behind.

    Raises:
        ValueError: for a model that is not functional, alone or inside another one, naming it.
    """
    _graph(model)  # here, since a model of another kind has no configuration either
    model = plain(model)
    graph = _graph(model)
    if graph is model and not any(_changes(operation) for operation in model.operations):
        return model
    taken = Counter(x.name for x in graph.inputs)
    return on_new_inputs(graph, lambda images: _run(graph, images, taken), model.name)


def _graph(model):
    """The functional model that a model is or holds."""
    graph = getattr(model, "_functional", None) or model
    if not hasattr(graph, "_run_through_graph"):
        raise ValueError(
            f"only functional models can be quantized. Received: {type(model).__name__} {model.name!r}; build it as "
            "keras.Model(inputs, outputs), and call it inside others on their tensors"
        )
    return graph


def _changes(operation):
    inner = isinstance(operation, (keras.Model, *TRAINING_ONLY, *REWRITTEN))
    return inner or len(operation._inbound_nodes) > 1


def _run(graph, inputs, taken, prefix=""):
    """The outputs of a functional model on new inputs, each call of a layer a new layer."""

    def new(operation):
        if isinstance(operation, TRAINING_ONLY):
            return lambda x, **_: x
        if isinstance(operation, keras.Model):
            inside = _graph(operation)
            return lambda *args, **_: _run(inside, args, taken, f"{operation.name}_")
        name = operation.name if operation.name not in taken else f"{prefix}{operation.name}"
        taken[name] += 1
        if taken[name] > 1:
            name = f"{name}_{taken[name]}"
            taken[name] += 1
        return lambda *args, **kwargs: _call(operation, name, args, kwargs)

    return graph._run_through_graph(inputs, new)


def _call(operation, name, args, kwargs):
    rewrite = next((REWRITTEN[kind] for kind in REWRITTEN if isinstance(operation, kind)), _same)
    for made, weights in rewrite(operation, name):
        args = (called(made, weights, *args, **kwargs),)
    return args[0]


def _same(operation, name):
    return [copied(operation, name)]


def _separable(layer, name):
    config, (depthwise, pointwise, *bias) = layer.get_config(), layer.get_weights()
    shared = ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier")
    first = keras.layers.DepthwiseConv2D(**{k: config[k] for k in shared}, use_bias=False, name=f"{name}_depthwise")
    options = dict(use_bias=layer.use_bias, activation=layer.activation)
    return [
        (first, [depthwise]),
        (keras.layers.Conv2D(layer.filters, 1, **options, name=name), [pointwise, *bias]),
    ]


def _normalization(layer, name):
    mean, variance = (np.ravel(keras.ops.convert_to_numpy(x)) for x in (layer.mean, layer.variance))
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    scale, offset = (deviation, mean) if layer.invert else (1 / deviation, -mean / deviation)
    return [(keras.layers.Rescaling(scale.tolist(), offset.tolist(), name=name), None)]


def _upsampling(layer, name):
    if layer.interpolation in ("nearest", "bilinear") and len(set(layer.size)) == 1:
        return [(Upsample(layer.size[0], layer.interpolation, name=name), None)]
    return _same(layer, name)


REWRITTEN = {
    keras.layers.SeparableConv2D: _separable,
    keras.layers.Normalization: _normalization,
    keras.layers.UpSampling2D: _upsampling,
}
