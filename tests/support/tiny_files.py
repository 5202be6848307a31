"""Small .tflite files as others make them, converted from functions, and a detector whose outputs are given."""

import tempfile
from types import SimpleNamespace

import numpy as np

from cspkeras.tflite.device.detect import Detector


def converted(functions, *shapes, samples=None, io="float32", names=None):
    """Convert a function of tensors, or a dictionary of them by the names of their signatures, to a .tflite file.

    Args:
        functions: of float32 tensors, to a dictionary of tensors or to one, "output".
        shapes: of the inputs, None where open.
        samples: inputs to calibrate an int8 network on: arrays, each for a run of the only input.
        io: the type of an int8 network's inputs and outputs.

    Returns:
        The file's bytes.
    """
    import tensorflow as tf

    functions = functions if isinstance(functions, dict) else {"serving_default": functions}
    specs = [tf.TensorSpec(shape, tf.float32, name=f"input_{i}") for i, shape in enumerate(shapes)]

    def named(function):
        def serve(*tensors):
            made = function(*tensors)
            return made if isinstance(made, dict) else {"output": made}

        return tf.function(serve, input_signature=specs)

    module = tf.Module()
    module.kept = {key: named(function) for key, function in functions.items()}
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=module.kept)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[*functions])
        if samples is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([sample] for sample in samples)
            converter.inference_input_type = converter.inference_output_type = getattr(tf, io)
        return converter.convert()


def bare(content):
    """Return a file's bytes without the archive after the network."""
    start = content.find(b"PK\x03\x04")
    return content if start < 0 else content[:start]


def quantized(values, kind):
    """Quantize numbers to a kind (type, scale, zero point); scale 0: they stay floats."""
    dtype, scale, zero_point = kind
    if not scale:
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.round(values / scale) + zero_point, limits.min, limits.max).astype(dtype)


def dequantized(values, kind):
    """Return the numbers that a kind's integers stand for, in 64 bits."""
    return (values.astype(float) - kind[2]) * (kind[1] or 1)


def made_detector(settings, classes, outputs, size):
    """Make a `Detector` whose network's outputs are given: names to pairs of an array (1, ...) and its kind."""
    made = Detector.__new__(Detector)
    made._path, made.settings, made.times = "made.tflite", settings, {}
    made.labels = [f"class {i}" for i in range(classes)]
    arrays = [array for array, _ in outputs.values()]
    made._interpreter = SimpleNamespace(
        set_tensor=lambda *_: None, invoke=lambda: None, tensor=lambda i: lambda: arrays[i]
    )
    made._size, made._input = size, {"index": 99}
    made._preprocess = lambda image: None
    made._outputs = {
        name: {"index": i, "shape": np.array(array.shape), "quantization": kind[1:]}
        for i, (name, (array, kind)) in enumerate(outputs.items())
    }
    return made
