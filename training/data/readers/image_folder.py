"""Folders for classification: a folder of images for each class, in a folder for each split where there are some."""

import os
from collections.abc import Sequence

from ..annotations import collect_labels
from ..class_names import clean
from ..examples import ClassificationData
from ..files.folder import Folder, split_of
from ..format import SPLIT_ORDER, Format

OTHERS = ("annotations", "jpegimages", "images", "labels")  # of data sets for detection that lack a part
HOLDERS = (*OTHERS, *SPLIT_ORDER, "data", "image_2", "image_3")  # folders that hold images of all classes
ANNOTATIONS = (".csv", ".json", ".labels", ".names", ".tfrecord", ".xml")  # beside images


def matches(source, split):
    """Return whether there are images as class/image or split/class/image, and no folder or file with boxes."""
    if not isinstance(source, Folder) or any(folder.path.name.lower() in OTHERS for folder in source.folders):
        return False
    holding = [f for part in source.folders for f in (part, *part.folders) if f.own_images]
    classes = [f for f in holding if f.folders or f.path.name.lower() not in HOLDERS]
    return bool(classes) and annotation_beside(source) is None


def annotation_beside(folder):
    """Return the first file that lies beside images and may hold boxes, or None."""
    for inner in (folder, *folder.folders, *(deep for part in folder.folders for deep in part.folders)):
        stems = {image.stem for image in inner.own_images}
        for file in inner.own if stems else ():
            suffix = file.suffix.lower()
            if suffix in ANNOTATIONS and inner is not folder or suffix == ".txt" and file.stem in stems:
                return file
    return None


def splits(source):
    """Return the folders that hold a folder for each class; none where these lie in `path` itself."""
    parts = [folder for folder in source.folders if folder.folders]
    named = split_of(folder.path.name for folder in parts)  # where one is, a stray image in it is not a class
    classes = not named and any(folder.own_images for folder in source.folders)
    return [] if classes else [folder.path.name for folder in parts]


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
    source = Folder.of(path)
    parts = splits(source)
    if parts and split not in parts:
        raise FileNotFoundError(f"{source.path / str(split)}: missing; the splits of {source} are {', '.join(parts)}")
    root = source.folder(split) if parts else source
    problems, images = [], []
    for folder in root.folders:
        images += [(image, clean(folder.path.name)) for image in folder.images]
        if not folder.images:
            problems.append(f"{folder}: no images in the folder of a class")
    names = [clean(folder.path.name) for folder in root.folders] if class_names is None else class_names
    return collect_labels(root, images, names, problems)


FORMAT = Format("folder", "folder of classes", "a folder of images for each class", matches, splits, read_image_folder)
