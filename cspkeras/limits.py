"""How much is read of a file that may come from anyone: each limit with its unit and the variable that raises it.

A file's own length bounds what it may hold; these bound what it may claim, unpack or make. Those that the scripts for a
device have too come from there, since these import nothing.
"""

from .tflite.device.limits import MEMORY, PIXELS, Limit  # noqa: F401

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
DOWNLOAD = Limit("CSPKERAS_MAX_DOWNLOAD", 1 << 32, "bytes to download")  # where no size is published
