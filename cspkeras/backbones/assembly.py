"""What every backbone shares: its published figures, its input, its top and its pyramid."""

import os
import re
from dataclasses import dataclass
from numbers import Integral

import keras
from keras import layers

STRIDE = 32  # of every backbone's last stage


@dataclass(frozen=True)
class Published:
    """A variant's figures as published, in the row of the variant itself.

    `trainable` counts as Keras does; `bflops` by the authors' rule (`cspkeras.analysis`) at `size` pixels.
    """

    source: str
    size: int
    trainable: int | None = None
    bflops: float | None = None
    top1: float | None = None
    top5: float | None = None


def image_input(input_shape, input_tensor):
    """The input of a backbone: RGB in 0..1, channels last.

    Args:
        input_shape: (height, width, channels); height and width None or multiples of 32.
        input_tensor: KerasTensor to build upon, or None.

    Raises:
        ValueError: for a shape that the strides do not divide.
    """
    if input_tensor is not None:
        input_shape = input_tensor.shape[1:]
    fits = isinstance(input_shape, (tuple, list)) and len(input_shape) == 3 and input_shape[2] is not None
    if not fits or not all(s is None or (s >= STRIDE and s % STRIDE == 0) for s in input_shape[:2]):
        raise ValueError(
            "input_shape must be (height, width, channels) with height and width None or multiples of "
            f"{STRIDE}. Received: input_shape={input_shape}"
        )
    return layers.Input(tuple(input_shape), name="image") if input_tensor is None else input_tensor


def finish(image, x, *, include_top, pooling, classes, classifier_activation, weights, name):
    """Put the top on a backbone's last feature map and make the model (arguments as in keras.applications)."""
    if include_top:
        if not isinstance(classes, Integral) or classes < 1:
            raise ValueError(f"classes must be a positive integer. Received: classes={classes!r}")
        x = layers.GlobalAveragePooling2D(name="top_pool")(x)
        x = layers.Dense(classes, activation=classifier_activation, name="predictions")(x)
    elif pooling == "avg":
        x = layers.GlobalAveragePooling2D(name="top_pool")(x)
    elif pooling == "max":
        x = layers.GlobalMaxPooling2D(name="top_pool")(x)
    elif pooling is not None:
        raise ValueError(f"pooling must be None, 'avg' or 'max'. Received: pooling={pooling!r}")
    model = keras.Model(keras.utils.get_source_inputs(image)[0], x, name=name)
    if weights is not None:
        _load_weights(model, weights)
    return model


def _load_weights(model, path):
    if not str(path).endswith((".keras", ".weights.h5")):
        raise ValueError(f"weights must be None or a .keras or .weights.h5 file. Received: weights={path!r}")
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: missing; expected a .keras or .weights.h5 file")
    try:
        model.load_weights(path)
    except Exception as e:  # Keras raises what the zip and HDF5 readers below it happen to raise
        reason = (str(e) or type(e).__name__).splitlines()[0]
        raise ValueError(f"{path}: holds no weights for this {model.name} ({reason})") from e


def pyramid(model):
    """The feature maps of a backbone, finest first: {"P2": KerasTensor, ..., "P5": KerasTensor}.

    Pk has stride 2**k: it is the last output of a stage before the resolution halves. Layers are found by their names,
    `stage1_...` and so on; the last stage is P5.

    Args:
        model: a backbone of this library.

    Raises:
        ValueError: for a model without such layers.
    """
    last = {}
    for layer in model.layers:
        if stage := re.match(r"stage(\d+)_", layer.name):
            last[int(stage[1])] = layer.output
    if not last:
        raise ValueError(
            "pyramid needs a backbone whose layers are called stage1_..., as all of this library's are. "
            f"Received: {model.name} with layers {[layer.name for layer in model.layers[:3]]}..."
        )
    return {f"P{5 - max(last) + stage}": last[stage] for stage in sorted(last)}
