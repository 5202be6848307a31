"""Images in files of their own, within larger files, and in memory: their size, pixels and bytes."""

import io
import math
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ...tflite.device.frames import load_image  # the device's, so that a network is trained on what it will see

JPEG_END = b"\xff\xd9"
ORIENTATION = 0x0112  # EXIF tag; from 5 on the image lies on its side
FACTORS = (1, 2, 4, 8)  # by which a JPEG's resolution can be reduced while it is decoded


@dataclass(frozen=True)
class StoredImage:
    """An image file within a larger file, such as a TFRecord, that is read when it is needed."""

    file: Path  # the larger file
    offset: int  # its byte where the image begins
    length: int  # number of the image's bytes
    name: str  # the image's file name

    def __str__(self):
        return f"{self.file}: {self.name}"

    def read_bytes(self) -> bytes:
        """Read the image file, undecoded."""
        with open(self.file, "rb") as file:
            file.seek(self.offset)
            return file.read(self.length)


class Pixels(NamedTuple):
    """An image or a part of it, decoded."""

    array: np.ndarray  # (h, w, 3) uint8 RGB, upright
    factor: int  # by which its resolution is reduced
    corner: tuple[int, int]  # (x, y) in the whole image, in pixels of its full resolution, where the part begins
    size: tuple[int, int]  # (width, height) of the whole image in full resolution


def read_pixels(image, least=None, window=None):
    """Decode an image, a path, a `StoredImage` or the array itself, to `Pixels`, as `decode` does.

    A missing or broken image is an OSError that names the file.
    """
    if isinstance(image, np.ndarray):
        return Pixels(image, 1, (0, 0), image.shape[1::-1])
    with _naming(image):
        return decode(image.read_bytes(), least, window)


def decode(data, least=None, window=None):
    """Decode an image file, to the pixels that `tflite.device.frames.load_image` reads.

    Ordinary JPEG files are decoded by OpenCV or, in part, by TensorFlow: the same libjpeg-turbo, a third faster than
    through Pillow.

    Args:
        data: the file's bytes.
        least: where a half, quarter or eighth of a JPEG's resolution leaves its shorter side this many pixels, that is
            decoded; None for the whole.
        window: function of the upright image's (width, height) to the part that is needed, its (left, top, right,
            bottom) in pixels; of an ordinary JPEG no more than that and its neighbours is decoded. None for the whole.

    Returns:
        `Pixels`, of at least the window.

    Raises:
        OSError, ValueError: for a broken file.
    """
    import cv2  # an extra's

    with Image.open(io.BytesIO(data)) as header:
        ordinary = header.format == "JPEG" and header.mode in ("RGB", "L")
        # Asking for a PNG's orientation would decode it.
        orientation, size = header.getexif().get(ORIENTATION, 1) if ordinary else 1, header.size
    # OpenCV fills what is missing of a truncated file with grey, where Pillow raises.
    if not ordinary or not data.endswith(JPEG_END):
        pixels = np.asarray(load_image(io.BytesIO(data)))
        return Pixels(pixels, 1, (0, 0), pixels.shape[1::-1])
    factor = max(f for f in FACTORS if f == 1 or (least and min(size) // f >= least))
    if window and orientation == 1:
        return _decode_part(data, factor, size, window(size))
    flag = getattr(cv2, f"IMREAD_REDUCED_COLOR_{factor}" if factor > 1 else "IMREAD_COLOR")
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if pixels is None:
        raise ValueError("OpenCV can't decode it")
    size = size[::-1] if orientation >= 5 else size
    return Pixels(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels), factor, (0, 0), size)


def _decode_part(data, factor, size, window):
    import tensorflow as tf

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


def decoding_threads():
    """Return how many threads decode images at once: one per core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def upright_size(image):
    """Return (width, height) of an image in pixels, its EXIF orientation applied; of a file, read the header alone."""
    if isinstance(image, np.ndarray):
        return image.shape[1::-1]
    with _naming(image), Image.open(_openable(image)) as header:
        return header.size[::-1] if header.getexif().get(ORIENTATION, 1) >= 5 else header.size


def checked_size(path, said, source):
    """Return an image file's `upright_size`; raise a ValueError where its annotation said another (None: nothing)."""
    size = upright_size(path)
    if said not in (size, None):
        upright = f"{path.name} is {size[0]}x{size[1]} (upright)"
        raise ValueError(f"{source}: says {said[0]}x{said[1]}, but {upright}; image left out")
    return size


def image_file(image):
    """Return (bytes, format such as "jpeg") of an image as a file: its own, unchanged, or for an array a PNG."""
    with _naming(image):
        if isinstance(image, np.ndarray):
            file = io.BytesIO()
            Image.fromarray(image).save(file, "PNG")
            return file.getvalue(), "png"
        content = image.read_bytes()
        with Image.open(io.BytesIO(content)) as header:
            kind = header.format.lower()
    return content, "jpeg" if kind == "mpo" else kind  # MPO: JPEG followed by further images, as phones write it


def _openable(image):
    return io.BytesIO(image.read_bytes()) if isinstance(image, StoredImage) else image


@contextmanager
def _naming(image):
    try:
        yield
    except Exception as e:  # whatever a broken file makes a decoder raise
        raise OSError(f"{image}: not a readable image ({getattr(e, 'strerror', None) or e})") from e
