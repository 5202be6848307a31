"""Files of integers: by quantization-aware layers, or by the converter's own calibration, whichever loses less."""

import logging
import re
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from ...detection.heads import RawHead
from ...files import scratch
from ...graph import Uncopied, followers, functional_graph, inputs_of, is_detector, operation_of, sources
from ...training.quantization.aware import calibrate, is_quantized, quantize_aware
from ...training.quantization.calibration import checked
from ...training.quantization.deployed import deployed
from ...training.quantization.quantizers import FakeQuant
from ..runtime import litert
from .saved_model import to_flatbuffer
from .serving import input_specs, serving

log = logging.getLogger("cspkeras")
COMPARED = 12  # inputs by which two files of a model are compared


def check_calibrated(quantized):
    """Raise a ValueError where a model from `quantize_aware` has ranges that have met no values."""
    if not any(layer.seen for layer in quantized.layers if isinstance(layer, FakeQuant) and not layer.fixed):
        raise ValueError(
            f"{quantized.name}: its ranges have met no values yet; train it, or call "
            "cspkeras.training.calibrate(model, images) first"
        )


def int8_file(model, names, calibration, refine_steps, io, decode, about):
    """Convert a model to int8.

    Args:
        model: a model that `prepared` gave, or one from `quantize_aware`.
        names: of its outputs.
        calibration: batches of inputs; None for a model that rounds itself.
        refine_steps: see `convert`, as io and decode.
        about: the file's settings, or None.

    Returns:
        The file's bytes, and the layers in it that stay in floats.
    """
    types = _types(model, io)
    if not isinstance(model, keras.Model):
        batches = None if calibration is None else [[batch] for batch in calibration]
        return to_flatbuffer(serving(model, decode, names), model.name, "int8", types, batches), []
    batches = None
    if not is_quantized(model):
        batches = list(checked(calibration, model))
    if functional_graph(model) is None or not _is_whole(model):
        content = _by_converter(model, names, batches, types)
        return content, _left(content, model)
    try:
        quantized = model if is_quantized(model) else _quantized(model, batches, refine_steps)
        content = _by_layers(quantized, names, types, decode, about)
    except (RuntimeError, Uncopied) as e:  # what layers of this library can't do, the converter may
        if is_quantized(model) or is_detector(model) or refine_steps:
            raise
        log.info("%s: quantized by TensorFlow's own calibration, since %s", model.name, e)
        content = _by_converter(model, names, batches, types)
        return content, _left(content, model)
    left = _left(content, model)
    if left and not is_quantized(model) and not is_detector(model):
        other = _by_converter(model, names, batches, types)
        noise, other_noise = _noises((content, other), model, names, batches)
        if other_noise < noise:
            return other, _left(other, model)
    return content, left


def wide_file(model, names, calibration, io, decode):
    """Convert a model to 16-bit activations and 8-bit weights; return the file's bytes."""
    batches = map(keras.tree.flatten, checked(calibration, model))
    return to_flatbuffer(serving(model, decode, names), model.name, "int16x8", (io, io), batches)


def _is_whole(model):
    """Whether all models inside of a model are functional."""
    inside = [layer for layer in functional_graph(model).layers if isinstance(layer, keras.Model)]
    return all(functional_graph(one) is not None and _is_whole(one) for one in inside)


def _types(model, io):
    """The types of a file's inputs and outputs: pixels in whole numbers stay so."""
    whole = all(spec.dtype.name == "uint8" for spec in input_specs(model))
    return ("uint8" if whole and io == "float32" else io), io


def _quantized(model, batches, refine_steps):
    quantized = calibrate(quantize_aware(model, batches if len(model.inputs) == 1 else None), batches)
    if not refine_steps:
        return quantized
    from ...training.quantization.refinement import augmented, refine

    return refine(quantized, model, augmented(batches), refine_steps)


def _by_layers(quantized, names, types, decode, about):
    """Convert a calibrated or trained model from `quantize_aware`."""
    ranges = {}
    if about:
        ranges |= _input_ranges(quantized, about["input"])
    if decode == "host":
        ranges |= _joint_ranges(quantized)
    serve = serving(quantized, decode, names, lambda model: deployed(model, ranges))
    return to_flatbuffer(serve, quantized.name, "int8", types)


def _by_converter(model, names, batches, types):
    """Convert a model by TensorFlow's own calibration."""
    return to_flatbuffer(serving(model, names=names), model.name, "int8", types, map(keras.tree.flatten, batches))


def _input_ranges(quantized, how):
    """{an image's `FakeQuant`: the range of all pixels}, so that bytes are its steps."""
    ends = [(np.float64(pixel) - how["mean"]) * how["scale"] for pixel in (0.0, 255.0)]
    range_ = min(0.0, float(np.min(ends))), max(0.0, float(np.max(ends)))
    after = followers(quantized)[operation_of(quantized.inputs[0])]
    return {layer: range_ for layer in after if isinstance(layer, FakeQuant)}


def _joint_ranges(quantized):
    """{the `FakeQuant` of each level's boxes: the range of all}, as they are to be in one tensor."""
    heads = [layer for layer in quantized.layers if isinstance(layer, RawHead)]
    quantizers = [_quantizer_before(operation_of(inputs_of(head)[0])) for head in heads]
    ends = [quantizer.steps() for quantizer in quantizers]
    joint = min(low for low, _ in ends), max(high for _, high in ends)
    return dict.fromkeys(quantizers, joint)


def _quantizer_before(operation):
    while not isinstance(operation, FakeQuant):
        (operation,) = sources(operation)
    return operation


def _noises(contents, model, names, batches):
    """Run files on some inputs; return the noise over signal of each, that of its noisiest output."""
    serve = serving(model, names=names)
    columns = [np.concatenate(parts) for parts in zip(*map(keras.tree.flatten, batches), strict=True)]
    size = serve.inputs[0].shape[0]
    count = max(1, min(COMPARED, len(columns[0])) // size)
    inputs = {spec.name: column[: count * size] for spec, column in zip(serve.inputs, columns, strict=True)}
    parts = ([array[i * size : (i + 1) * size] for array in inputs.values()] for i in range(count))
    compute, wanted = serve.function(), []
    for part in parts:
        found = compute(*(tf.cast(array, spec.dtype) for array, spec in zip(part, serve.inputs, strict=True)))
        wanted.append({name: value.numpy().astype("float64") for name, value in found.items()})
    noises = []
    for content in contents:
        noises.append(0.0)
        for name, values in _run(content, inputs).outputs.items():
            exact = np.stack([row[name] for row in wanted])
            noise = np.sqrt(np.mean((values - exact) ** 2)) / max(exact.std(), 1e-9)
            noises[-1] = max(noises[-1], noise)
    return noises


def _run(content, inputs=None):
    with scratch() as folder:
        path = Path(folder, "int8.tflite")
        path.write_bytes(content)
        return litert.run_cpu(path, inputs)


def _left(content, model):
    """What stays in floats: layers with their classes, and operations inside that belong to none."""
    layers = {one.name: type(one).__name__ for one in _operations(model)}
    inside, end = _run(content).graph.float_operations()
    left = {}
    for operation in [*inside, *end]:
        name = operation.outputs[0].name
        layer = next((part for part in re.split("[/;]", name) if part in layers), None)
        if layer or operation in inside:
            left[f"{layer} ({layers[layer]})" if layer else f"{operation.kind} of {name}"] = None
    return list(left)


def _operations(model):
    graph = functional_graph(model)
    return graph.operations if graph else model._flatten_layers()
