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

from ...limits import IMAGE

# The device's, so that a network is trained on what it will see.
from ...tflite.device.frames import ORIENTATION as ORIENTATION  # for others
from ...tflite.device.frames import load_image, open_image, orientation, reason
from ...tflite.device.printing import printable, shortened
from .files.image_header import plain_size
from .files.regular import size_of

JPEG_END = b"\xff\xd9"
FACTORS = (1, 2, 4, 8)  # by which a JPEG's resolution can be reduced while it is decoded
FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}  # {EXIF orientation: OpenCV's code}, from 5 on after a transposition
# libjpeg's warnings, by their beginning: of lost pixels, and others. Some phones cause the first of the others always.
DAMAGE = ("Corrupt JPEG data", "Premature end of JPEG file", "Inconsistent progression sequence")
HARMLESS = ("Invalid SOS parameters for sequential JPEG", "Unknown Adobe color transform", "Warning: unknown JFIF")
DARK = 14  # bits of 16: images that use no more are a quarter as bright as they could be, or darker
UNREADABLE = {  # suffixes of images that are not read, and what they are
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIF, as iPhones take photos"),
    **dict.fromkeys((".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".kdc", ".mrw"), "a raw photo"),
    **dict.fromkeys((".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".sr2", ".srf", ".srw"), "a raw photo"),
    **dict.fromkeys((".psb", ".psd"), "Photoshop's format"),
    **dict.fromkeys((".exr", ".hdr"), "an image of high dynamic range"),
    **dict.fromkeys((".ai", ".emf", ".eps", ".svg", ".svgz", ".wmf"), "a vector graphic"),
    **dict.fromkeys((".dcm", ".nii"), "a medical image"),
    **{".jxl": "JPEG XL", ".jxr": "JPEG XR", ".pdf": "a PDF document", ".xcf": "GIMP's format"},
}


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
    damage: str | None = None  # what is wrong with an image that could be decoded; of a part it may be unknown


def read_pixels(image, least=None, window=None, check=False):
    """Decode an image, a path, a `StoredImage` or the array itself, to `Pixels`, as `decode` does.

    A missing or broken image is an OSError that names the file.
    """
    if isinstance(image, np.ndarray):
        return Pixels(image, 1, (0, 0), image.shape[1::-1])
    with _naming(image):
        return decode(_content(image), least, window, check)


def decode(data, least=None, window=None, check=False):
    """Decode an image file, to the pixels that `tflite.device.frames.load_image` reads.

    Ordinary JPEG files are decoded by simplejpeg or, in part, by TensorFlow: the same libjpeg-turbo, a third faster
    than through Pillow.

    Args:
        data: the file's bytes.
        least: where a half, quarter or eighth of a JPEG's resolution leaves its shorter side this many pixels, that is
            decoded; None for the whole.
        window: function of the upright image's (width, height) to the part that is needed, its (left, top, right,
            bottom) in pixels; of an ordinary JPEG no more than that and its neighbours is decoded. None for the whole.
        check: look for damage where a part is decoded, too, which takes as long again.

    Returns:
        `Pixels`, of at least the window.

    Raises:
        OSError, ValueError: for a broken file.
    """
    with open_image(io.BytesIO(data)) as header:
        jpeg = header.format in ("JPEG", "MPO")  # MPO: JPEG followed by further images, as phones write it
        ordinary, size = jpeg and header.mode in ("RGB", "L"), header.size
        turn = orientation(header) if ordinary else 1  # asking for a PNG's would decode it
        deep = header.format in ("PNG", "TIFF") and header.mode != "F" and ";16" in str(header.tile)
    if ordinary:
        factor = max(f for f in FACTORS if f == 1 or (least and min(size) // f >= least))
        whole = data.endswith(JPEG_END)  # or something is appended, or the end is missing
        if window and turn == 1 and whole:
            damage = _jpeg_damage(data) if check else None
            return _decode_part(data, factor, size, window(size), damage)
        pixels, damage = _decode_jpeg(data, factor, size)
        if pixels is not None and (whole or not damage):
            return Pixels(_upright(pixels, turn), factor, (0, 0), size[::-1] if turn >= 5 else size, damage)
    pixels = np.asarray(load_image(io.BytesIO(data)))  # or an error where the end is missing
    if not ordinary:
        damage = _jpeg_damage(data, "CMYK") if jpeg else None
    if deep and pixels.max() < 2 ** (DARK - 8) + 1:
        damage = _unused_bits(data)
    return Pixels(pixels, 1, (0, 0), pixels.shape[1::-1], damage)


def _decode_jpeg(data, factor, size):
    """Return the pixels as stored, or None where simplejpeg can't, and libjpeg's warning of lost pixels, or None."""
    import simplejpeg  # an extra's

    width, height = (-(-side // factor) for side in size)
    reduced = {"min_factor": factor, "min_width": width, "min_height": height} if factor > 1 else {}
    try:
        return simplejpeg.decode_jpeg(data, "RGB", **reduced), None
    except ValueError as e:
        message = str(e)
    damage = message if message.startswith(DAMAGE) else None
    if not damage and not message.startswith(HARMLESS):
        return None, None  # an error, also after a warning: without `strict` the other pixels would be any
    try:
        return simplejpeg.decode_jpeg(data, "RGB", strict=False, **reduced), damage
    except ValueError:  # the warning was of the header
        return None, damage


def _jpeg_damage(data, colors="RGB"):
    """Return libjpeg's warning of lost pixels, or None; the least resolution is enough to learn of it."""
    import simplejpeg

    try:
        simplejpeg.decode_jpeg(data, colors, min_factor=FACTORS[-1], min_width=1, min_height=1)
    except ValueError as e:
        return str(e) if str(e).startswith(DAMAGE) else None
    return None


def _upright(pixels, turn):
    import cv2  # ten times as fast as NumPy

    pixels = cv2.transpose(pixels) if turn >= 5 else pixels
    return cv2.flip(pixels, FLIPS[turn]) if turn in FLIPS else pixels


def _unused_bits(data):
    """Return what is wrong with an image of 16 bits per value of which so few are used that it is dark, or None."""
    with open_image(io.BytesIO(data)) as image:
        values = np.asarray(image)
    bits = int(values.max()).bit_length()
    bits += 8 * (values.dtype == np.uint8 and bits > 0)  # of colours Pillow keeps the upper half
    used = max(8, bits + bits % 2)
    if not bits or used > DARK:
        return None
    return f"16 bits per value, of which {used} are used: {'dark' if used == DARK else 'nearly black'}"


def _decode_part(data, factor, size, window, damage):
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
            dct_method="INTEGER_ACCURATE",  # as simplejpeg
        )
    except tf.errors.InvalidArgumentError as e:
        raise ValueError("TensorFlow can't decode it") from e
    return Pixels(np.asarray(pixels), factor, (left * factor, top * factor), size, damage)


def decoding_threads():
    """Return how many threads decode images at once: one per core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def upright_size(image):
    """Return (width, height) of an image in pixels, its EXIF orientation applied; of a file, read the header alone."""
    if isinstance(image, np.ndarray):
        return image.shape[1::-1]
    if size := plain_size(*_place(image)):
        return size
    with _naming(image), _opened(image) as header:
        turn = orientation(header)
        return header.size[::-1] if turn >= 5 else header.size


def pixel_count(image):
    """Return how many pixels an image has, by its header; 0 where that can't be read."""
    if isinstance(image, np.ndarray):
        return image.shape[0] * image.shape[1]
    try:
        if size := plain_size(*_place(image)):
            return math.prod(size)
        with _naming(image), _opened(image) as header:
            return math.prod(header.size)
    except OSError:
        return 0


def checked_size(path, said, source):
    """Return an image file's `upright_size`; raise a ValueError where its annotation said another (None: nothing)."""
    size = upright_size(path)
    if said is not None:
        check_size(path, size, said, source)
    return size


def check_size(image, size, said, source, error=ValueError):
    """Raise an `error` where the (width, height) of an image is not what `source` says of it."""
    if said != size:
        upright = f"{shown(image.name)} is {size[0]}x{size[1]} (upright)"
        raise error(f"{source}: says {said[0]}x{said[1]}, but {upright}; image left out")


def image_file(image):
    """Return (bytes, format such as "jpeg") of an image as a file: its own, unchanged, or for an array a PNG."""
    with _naming(image):
        if isinstance(image, np.ndarray):
            file = io.BytesIO()
            Image.fromarray(image).save(file, "PNG")
            return file.getvalue(), "png"
        content = _content(image)
        with open_image(io.BytesIO(content)) as header:
            kind = header.format.lower()
    return content, "jpeg" if kind == "mpo" else kind


def shown(name):
    """Return the name or path of an image as one line of text that can be printed, whatever bytes it has."""
    return shortened(printable(str(name)).replace("\n", "\\n"))


def name_bytes(name):
    """Return a file's name as bytes: UTF-8, or its own where they are not."""
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogatepass")  # half a pair of surrogates, as JSON may hold it


def damage_line(image, damage):
    """Return the line that reports the `Pixels.damage` of an image."""
    return f"{shown(image)}: damaged ({damage}), what is left of it is used"


def _place(image):
    """Return the arguments of `plain_size`."""
    return (image.file, image.offset, image.length) if isinstance(image, StoredImage) else (image,)


def _opened(image):
    return open_image(io.BytesIO(image.read_bytes()) if isinstance(image, StoredImage) else image)


def _content(image):
    if isinstance(image, Path):
        IMAGE.check(size_of(image), "its file")
    return image.read_bytes()


@contextmanager
def _naming(image):
    try:
        yield
    except ImportError:  # of an extra
        raise
    except Exception as e:  # whatever a broken file makes a decoder raise
        raise OSError(f"{shown(image)}: not a readable image ({reason(e)})") from e
