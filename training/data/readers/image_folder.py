"""Folders for classification: a folder of images for each class, in a folder for each split where there are some."""

import os
from collections.abc import Sequence
from pathlib import Path

from ....tflite.device.frames import SUFFIXES
from ..annotations import collect_labels
from ..examples import ClassificationData
from .format import SPLIT_ORDER, Format

OTHERS = ("Annotations", "JPEGImages", "annotations", "images", "labels")  # of data sets for detection that lack a part


def matches(path, split):
    """Return whether there are images as class/image or split/class/image, and no folder of another format."""
    if any(folder.name in OTHERS for folder in _folders(path)):
        return False
    classes = (folder for part in _folders(path) for folder in (part, *_folders(part)))
    return any(_images(folder, deep=False) for folder in classes)


def splits(path):
    """Return the folders that hold a folder for each class; none where these lie in `path` itself."""
    parts = [folder for folder in _folders(path) if _folders(folder)]
    named = any(folder.name in SPLIT_ORDER for folder in parts)  # where one is, a stray image in it makes it no class
    classes = not named and any(_images(folder, deep=False) for folder in _folders(path))
    return [] if classes else [folder.name for folder in parts]


def read_image_folder(
    path: os.PathLike[str] | str, split: str | None = None, class_names: Sequence[str] | None = None
) -> ClassificationData:
    """Read labelled images from path/split/class/image, or from path/class/image where there are no splits.

    Images are not opened here: one that is broken is skipped, and reported, when its pixels are needed.

    Args:
        path: the folder.
        split: name of a folder in it; ignored where there are no splits.
        class_names: the classes to read; None takes the names of the folders, in alphabetical order.

    Returns:
        `ClassificationData`.

    Raises:
        FileNotFoundError: where there is no such split.
        ValueError: where there are no images, or none of the classes is known.

    Example:
        >>> from cspkeras.training import read_image_folder
        >>> data = read_image_folder("imagenette2-320", "train")  # doctest: +SKIP
        >>> len(data.class_names)  # doctest: +SKIP
        10
    """
    path, parts = Path(path), splits(path)
    if parts and split not in parts:
        raise FileNotFoundError(f"{path / str(split)}: missing; the splits of {path} are {', '.join(parts)}")
    root, problems, images = path / str(split) if parts else path, [], []
    for folder in _folders(root):
        found = _images(folder)
        images += [(image, folder.name) for image in found]
        if not found:
            problems.append(f"{folder}: no images in the folder of a class")
    names = [folder.name for folder in _folders(root)] if class_names is None else class_names
    return collect_labels(root, images, names, problems)


def _folders(path):
    path = Path(path)
    return sorted(f for f in path.iterdir() if f.is_dir() and not f.name.startswith(".")) if path.is_dir() else []


def _images(folder, deep=True):
    files = folder.rglob("*") if deep else folder.iterdir()
    return sorted(f for f in files if f.suffix.lower() in SUFFIXES and not f.name.startswith("."))


FORMAT = Format("folder of classes", "a folder of images for each class", matches, splits, read_image_folder)
