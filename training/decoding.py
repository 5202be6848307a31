"""Picture files into pixels: the values that the device's script sees, sooner."""

import io
import math

import cv2
import numpy as np
import tensorflow as tf
from PIL import Image

from ..tflite.frames import load_picture  # the device's, so that a network is trained on what it will see
from .pictures import ORIENTATION, Pixels

JPEG_END = b"\xff\xd9"
FACTORS = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def decode(data, least=None, window=None):
    """A picture file's pixels, as `tflite.frames.load_picture` reads them.

    Usual JPEG files are decoded by OpenCV or, in part, by TensorFlow: the same libjpeg-turbo, a third faster than by
    way of Pillow.

    Args:
        data: the file's bytes.
        least: where a half, quarter or eighth of a JPEG's resolution leaves its shorter side this many pixels, that is
            decoded; None for the whole.
        window: function of the upright picture's (width, height) to the part that is needed, its (left, top, right,
            bottom) in pixels; from a usual JPEG no more than that and its neighbours is decoded. None for the whole.

    Returns:
        `Pixels`, of at least the window.

    Raises:
        OSError, ValueError: for a broken file.
    """
    with Image.open(io.BytesIO(data)) as header:
        usual = header.format == "JPEG" and header.mode in ("RGB", "L")
        turn, size = header.getexif().get(ORIENTATION, 1) if usual else 1, header.size  # a PNG's would decode it
    # OpenCV fills what is missing of a truncated file with grey, where Pillow raises.
    if not usual or not data.endswith(JPEG_END):
        pixels = np.asarray(load_picture(io.BytesIO(data)))
        return Pixels(pixels, 1, (0, 0), pixels.shape[1::-1])
    factor = max(f for f in FACTORS if f == 1 or (least and min(size) // f >= least))
    if window and turn == 1:
        return _part(data, factor, size, window(size))
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), FACTORS[factor])
    if pixels is None:
        raise ValueError("OpenCV can't decode it")
    size = size[::-1] if turn >= 5 else size
    return Pixels(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels), factor, (0, 0), size)


def _part(data, factor, size, window):
    # One pixel more on each side, for interpolation; `factor` leaves libjpeg a last pixel that is a part of one.
    first = [max(0, math.floor(low / factor) - 1) for low in window[:2]]
    last = [min(-(-side // factor), math.ceil(high / factor) + 1) for side, high in zip(size, window[2:], strict=True)]
    (left, top), (width, height) = first, (max(1, b - a) for a, b in zip(first, last, strict=True))
    try:
        pixels = tf.raw_ops.DecodeAndCropJpeg(
            contents=data,
            crop_window=(top, left, height, width),
            channels=3,
            ratio=factor,
            dct_method="INTEGER_ACCURATE",  # as OpenCV
        )
    except tf.errors.InvalidArgumentError as e:
        raise ValueError("TensorFlow can't decode it") from e
    return Pixels(np.asarray(pixels), factor, (left * factor, top * factor), size)
