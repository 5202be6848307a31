"""A format of data sets, as `readers.FORMATS` lists it."""

from collections.abc import Callable
from dataclasses import dataclass

SPLIT_ORDER = ("train", "training", "val", "valid", "validation", "test", "testing")  # usual names of splits


@dataclass(frozen=True)
class Format:
    """How data sets of one format are recognized and read.

    Each function gets the data set as a `files.folder.Folder`, or as a path where it is not a folder.

    Attributes:
        key: what --format calls it.
        name: noun phrase for help texts and messages, such as "YOLO folder".
        expected: what a path must be or hold to be of this format, for messages.
        matches: function of (data set, split); whether it is of this format. It may get any path, also one that does
            not exist, and must be quick: it looks at names and at the beginning of a few files.
        splits: function of (data set); the names of its parts in any order, none for one that has no parts.
        read: function of (data set, split, class_names); a `DetectionData` or `ClassificationData`.
        takes_images: whether `read` has a fourth argument `images`, the folder of the images or None.
        describes: function of a path; whether the file is the annotation of one image. None where no file is.
    """

    key: str
    name: str
    expected: str
    matches: Callable
    splits: Callable
    read: Callable
    takes_images: bool = False
    describes: Callable | None = None
