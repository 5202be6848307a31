"""`read` and `splits`: data sets of any known format."""

import os
from collections.abc import Sequence
from pathlib import Path

from .examples import ClassificationData, DetectionData
from .readers import FORMATS
from .readers.format import SPLIT_ORDER


def read(
    path: os.PathLike[str] | str,
    split: str | None = None,
    class_names: Sequence[str] | None = None,
    images: os.PathLike[str] | str | None = None,
) -> DetectionData | ClassificationData:
    """Read a data set, whichever of the known formats it is in.

    Args:
        path: a Pascal VOC folder; a COCO folder or .json file (the folder has annotations/instances_<split>.json, as
            COCO is distributed); a YOLO folder or its data.yaml; a folder of TFRecords or one of them; a folder of
            classes, a folder of images each; or a set of TensorFlow Datasets (tfds:NAME).
        split: the part to read, such as "train"; ignored where the data set has no parts.
        class_names: the classes to read; None for those of the data set.
        images: folder of a COCO file's images; None looks where they usually lie.

    Returns:
        `DetectionData`, or `ClassificationData` where images have a class and no boxes.

    Raises:
        OSError, ValueError: where nothing can be read; see the format's own function, such as `read_voc`.
        ImportError: where "tfds:" needs tensorflow-datasets.

    Example:
        >>> from cspkeras.training import read
        >>> data = read("bccd", "train")  # doctest: +SKIP
        >>> data.class_names  # doctest: +SKIP
        ('Platelets', 'RBC', 'WBC')
    """
    known = _format_of(path, split)
    if known.takes_images:
        return known.read(path, split, class_names, images)
    if images:
        raise ValueError(f"{path}: a {known.name} says itself where its images are; {images} is for COCO's files")
    return known.read(path, split, class_names)


def splits(path: os.PathLike[str] | str) -> list[str]:
    """List the splits of a data set.

    Args:
        path: the data set, as for `read`.

    Returns:
        The names of its parts: train, val, test, then others; none for a data set without parts.

    Raises:
        OSError: where there is nothing at `path`.
        ValueError: where it is in none of the known formats.
        ImportError: where "tfds:" needs tensorflow-datasets.

    Example:
        >>> from cspkeras.training import splits
        >>> splits("bccd")  # doctest: +SKIP
        ['train', 'val', 'test']
    """
    names = _format_of(path).splits(path)
    return sorted(names, key=lambda name: (SPLIT_ORDER.index(name) if name in SPLIT_ORDER else len(SPLIT_ORDER), name))


def known_formats() -> str:
    """Return the names of the known formats, as a text for help and messages."""
    return _either(known.name for known in FORMATS)


def _format_of(path, split=None):
    """Return the `Format` of a data set; the split decides where a folder holds several."""
    for known in FORMATS:
        if known.matches(Path(path), split):
            return known
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: missing; expected a data set: a folder or a file")
    raise ValueError(f"{path}: no data set; expected {_either(known.expected for known in FORMATS)}")


def _either(texts):
    *others, last = texts
    return f"{', '.join(others)}, or {last}"
