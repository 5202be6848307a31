"""Find where a quantized model loses accuracy: each layer's output in 8 bits against that in floats."""

import keras
import numpy as np
from keras import ops

from ...graph import operation_of
from .flattening import flattened
from .quantizers import FakeQuant


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
    exact_of = {operation.name: operation.output for operation in model.operations if not _several(operation)}
    measured = {}  # name: the quantizer, how it is called, its output
    for quantizer in (layer for layer in quantized.layers if isinstance(layer, FakeQuant)):
        for options, taken, given in _calls(quantizer):
            name = operation_of(taken).name
            if name in exact_of:
                # Of a convolution and its activation the latter, which comes later.
                measured[name.removesuffix("_activation")] = quantizer, options, exact_of[name], given
    exact = keras.Model(model.inputs, [wanted for _, _, wanted, _ in measured.values()])
    rounded = keras.Model(quantized.inputs, [given for *_, given in measured.values()])
    sums = np.zeros((len(measured), 3))
    for batch in images:
        taken = keras.tree.flatten(batch)
        answers = zip(exact(taken, training=False), rounded(taken, training=False), measured.values(), strict=True)
        for row, (wanted, answered, (quantizer, options, *_)) in zip(sums, answers, strict=True):
            wanted = _clipped(wanted, quantizer, options)
            own = quantizer(wanted, **options)
            row += [float(ops.sum(ops.square(x))) for x in (own - wanted, answered - wanted, wanted)]
    if not sums.any():
        raise ValueError("a report of the layers' errors needs at least one batch of images; received none")
    added, arriving, _ = np.sqrt(sums / np.maximum(sums[:, 2:], 1e-12)).T
    rows = [
        {"layer": name, "added": round(float(a), 5), "arriving": round(float(b), 5)}
        for name, a, b in zip(measured, added, arriving, strict=True)
    ]
    return sorted(rows, key=lambda row: -row["added"])


def _calls(quantizer):
    """Yield each call of a quantizer in its model: the options, the tensor that it takes and that which it gives."""
    for node in quantizer._inbound_nodes:
        yield node.arguments.kwargs, node.input_tensors[0], node.output_tensors[0]


def _clipped(x, quantizer, options):
    """Clip values to the range that later layers can distinguish."""
    low, high = (options.get(end) for end in ("low", "high"))
    if quantizer.fixed:
        low, high = quantizer.fixed
    low, high = -np.inf if low is None else low, np.inf if high is None else high
    return ops.clip(x, low, high)


def _several(operation):
    return isinstance(operation.output, (list, tuple))
