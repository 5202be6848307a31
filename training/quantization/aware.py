"""Quantization-aware training: a Keras 3 model in, one out that rounds as its int8 file will.

The model is flattened first. Then every kernel is rounded by channel (`quantizers.QuantizedLayer`), and outputs to the
256 steps of a range (`quantizers.FakeQuant`), where `placement` says; `kinds` and `activations` say what is known of
each layer. A layer that they don't know is computed in floats, its output rounded.
"""

from collections.abc import Iterable
from functools import partial

import keras
import numpy as np

from ...detection.anchors import Anchors
from ...detection.detector import Detector
from ...detection.heads import remembered
from ...detection.training import DetectorTraining
from ...graph import copied, fed, is_detector, operation_of, rebuilt_graph, with_weights
from ...precision import PLAIN, policy
from ...saving import keep
from .activations import ACTIVATIONS, SteppedActivation, activation_of
from .calibration import checked
from .equalization import equalized
from .flattening import flattened
from .kinds import kind_of
from .placement import placed
from .quantizers import FakeQuant, QuantizedLayer, register

UNTRACED = 3  # batches to calibrate on without a graph, which takes as long to make as ten of them


@register
class QuantizedDetector(DetectorTraining, keras.Model):
    """A `Detector` under quantization-aware training; it trains, is saved, cloned and detects as its original does.

    Args:
        inputs: the image.
        outputs: the raw heads, which remember the detector's anchors and classes.
        name: the model's name.
    """

    def __init__(self, inputs, outputs, name=None, **kwargs):
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)
        about = remembered(outputs)
        self.anchors, self.class_names = Anchors.from_config(about["anchors"]), tuple(about["classes"])
        self.origin = about.get("origin")


@policy(PLAIN)
def quantize_aware(model: keras.Model, images: Iterable[np.ndarray] | None = None) -> keras.Model:
    """Build a model that computes as the model's int8 file will, for training or `calibrate`.

    It is a Keras 3 model like any other: compiled, fitted, saved, loaded and cloned. It computes in float32, also where
    `model` has mixed precision: 16-bit floats have no room for steps of 8 bits.

    Args:
        model: a functional or sequential Keras 3 model, which may hold others; it is left as it is. A `Detector` gives
            a `QuantizedDetector`, which detects too.
        images: input batches (N, height, width, channels) of real images, a dozen images in all. Where they show
            channels of very unequal ranges, these are scaled alike, which changes no output. None: no channel is
            scaled.

    Returns:
        A functional Keras 3 model with the weights of `model`. Its ranges are unset until it has been trained or
        calibrated.

    Raises:
        ValueError: for a model that is not functional, and for one that is quantization-aware already.

    Example:
        >>> import keras, numpy as np
        >>> from cspkeras.training import calibrate, quantize_aware
        >>> image = keras.Input((32, 32, 3))
        >>> model = keras.Model(image, keras.layers.Conv2D(4, 3, activation="relu")(image))
        >>> quantized = quantize_aware(model)
        >>> images = np.random.default_rng(0).random((8, 32, 32, 3))
        >>> quantized = calibrate(quantized, [images])
        >>> quantized(images).shape
        TensorShape([8, 30, 30, 4])
    """
    if is_quantized(model):
        raise ValueError(f"{model.name}: quantize_aware made it already; train, calibrate or convert it as it is")
    flat = flattened(model)
    if images is not None:
        flat = equalized(flat, checked(images, model))
    places = placed(flat)

    def rounded(operation, y):
        for quantizer, options in places.get(operation, ()):
            y = keras.tree.map_structure(lambda x, q=quantizer, how=options: q(x, **how), y)
        return y

    def make(operation):
        compute = _quantized(operation)
        return lambda *args, **kwargs: rounded(operation, compute(*args, **kwargs))

    quantized = rebuilt_graph(flat, make, start=lambda x, y: rounded(operation_of(x), y))
    if isinstance(model, Detector):
        quantized = QuantizedDetector(quantized.input, quantized.outputs, name=model.name)
    else:
        keep(quantized, model)
    return quantized


def _quantized(operation):
    """A function that computes an operation as an int8 kernel does."""
    kind, (activation, options) = kind_of(operation), activation_of(operation)
    if kind.kernel:
        made, weights = copied(operation, operation.name)
        made.build(operation.input.shape)
        return with_weights(QuantizedLayer(made, kind.kernel, kind.channel_axes), weights)
    if ACTIVATIONS[activation].steps and not getattr(operation, "weights", None):
        return SteppedActivation(activation, options, name=operation.name)
    return with_weights(*copied(operation, operation.name))


def calibrate(quantized: keras.Model, images: Iterable[np.ndarray]) -> keras.Model:
    """Set the ranges of a model from `quantize_aware` without training it: post-training quantization.

    Ranges that it had before are forgotten.

    Args:
        quantized: the model; its ranges are changed, its weights are not.
        images: input batches (N, height, width, channels), some dozens of real images, of the values that the model
            takes: 0..1 for a detector; 0..1, or those of `preprocess_input`, for a backbone of cspkeras. For a model of
            several inputs, batches of what that takes.

    Returns:
        `quantized`.

    Raises:
        ValueError: for no images, for a batch of another shape, with values that are not finite or out of that range,
            after which the ranges are as before, and for a model of another kind.

    Example:
        >>> quantized = calibrate(quantize_aware(detector), [images])  # doctest: +SKIP
        >>> quantized.detect(images)  # doctest: +SKIP
    """
    if not is_quantized(quantized):
        raise ValueError(f"{quantized.name}: call quantize_aware(model) first, and calibrate what it gives")
    quantizers = [quantizer for quantizer in quantizers_of(quantized) if quantizer.moves]
    before = [(v, keras.ops.convert_to_numpy(v)) for quantizer in quantizers for v in quantizer.variables]
    # A detector's few far values are seldom its objects: BCCD's mAP is 0.618 where they are left out, 0.614 if weighed.
    weighs = not is_detector(quantized)
    try:
        for quantizer in quantizers:
            quantizer.calibrates, quantizer.weighs = True, weighs
        compute = partial(quantized, training=False)
        for quantizer in quantizers:
            quantizer.forget()
        for place, batch in enumerate(checked(images, quantized)):
            if place == UNTRACED:
                compute = _traced(compute)
            compute(fed(quantized, keras.tree.flatten(batch)))
    except BaseException:  # Ctrl-C too
        for variable, value in before:
            variable.assign(value)
        raise
    finally:
        for quantizer in quantizers:
            quantizer.calibrates = quantizer.weighs = False
    return quantized


def _traced(compute):
    """A function as TensorFlow's graph; on other backends as it is."""
    if keras.backend.backend() != "tensorflow":
        return compute
    import tensorflow as tf

    return tf.function(compute, reduce_retracing=True, autograph=False)


def quantizers_of(quantized):
    """Return all `FakeQuant` layers of a quantization-aware model, those inside of activations too."""
    found = []
    for layer in quantized.layers:
        if isinstance(layer, SteppedActivation):
            found += layer.quantizers
        elif isinstance(layer, FakeQuant):
            found.append(layer)
    return found


def is_quantized(model):
    """Whether a model comes from `quantize_aware`."""
    return isinstance(model, keras.Model) and any(isinstance(layer, FakeQuant) for layer in model.layers)
