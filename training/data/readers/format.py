"""A format of data sets, as `readers.FORMATS` lists it."""

from collections.abc import Callable
from dataclasses import dataclass

SPLIT_ORDER = ("train", "training", "val", "valid", "validation", "test")  # usual names of splits


@dataclass(frozen=True)
class Format:
    """How data sets of one format are recognized and read.

    Attributes:
        name: noun phrase for help texts and messages, such as "YOLO folder".
        expected: what a path must be or hold to be of this format, for messages.
        matches: function of (path, split); whether the data set is of this format. It may get any path, also one that
            does not exist, and must be quick: it looks for files and reads none.
        splits: function of (path); the names of the data set's parts in any order, none for one that has no parts.
        read: function of (path, split, class_names); a `DetectionData` or `ClassificationData`.
        takes_images: whether `read` has a fourth argument `images`, the folder of the images or None.
    """

    name: str
    expected: str
    matches: Callable
    splits: Callable
    read: Callable
    takes_images: bool = False
