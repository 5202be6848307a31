"""From a `Serving` to the bytes of a .tflite file, by way of a SavedModel."""

import contextlib
import io
import logging
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from .tensorflow_process import convert_saved_model


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
    module = tf.Module()
    module.serve = serve.function()
    # What it reads alone: a model's other variables, such as seeds and metrics, are not of the file.
    module.variables_read = module.serve.get_concrete_function().variables
    with tempfile.TemporaryDirectory() as folder:
        with _quiet():
            tf.saved_model.save(module, folder, signatures=module.serve)
        samples = None
        if calibration is not None:
            samples = Path(folder, "calibration.npz")
            _save_samples(samples, serve.inputs, calibration)
        try:
            return convert_saved_model(folder, precision, io, samples)
        except RuntimeError as e:
            raise RuntimeError(f"TensorFlow can't convert {name} to {precision} ({e})") from e


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
