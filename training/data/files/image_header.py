"""The size of a JPEG or PNG file by its first bytes, where these show that it is upright: a tenth of Pillow's time.

Nothing else is decided here: of a file that may be turned, damaged or unusual nothing is said, and Pillow is asked.
"""

import struct

from ....limits import PIXELS
from .regular import size_of

HEAD = 8192  # bytes
START_OF_SCAN = 0xDA
FRAMES = 0xC0, 0xC1, 0xC2  # baseline, extended, progressive
PLAIN = (0xC4, 0xDB, 0xDD, 0xE0, 0xED, 0xEE, 0xFE)  # JPEG's segments that don't turn it: tables, JFIF, Adobe, comments
PROFILE = 0xE2, b"ICC_PROFILE\0"
PNG = b"\x89PNG\r\n\x1a\n"
CHUNKS = (b"IDAT", b"PLTE", b"bKGD", b"cHRM", b"gAMA", b"iCCP", b"pHYs", b"sBIT", b"sRGB", b"tIME", b"tRNS")


def plain_size(path, offset=0, length=None):
    """Return (width, height) of an upright JPEG or PNG, or None where that takes a closer look.

    Args:
        path: the file, or one that holds it.
        offset: its first byte there.
        length: its number of bytes there; None for the whole file.
    """
    try:
        whole = size_of(path)
        with open(path, "rb", buffering=0) as file:
            end = offset + (whole - offset if length is None else length)
            head = _read(file, offset, min(HEAD, end - offset))
            size = _png_size(file, head, offset, end) if head.startswith(PNG) else _jpeg_size(head)
    except (OSError, IndexError, ValueError, struct.error):  # ValueError: a name that no file can have
        return None
    return size if size and 0 < size[0] * size[1] <= PIXELS.most else None


def _read(file, place, count):
    file.seek(place)
    return file.read(count)


def _jpeg_size(head):
    size, place = None, 2
    if not head.startswith(b"\xff\xd8\xff"):
        return None
    while True:
        mark, kind, length = struct.unpack_from(">BBH", head, place)
        if mark != 0xFF:
            return None
        if kind == START_OF_SCAN:
            return size
        if kind in FRAMES and size is None:
            bits, height, width, colours = struct.unpack_from(">BHHB", head, place + 4)
            if bits != 8 or colours not in (1, 3):
                return None
            size = width, height
        elif kind not in PLAIN and not (kind == PROFILE[0] and head.startswith(PROFILE[1], place + 4)):
            return None
        place += 2 + length


def _png_size(file, head, offset, end):
    """Return the size where no chunk, of which one may follow the pixels, can hold an orientation."""
    length, kind, width, height = struct.unpack_from(">I4sII", head, len(PNG))
    place = offset + len(PNG) + length + 12
    if kind != b"IHDR" or length != 13:
        return None
    while True:
        length, kind = struct.unpack(">I4s", _read(file, place, 8))
        place += length + 12
        if place > end or kind not in (*CHUNKS, b"IEND"):
            return None
        if kind == b"IEND":
            return width, height
