"""How much is read of a file that may come from anyone: each limit with its unit and the variable that raises it.

A file's own length bounds what it may hold; these bound what it may claim, unpack or make. Those of the scripts for a
device, which import nothing, are in `tflite/device/archive.py`.
"""

import os
from dataclasses import dataclass

from .tflite.device.frames import MORE_PIXELS, MOST_PIXELS


@dataclass(frozen=True)
class Limit:
    """The largest number of something; the environment variable of its name sets another.

    Example:
        >>> from cspkeras.limits import CLASSES
        >>> CLASSES.check(80, "x.keras")
        >>> CLASSES.check(10**9, "x.keras")
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

    def check(self, found: float, place: object) -> None:
        """Raise a ValueError that begins with the place where `found` is more."""
        if found > (most := self.most):
            raise ValueError(
                f"{place}: {found:,.12g} {self.unit}; at most {most:,} are accepted, set {self.variable} for more"
            )


CLASSES = Limit("CSPKERAS_MAX_CLASSES", 100_000, "classes")
LAYERS = Limit("CSPKERAS_MAX_LAYERS", 5_000, "layers")  # of a .keras file, each call of a shared one counted
SECTIONS = Limit("CSPKERAS_MAX_SECTIONS", 500, "layers")  # of a cfg; DenseNet201's has 307
WEIGHTS = Limit("CSPKERAS_MAX_WEIGHTS", 2 * 10**8, "weights")  # of a cfg's network; VGG-16 has 1.4e8
TEXT = Limit("CSPKERAS_MAX_TEXT", 1 << 24, "bytes of text")  # of one file or member that is parsed
NAME = Limit("CSPKERAS_MAX_NAME", 1_000, "characters of a name")
UNPACKED = Limit("CSPKERAS_MAX_UNPACKED", 1 << 29, "unpacked bytes")  # of an archive that is longer than its file
ANNOTATIONS = Limit("CSPKERAS_MAX_ANNOTATIONS", 1 << 30, "bytes of annotations")  # of a file; COCO's have 4.5e8
YAML = Limit("CSPKERAS_MAX_YAML", 1 << 20, "bytes of YAML")  # ten seconds' work; ImageNet-21k's names are half of it
IMAGE = Limit("CSPKERAS_MAX_IMAGE", 1 << 28, "bytes of an image")  # of its file, or of a record with it
PIXELS = Limit(MORE_PIXELS, MOST_PIXELS, "pixels")  # of an image
DOWNLOAD = Limit("CSPKERAS_MAX_DOWNLOAD", 1 << 32, "bytes to download")  # where no size is published
