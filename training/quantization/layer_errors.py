"""Find where a quantized model loses accuracy: each layer's output in 8 bits against that in floats."""

import math

import keras
import numpy as np
import tensorflow as tf
import tf_keras

from .flattening import flattened
from .quantizers import RangeQuantizer, output_quantizer


def layer_errors(quantized, model, images):
    """Measure the noise that 8 bits bring into each layer's output, relative to its signal.

    Args:
        quantized: a model from `quantize_aware`, its ranges set.
        model: the Keras 3 model that it was made of.
        images: iterable of input batches; a few real images.

    Returns:
        A list of dicts, the layer that adds most first: "layer", its name; "added", the noise of its own range and
        steps alone; "arriving", with all that comes from the layers before it. Both are root mean squares of the
        difference to the floats, over that of the floats.

    Raises:
        ValueError: where there are no images.
    """
    model = flattened(model)
    outputs = {operation.name: operation.output for operation in model.operations if not _several(operation)}
    measured = {}
    for layer in quantized.layers:
        quantizer = output_quantizer(layer)
        name = layer.name.removeprefix("quant_").removesuffix("_activation")
        if quantizer and name in outputs:
            measured[name] = layer, quantizer  # of a convolution and its activation the latter, which comes later
    exact = keras.Model(model.inputs, [outputs[name] for name in measured])
    rounded = tf_keras.Model(quantized.inputs, [layer.output for layer, _ in measured.values()])
    sums = np.zeros((len(measured), 3))
    for batch in images:
        answers = zip(exact([batch], training=False), rounded(batch, training=False), measured.values(), strict=True)
        for row, (wanted, answered, (_, quantizer)) in zip(sums, answers, strict=True):
            wanted = _clipped(wanted, quantizer)
            own = quantizer(wanted, False, {})
            row += [np.square(np.float64(x)).sum() for x in (own - wanted, answered - wanted, wanted)]
    if not sums.any():
        raise ValueError("a report of the layers' errors needs at least one batch of images; received none")
    added, arriving, _ = np.sqrt(sums / np.maximum(sums[:, 2:], 1e-12)).T
    rows = [
        {"layer": name, "added": round(float(a), 5), "arriving": round(float(b), 5)}
        for name, a, b in zip(measured, added, arriving, strict=True)
    ]
    return sorted(rows, key=lambda row: -row["added"])


def _clipped(x, quantizer):
    """Clip values to the range that later layers can distinguish."""
    if not isinstance(quantizer, RangeQuantizer):
        return x
    fixed = quantizer.range.fixed or math.inf
    return tf.clip_by_value(tf.clip_by_value(x, *quantizer.limits), -fixed, fixed)


def _several(operation):
    return isinstance(operation.output, (list, tuple))
