"""The bundled detector of blood cells in three files: of floats, of int8 between floats, and of integers alone."""

from functools import cache

import numpy as np
from PIL import Image

import cspkeras
from cspkeras.tflite import convert
from cspkeras.tflite.device.frames import to_input
from cspkeras.training import calibrate, quantize_aware

KINDS = {
    "float16": {"precision": "float16"},
    "int8": {"precision": "int8"},
    "integer": {"precision": "int8", "io": "uint8", "decode": "host"},
}


def pictures(test_data, count):
    """Return the first images of the BCCD data set."""
    return sorted((test_data / "data/bccd/JPEGImages").iterdir())[:count]


def write(path, kind, test_data):
    """Write the file of a kind; return its path."""
    model = cspkeras.YOLOXNano(weights="bccd") if kind == "float16" else _quantized(test_data)
    return convert(model, path, **KINDS[kind])


@cache
def _quantized(test_data):
    """The detector with 8 bits, calibrated on some of the data set's images, once for its two files."""
    model = cspkeras.YOLOXNano(weights="bccd")
    images = [np.asarray(Image.open(picture).convert("RGB")) for picture in pictures(test_data, 12)]
    inputs = [to_input(image, model.input_shape[1:3], "letterbox", 114)[None] / np.float32(255) for image in images]
    return calibrate(quantize_aware(model, inputs), inputs)
