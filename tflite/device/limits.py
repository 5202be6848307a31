"""How much is taken of a file, which may claim any size: limits that a variable raises, members of a zip archive."""

import os
import zipfile
import zlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """The largest number of something; the environment variable of its name sets another.

    Example:
        >>> classes = Limit("CSPKERAS_MAX_CLASSES", 100_000, "classes")
        >>> classes.check(80, "x.keras")
        >>> classes.check(10**9, "x.keras")
        Traceback (most recent call last):
        ...
        ValueError: x.keras: 1,000,000,000 classes; at most 100,000 are accepted, set CSPKERAS_MAX_CLASSES for more
    """

    variable: str
    default: int
    unit: str

    @property
    def most(self) -> int:
        """The number that holds now."""
        text = os.environ.get(self.variable) or str(self.default)
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise ValueError(f"{self.variable} must be a whole number of {self.unit}. Received: {text[:40]!r}")
        return int(text)

    @property
    def exceeded(self) -> str:
        """What is said of more, where nobody knows how much."""
        return f"more than {self.most:,} {self.unit}; set {self.variable} for more"

    def check(self, found: float, place: object = None) -> None:
        """Raise a ValueError that begins with the place, if given, where `found` is more."""
        if found > (most := self.most):
            begin = "" if place is None else f"{place}: "
            raise ValueError(
                f"{begin}{found:,.15g} {self.unit}; at most {most:,} are accepted, set {self.variable} for more"
            )


PIXELS = Limit("CSPKERAS_MAX_PIXELS", 64_000_000, "pixels")  # of an image
MEMORY = Limit("CSPKERAS_MAX_MEMORY", 1 << 32, "bytes of memory")  # of a .tflite file's network

LARGEST = 1 << 24  # bytes of settings or of class names; a line of 16 for each of a million classes
METHODS = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
DAMAGED = EOFError, NotImplementedError, OSError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error


def read_members(file, names):
    """Return the bytes of some members of the archive at the end of an open file.

    Raises:
        KeyError: there is no archive, or no member of a name.
        ValueError: a member is encrypted, packed in a way that is not known here, damaged, or longer than `LARGEST`.
    """
    try:
        archive = zipfile.ZipFile(file)
    except DAMAGED as error:
        raise KeyError(str(error)) from None
    with archive:
        return [_read(archive, archive.getinfo(name)) for name in names]


def _read(archive, member):
    if member.file_size > LARGEST:
        raise ValueError(f"its {member.filename} has {member.file_size:,} bytes; at most {LARGEST:,} are read")
    if member.compress_type not in METHODS:
        raise ValueError(f"its {member.filename} can't be unpacked: it is neither stored as it is nor deflated")
    try:
        return archive.read(member)
    except DAMAGED as error:
        raise ValueError(f"its {member.filename} can't be unpacked: {error}") from None
