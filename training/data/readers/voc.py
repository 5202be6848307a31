"""Pascal VOC folders: a list of names, and for each an XML file and an image."""

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

from ..annotations import add_object, collect
from ..examples import DetectionData
from ..images import checked_size
from .format import Format


def read_voc(folder: os.PathLike[str] | str, split: str, class_names: Sequence[str] | None = None) -> DetectionData:
    """Read one split of a Pascal VOC folder (ImageSets/Main, Annotations, JPEGImages).

    What can't be used is left out and reported in `problems`, a line each: an image that is missing, broken or of
    another size than its annotation says, an annotation that is missing, broken or without a size, an object without a
    name or of an unknown class, and a box of no area or outside the image (a box that reaches over the edge is cut
    there). Images are not decoded here: one that breaks off after its header is skipped, and reported, when its
    pixels are needed. Boxes are those of the upright image: where an annotation's size shows that it means an image
    before its EXIF orientation turns it, that image is left out.

    Args:
        folder: the VOC folder.
        split: "train", "val", "test", ...: the name of a list in ImageSets/Main.
        class_names: the classes to read; None takes all that occur, in alphabetical order.

    Returns:
        `DetectionData`.

    Raises:
        FileNotFoundError: where the folder or the split's list is missing.
        ValueError: where nothing usable is left, or none of its classes is known.

    Example:
        >>> from cspkeras.training import read_voc
        >>> data = read_voc("VOCdevkit/VOC2007", "train")  # doctest: +SKIP
        >>> len(data.examples)  # doctest: +SKIP
        2501
    """
    root = Path(folder)
    listing = root / "ImageSets" / "Main" / f"{split}.txt"
    if not listing.is_file():
        raise FileNotFoundError(f"{listing}: missing; a Pascal VOC folder lists its {split} images there")
    names = [line.split()[0] for line in listing.read_text("utf-8", "replace").splitlines() if line.strip()]
    problems, images = [], []
    for name in names:
        try:
            images.append(_read_annotation(root, name, problems))
        except (OSError, ValueError) as e:
            problems.append(str(e))
    if class_names is None:
        class_names = sorted({thing.label for _, objects in images for thing in objects})
    return collect(listing, images, class_names, problems)


def matches(path, split):
    """Return whether the folder has lists of images, and no COCO file for the split."""
    return (path / "ImageSets").is_dir() and not (path / "annotations" / f"instances_{split}.json").is_file()


def splits(folder):
    """Return the names of the lists, without those of a single class, and without `trainval` where its parts are."""
    names = {path.stem for path in (Path(folder) / "ImageSets" / "Main").glob("*.txt")}
    names = {name for name in names if not any(name.endswith(f"_{other}") for other in names)}
    return names - {"trainval"} if {"train", "val"} <= names else names


def _read_annotation(root, name, problems):
    """Return (image, list of `Annotation`) for one name in the list."""
    xml = root / "Annotations" / f"{name}.xml"
    if not xml.is_file():
        raise ValueError(f"{xml}: missing, image left out")
    try:
        tree = ElementTree.parse(xml).getroot()
    except (ElementTree.ParseError, LookupError, ValueError) as e:  # the latter two for unknown encodings
        raise ValueError(f"{xml}: not valid XML ({e}), image left out") from e
    try:
        width, height = (int(tree.find("size").findtext(side)) for side in ("width", "height"))
    except (AttributeError, TypeError, ValueError) as e:
        raise ValueError(f"{xml}: no <size> with a width and a height, image left out") from e
    image = _image(root, name, tree.findtext("filename"))
    try:
        size = checked_size(image, (width, height), xml)
    except OSError as e:
        raise ValueError(f"{e}, left out") from e
    objects = []
    for thing in tree.iter("object"):
        label, bounds = " ".join((thing.findtext("name") or "").split()), thing.find("bndbox")
        if not label:
            problems.append(f"{xml}: an object without a name, left out")
            continue
        values = () if bounds is None else map(bounds.findtext, ("xmin", "ymin", "xmax", "ymax"))
        add_object(objects, problems, label, values, size, str(xml))
    return image, objects


def _image(root, name, filename):
    folder = root / "JPEGImages"
    # Its own name first: the one inside an annotation that was copied or renamed is another image's.
    for candidate in (*(name + suffix for suffix in (".jpg", ".jpeg", ".png", ".bmp")), filename):
        if candidate and (folder / candidate).is_file():
            return folder / candidate
    raise ValueError(f"{folder / name}.jpg: missing, image left out")


FORMAT = Format("Pascal VOC folder", "ImageSets/Main (Pascal VOC)", matches, splits, read_voc)
