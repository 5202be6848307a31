"""Pascal VOC's XML files: an image and its objects each; the images listed in ImageSets, or all that have one."""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ....progress import followed
from ..annotations import add_object, collect
from ..class_names import clean
from ..examples import DetectionData
from ..files.folder import Folder, by_split, part_of
from ..files.text import head, read_lines
from ..files.xml_tree import read_xml
from ..format import Format
from ..images import checked_size

ROOT = re.compile(r"<annotation[\s>]")
FILENAME = re.compile(r"<filename>([^<]*)")
LOOKED_AT = 20  # files whose beginning is looked at to recognize a data set


def read_voc(folder: os.PathLike[str] | str, split: str, class_names: Sequence[str] | None = None) -> DetectionData:
    """Read one split of a Pascal VOC folder.

    The folder has ImageSets/Main, Annotations and JPEGImages, as VOC is distributed; or XML files beside the images or
    in a folder of their own, as Roboflow, labelImg and Label Studio write them, in a folder for each split where there
    are some.

    What can't be used is left out and reported in `problems`, a line each: an image that is missing, broken or of
    another size than its annotation says, an annotation that is missing, broken or without a size, an object without a
    name or of an unknown class, and a box of no area or outside the image (a box that reaches over the edge is cut
    there). Images are not decoded here: one that breaks off after its header is skipped, and reported, when its
    pixels are needed. Boxes are those of the upright image: where an annotation's size shows that it means an image
    before its EXIF orientation turns it, that image is left out.

    Args:
        folder: the VOC folder.
        split: "train", "val", "test", ...: the name of a list in ImageSets/Main, or of a folder.
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
    folder, problems, files = Folder.of(folder), [], set()
    listing, annotations = _listed(folder, split, problems, files) if _lists(folder) else _found(folder, split)
    images = []
    for xml, names in followed(annotations, f"{listing}: annotations"):
        files.add(xml)
        try:
            images.append(_read_annotation(folder, xml, names, problems, files))
        except (OSError, ValueError) as e:
            problems.append(str(e))
    if class_names is None:
        class_names = sorted({thing.label for *_, objects in images for thing in objects})
    return collect(listing, images, class_names, problems, files)


def matches(source, split):
    """Return whether the folder has lists of images, and no COCO file for the split; or VOC's XML files."""
    if not isinstance(source, Folder):
        return False
    if _lists(source):
        return not source.file("annotations", f"instances_{split}.json")
    if any(map(_lists, source.folders)):
        return False  # several data sets, with lists each
    return any(_of_image(source, file) for file in source.with_suffix(".xml")[:LOOKED_AT])


def describes(path):
    """Return whether a file is an XML file of VOC's kind."""
    return path.suffix.lower() == ".xml" and bool(ROOT.search(head(path, 2000)))


def _of_image(folder, xml):
    if not describes(xml):
        return False
    named = FILENAME.search(head(xml, 2000))
    return folder.has_image(xml.stem) or bool(named and folder.image(named[1].strip(), near=xml))


def splits(source):
    """Return the names of the lists, without those of a single class, and without `trainval` where its parts are.

    Without lists: the folders of the XML files that are named as splits are.
    """
    if not _lists(source):
        return [split for split in _by_split(source) if split]
    main = source.folder("ImageSets", "Main")
    names = {path.stem for path in (main.own if main else ()) if path.suffix.lower() == ".txt"}
    names = {name for name in names if not any(name[i + 1 :] in names for i, sign in enumerate(name) if sign == "_")}
    return names - {"trainval"} if {"train", "val"} <= names else names


def _lists(folder):
    return folder.folder("ImageSets", "Main")


def _by_split(folder):
    return by_split(folder, [file for file in folder.with_suffix(".xml") if describes(file)])


def _listed(folder, split, problems, files):
    """Return the list of a split, and for each name in it the XML file and the names that its image may have."""
    listing = folder.file("ImageSets", "Main", f"{split}.txt")
    if not listing:
        missing = folder.path / "ImageSets" / "Main" / f"{split}.txt"
        raise FileNotFoundError(f"{missing}: missing; a Pascal VOC folder lists its {split} images there")
    files.add(listing)
    found = []
    for line in filter(None, map(str.strip, read_lines(listing))):
        # A list of one class has a number after each name; a name may have blanks.
        name = next((n for n in (line, line.rsplit(maxsplit=1)[0]) if _xml(folder, n)), line.split()[0])
        xml = _xml(folder, name)
        if xml:
            found.append((xml, name))
        else:
            problems.append(f"{folder.path / 'Annotations' / name}.xml: missing, image left out")
    return listing, found


def _xml(folder, name):
    return folder.file("Annotations", *Path(f"{name}.xml").parts)


def _found(folder, split):
    split, files = part_of(_by_split(folder), split, folder)
    return (f"{folder}, split {split}" if split else folder), [(xml, None) for xml in files]


def _read_annotation(folder, xml, name, problems, files):
    """Return (image, its size, list of `Annotation`) of an XML file; `name` is that of the list, or None."""
    try:
        tree = read_xml(xml)
    except ValueError as e:
        raise ValueError(f"{e}, image left out") from e
    try:
        said = tuple(int(float(tree.find("size").findtext(side))) for side in ("width", "height"))
    except (AttributeError, TypeError, ValueError, OverflowError) as e:
        raise ValueError(f"{xml}: no <size> with a width and a height, image left out") from e
    image = _image(folder, xml, name, tree.findtext("filename"))
    files.add(image)
    try:
        size = checked_size(image, said if all(said) else None, xml)  # labelImg's 0x0: not known
    except OSError as e:
        raise ValueError(f"{e}, left out") from e
    objects = []
    for thing in tree.iter("object"):
        label, bounds = clean(thing.findtext("name") or ""), thing.find("bndbox")
        if not label:
            problems.append(f"{xml}: an object without a name, left out")
            continue
        values = () if bounds is None else map(bounds.findtext, ("xmin", "ymin", "xmax", "ymax"))
        add_object(objects, problems, label, values, size, str(xml))
    return image, size, objects


def _image(folder, xml, name, filename):
    """Return the image of an XML file.

    Its own name comes first: the one inside an annotation that was copied or renamed is another image's.
    """
    places, own = [folder.folder("JPEGImages")] if name else [], name or xml.stem
    last = PurePosixPath((filename or "").replace("\\", "/")).name
    exact = filename if last.rpartition(".")[0] == own else None  # an image may have masks of its name
    for place in filter(None, (*places, folder)):
        for wanted in (exact, own, filename):
            if wanted and (image := place.image(wanted, near=xml)):
                return image
    raise ValueError(
        f"{folder.path / 'JPEGImages' / name if name else xml.with_suffix('')}.jpg: missing, image left out"
    )


FORMAT = Format(
    "voc",
    "Pascal VOC folder",
    "ImageSets/Main or XML files (Pascal VOC)",
    matches,
    splits,
    read_voc,
    describes=describes,
)
