"""Models of any kind made ready for a file: inputs of a known size, and nothing that is for training alone."""

import keras

from ...graph import Uncopied, functional_graph, is_detector
from ...precision import plain
from ...saving import keep
from ...training.quantization.aware import is_quantized
from ...training.quantization.flattening import flattened


def prepared(model, size=None):
    """Return a model that can be converted, which computes the same.

    Args:
        model: a Keras 3 or a tf-keras model.
        size: (height, width) of its image, where it has none.

    Returns:
        The model itself, or one of equal weights: augmentation is left out, mixed precision becomes float32, a
        `Sequential` is built, a subclassed model gets inputs.

    Raises:
        TypeError: for what is not a model.
        ValueError: where its inputs are not known.
    """
    if not isinstance(model, keras.Model):
        if hasattr(model, "layers") and hasattr(model, "inputs"):
            return model  # of tf-keras
        raise TypeError(f"model must be a Keras model. Received: {model!r}; load a file by keras.saving.load_model")
    _check_layout(model)
    _check_not_quantized(model)
    model = _sized(_with_inputs(model, size), size)
    if is_quantized(model):
        return model
    if is_detector(model):
        return plain(model)
    if not _is_functional(model):
        return model
    try:
        return keep(flattened(model), model)
    except Uncopied:
        return model


def _is_functional(model):
    """Whether all of a model is functional, also the models inside."""
    graph = functional_graph(model)
    inside = [layer for layer in graph.layers if isinstance(layer, keras.Model)] if graph else ()
    return graph is not None and all(map(_is_functional, inside))


def _check_layout(model):
    for layer in model._flatten_layers():
        if getattr(layer, "data_format", None) == "channels_first":
            raise ValueError(
                f"TFLite computes on (N, height, width, channels). Received: {model.name}, whose layer {layer.name!r} "
                'has data_format="channels_first"; build it with "channels_last"'
            )


def _check_not_quantized(model):
    quantized = [layer.name for layer in model._flatten_layers() if getattr(layer, "quantization_mode", None)]
    if quantized:
        raise ValueError(
            f"{model.name}: Keras' own quantize() changed its {', '.join(quantized)}, which TFLite can't compute; "
            'convert the model as it was before, to precision "int8"'
        )


def _with_inputs(model, size):
    """A model whose inputs are known."""
    if getattr(model, "inputs", None):
        return model
    if isinstance(model, keras.Sequential):
        if size is None:
            raise ValueError(
                f"{model.name}: a Sequential model that was never built; begin it with keras.Input(shape), or give "
                "size=(height, width)"
            )
        model = keras.models.clone_model(model) if not model.built else model
        model.build((None, *size, 3))
        return model
    shapes = getattr(model, "_build_shapes_dict", None) or {}
    if not model.built or len(shapes) != 1 or not isinstance((shape := next(iter(shapes.values()))), tuple):
        raise ValueError(
            f"{model.name}: a {type(model).__name__} whose input's shape is not known; call it once on an array, or "
            "build it as keras.Model(inputs, outputs)"
        )
    x = keras.Input(shape[1:])
    return keras.Model(x, model(x), name=model.name)


def _sized(model, size):
    """A model of a fixed input size."""
    open_ = [x for x in model.inputs if None in x.shape[1:]]
    if size is not None and not (len(size) == 2 and all(isinstance(side, int) and side > 0 for side in size)):
        raise ValueError(f"size must be (height, width) in pixels. Received: {size=}")
    if not open_:
        fixed = [tuple(x.shape[1:3]) for x in model.inputs]
        if size is not None and tuple(size) not in fixed:
            raise ValueError(
                f"size=(height, width) is for inputs without one. Received: {size=}, and {model.name} of {fixed[0]}"
            )
        return model
    images = [x for x in open_ if len(x.shape) == 4 and x.shape[-1]]
    if size is None or len(images) != len(open_):
        raise ValueError(
            f"a phone needs a fixed input size. Received: {model.name} with {', '.join(str(x.shape) for x in open_)}; "
            "give size=(height, width)" + ("" if len(images) == len(open_) else ", which is for images")
        )

    def fixed(x):
        shape = (x.shape[0], *size, x.shape[-1]) if None in x.shape[1:] else x.shape
        return keras.Input(batch_shape=shape, dtype=x.dtype, name=x.name)

    inputs = keras.tree.map_structure(fixed, functional_graph(model)._inputs_struct)
    made = keras.Model(inputs, model(inputs), name=model.name)
    return keep(made, model)
