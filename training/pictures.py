"""Pictures in files of their own, within larger files, and in memory: their size, their pixels, their bytes."""

import io
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

ORIENTATION = 0x0112  # EXIF tag; from 5 on the picture lies on its side


@dataclass(frozen=True)
class StoredImage:
    """A picture file that lies within a larger file, such as a TFRecord, and is read when it is needed.

    Attributes:
        file: the larger file.
        offset: its byte where the picture begins.
        length: number of the picture's bytes.
        name: the picture's file name.
    """

    file: Path
    offset: int
    length: int
    name: str

    def __str__(self):
        return f"{self.file}: {self.name}"

    def read_bytes(self):
        """The picture file, undecoded."""
        with open(self.file, "rb") as file:
            file.seek(self.offset)
            return file.read(self.length)


class Pixels(NamedTuple):
    """A picture or a part of it, decoded.

    Attributes:
        array: (h, w, 3) uint8 RGB, upright.
        factor: by which its resolution is reduced.
        corner: (x, y) in the whole picture, in pixels of its full resolution, where the part begins.
        size: (width, height) of the whole picture in full resolution.
    """

    array: np.ndarray
    factor: int
    corner: tuple[int, int]
    size: tuple[int, int]


def read_pixels(image, least=None, window=None):
    """A picture's `Pixels`.

    Args:
        image: a path, a `StoredImage`, or the array itself.
        least, window: as `decoding.decode`.

    Raises:
        OSError: for a missing or broken picture, naming the file.
    """
    if isinstance(image, np.ndarray):
        return Pixels(image, 1, (0, 0), image.shape[1::-1])
    from .decoding import decode  # here: OpenCV is an extra's

    with _naming(image):
        return decode(image.read_bytes(), least, window)


def upright_size(image):
    """(width, height) of a picture in pixels, its EXIF orientation applied; reads no more of a file than its header.

    Args, Raises: as `read_pixels`.
    """
    if isinstance(image, np.ndarray):
        return image.shape[1::-1]
    with _naming(image), Image.open(_openable(image)) as picture:
        turned = picture.getexif().get(ORIENTATION, 1) >= 5
        return picture.size[::-1] if turned else picture.size


def checked_size(path, said, source):
    """`upright_size` of a picture file that an annotation says is (width, height) `said`; None where it says nothing.

    Raises:
        OSError: as `upright_size`.
        ValueError: where the picture is of another size, naming `source`, the annotation's file.
    """
    size = upright_size(path)
    if said not in (size, None):
        upright = f"{path.name} is {size[0]}x{size[1]} (upright)"
        raise ValueError(f"{source}: says {said[0]}x{said[1]}, but {upright}; picture left out")
    return size


def picture_file(image):
    """(bytes, format such as "jpeg") of a picture as a file: its own, unchanged, and for an array a PNG.

    Raises:
        OSError: as `read_pixels`; the header alone is looked at.
    """
    with _naming(image):
        if isinstance(image, np.ndarray):
            file = io.BytesIO()
            Image.fromarray(image).save(file, "PNG")
            return file.getvalue(), "png"
        content = image.read_bytes()
        with Image.open(io.BytesIO(content)) as picture:
            kind = picture.format.lower()
    return content, "jpeg" if kind == "mpo" else kind  # MPO: JPEG with further pictures behind, as phones write it


def _openable(image):
    return io.BytesIO(image.read_bytes()) if isinstance(image, StoredImage) else image


@contextmanager
def _naming(image):
    try:
        yield
    except Exception as e:  # whatever a broken file makes a decoder raise
        raise OSError(f"{image}: not a readable picture ({getattr(e, 'strerror', None) or e})") from e
