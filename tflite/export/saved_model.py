"""From a `Serving` to the bytes of a .tflite file, by way of a SavedModel."""

import contextlib
import io
import logging
import re
from pathlib import Path

import numpy as np
import tensorflow as tf

from ...files import scratch
from .tensorflow_process import convert_saved_model

INSTEAD = {  # of TensorFlow's operations that TFLite lacks: what Keras has in place of them
    "AvgPool3D": "AveragePooling2D",
    "Erf": "gelu(x, approximate=True)",
    "Erfc": "gelu(x, approximate=True)",
    "MaxPool3D": "MaxPooling2D",
}


def to_flatbuffer(serve, name, precision, io=("float32", "float32"), calibration=None):
    """Convert a `Serving`.

    Args:
        serve: what is converted.
        name: the model's, for errors.
        precision: see `convert_saved_model`, as io.
        io: of inputs and outputs.
        calibration: iterable of batches, a list of an array for each input, to find the ranges of integers by; None
            where the function rounds itself, or computes in floats.

    Returns:
        The file's bytes.

    Raises:
        RuntimeError: TensorFlow can't convert it.
    """
    module, compute = tf.Module(), serve.function().get_concrete_function()  # traced once: saving would trace it anew
    # What it reads alone: a model's other variables, such as seeds and metrics, are not of the file.
    module.variables_read = compute.variables
    with scratch() as folder:
        with _quiet():
            how = tf.saved_model.SaveOptions(experimental_skip_saver=not module.variables_read)
            tf.saved_model.save(module, str(folder), signatures=compute, options=how)
        samples = None
        if calibration is not None:
            samples = Path(folder, "calibration.npz")
            _save_samples(samples, serve.inputs, calibration)
        try:
            return convert_saved_model(folder, precision, io, samples)
        except RuntimeError as e:
            reason = f"{e}{_where(str(e), compute.graph)}"
            raise RuntimeError(f"TensorFlow can't convert {name} to {precision} ({reason})") from e


def _where(reason, graph):
    """Which layers an error of the converter is about, and what would do in place of them."""
    kinds = set(re.findall(r"tf\.(\w+)", reason))
    # An operation's name is "model/layer/operation".
    layers = {o.name.split("/")[:-1][-1] for o in graph.get_operations() if o.type in kinds and "/" in o.name}
    text = f" of layer {', '.join(sorted(layers))}" if layers else ""
    instead = sorted({INSTEAD[kind] for kind in kinds if kind in INSTEAD})
    return f"{text}; use {', '.join(instead)} instead" if instead else text


def _save_samples(path, inputs, batches):
    """Write the samples of all batches, for each input one array (samples, *its shape)."""
    arrays = {}
    for spec, *parts in zip(inputs, *batches, strict=True):
        whole = np.concatenate([np.asarray(part, spec.dtype.as_numpy_dtype) for part in parts])
        whole = whole[: len(whole) // spec.shape[0] * spec.shape[0]]
        arrays[spec.name] = whole.reshape(-1, *spec.shape)
    np.savez(path, **arrays)


@contextlib.contextmanager
def _quiet():
    """Silence what TensorFlow prints and logs of its saving."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
