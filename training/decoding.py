"""Picture files into pixels: the values that the device's script sees, sooner."""

import io

import cv2
import numpy as np
from PIL import Image

from ..tflite.detect import load_picture  # the device's, so that a network is trained on what it will see

JPEG_END = b"\xff\xd9"
FACTORS = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def decode(data, least=None):
    """A picture file's pixels, as `tflite.detect.load_picture` reads them.

    Usual JPEG files are decoded by OpenCV: the same libjpeg-turbo, a third faster than by way of Pillow.

    Args:
        data: the file's bytes.
        least: where a half, quarter or eighth of a JPEG's resolution leaves its shorter side this many pixels, that is
            decoded; None for the whole.

    Returns:
        ((h, w, 3) uint8 RGB array, upright; the factor by which its resolution is reduced).

    Raises:
        OSError, ValueError: for a broken file.
    """
    with Image.open(io.BytesIO(data)) as header:
        usual = header.format == "JPEG" and header.mode in ("RGB", "L")
        shorter = min(header.size)
    # OpenCV fills what is missing of a truncated file with grey, where Pillow raises.
    if not usual or not data.endswith(JPEG_END):
        return np.asarray(load_picture(io.BytesIO(data))), 1
    factor = max(f for f in FACTORS if f == 1 or (least and shorter // f >= least))
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), FACTORS[factor])
    if pixels is None:
        raise ValueError("OpenCV can't decode it")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels), factor
