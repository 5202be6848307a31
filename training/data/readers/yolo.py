"""YOLO's text files: a line an object, in parts of the image, listed by data.yaml or by their folders."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from ..class_names import checked
from ..examples import DetectionData
from ..files.folder import Folder, by_split, is_image, part_of, split_of
from ..files.plain_yaml import read_yaml
from ..files.text import head, read_lines
from ..format import SPLIT_ORDER, Format
from ..label_files import CLASSES, describes, nearest_names, read_labels

KEYS = re.compile(r"^(names|train|val|test)\s*:", re.M)
LOOKED_AT = 20  # files whose beginning is looked at to recognize a data set


def matches(source, split):
    """Return whether it is a .yaml file, a folder with data.yaml, or one with label files and classes.txt."""
    if not isinstance(source, Folder):
        return source.suffix.lower() in (".yaml", ".yml") and source.is_file()
    if _yaml(source):
        return True
    if not (_class_lists(source) and source.images):
        return False
    return bool(source.folder("images")) or any(map(describes, source.with_suffix(".txt")[:LOOKED_AT]))


def splits(source):
    """Return the splits that data.yaml names; without one the folders of the images, none where they lie in one."""
    places = _places(source)[0]
    there = [split for split, found in places.items() if any(isinstance(p, Folder) or os.path.exists(p) for p in found)]
    # Roboflow names a test split that it may not have.
    return [split for split in places if split and (split in there or not split.startswith("test"))]


def read_yolo(
    path: os.PathLike[str] | str, split: str | None = None, class_names: Sequence[str] | None = None
) -> DetectionData:
    """Read one split of a YOLO data set.

    data.yaml has `path` (of the data set, relative to the file), `train`, `val` and `test` (folders of images or .txt
    lists of them, relative to `path`; one or several) and `names`; without it the names are in classes.txt, a line
    each, and the images in images/<split>, <split>/images, <split> or one folder. The objects of images/a.jpg are in
    labels/a.txt or beside it, a line each: number of the class, centre x and y, width and height, in parts of the
    upright image; or the corners of a polygon, which becomes the box around it. An image without such a file is one
    without objects. What can't be used is left out and reported in `problems`, with file and line.

    Args:
        path: the folder, or its .yaml file.
        split: one of those that data.yaml names.
        class_names: the classes to read; None takes all of the data set, in the order of their numbers.

    Returns:
        `DetectionData`.

    Raises:
        OSError: where a file or folder is missing, or there is no such split.
        ValueError: where data.yaml is not one, or nothing usable is left.
        ImportError: where PyYAML is missing.

    Example:
        >>> from cspkeras.training import read_yolo
        >>> data = read_yolo("coco128", "train")  # doctest: +SKIP
        >>> len(data.examples)  # doctest: +SKIP
        128
    """
    source = Folder.of(path) if Path(path).is_dir() else Path(path)
    root = source if isinstance(source, Folder) else Folder(source.parent)
    places, names_of, posed, files = _places(source)
    split, listed = part_of(places, split, source)
    problems = []
    images = listed_images(listed, source, root, problems, files)
    names = names_of(images, problems, files)
    listing = f"{source}, split {split}" if split else source
    return read_labels(listing, root, images, names, class_names, problems, files, posed)


def listed_images(places, listing, root, problems, files):
    """Return the images of several places, each a folder, an image or a list of images that `listing` names.

    Names in a list are relative to it or to `root`, the data set's `Folder`, or to where the data set once was.
    """
    found = []
    for place in places:
        if isinstance(place, Folder) or os.path.isdir(place):  # false, too, for a name that is too long
            folder = Folder.of(place)
            found += (folder.folder("images") or folder).images  # beside which there may be masks
        elif is_image(place):
            found.append(place)
        elif os.path.isfile(place):
            files.add(place)
            beside = Folder(place.parent)
            for line in filter(None, map(str.strip, read_lines(place))):
                listed_at = beside.exact(line)
                image = root.resolve(listed_at.absolute() if listed_at else line)
                if image is None:
                    problems.append(f"{place}: {line}: missing, image left out")
                else:
                    found.append(image)
        else:
            problems.append(f"{place}: missing; {listing} names it as a folder or a list of images")
    return list(dict.fromkeys(found))


def _yaml(folder):
    """Return the path of the .yaml file that describes a folder's data set, or None."""
    others = [file for file in folder.own if file.suffix.lower() in (".yaml", ".yml")]
    return folder.file("data.yaml") or next((f for f in others if {"names"} < set(KEYS.findall(head(f)))), None)


def _class_lists(folder):
    """Return the paths of the lists of classes in a folder and in its folders."""
    return [file for file in folder.with_suffix(".txt") if file.name.lower() == CLASSES]


def _places(source):
    """Return where a data set's images and names are.

    ({split: folders, images and lists of images}, function of (images, problems, files) that returns the classes'
    names, whether lines have key points after the box, the set of files that were read).
    """
    file = _yaml(source) if isinstance(source, Folder) else source
    if file:
        return _from_yaml(file, source if isinstance(source, Folder) else None)
    lists = _class_lists(source)
    if not lists:
        raise ValueError(f"{source}: has no {CLASSES} and no data.yaml, which name the classes")
    images = source.folder("images")
    parts = {folder.path.name: [folder] for folder in images.folders if folder.images} if images else {}
    if images and (not parts or images.own_images and not split_of(parts)):
        parts = {None: [images]}
    elif not images:
        inner = [image for image in source.images if "images" in map(str.lower, source.relative(image)[:-1])]
        parts = by_split(source, inner or source.images)  # beside folders called images there may be masks

    def names(images, problems, files):
        return nearest_names(lists, images, source, problems, files)

    return parts, names, False, set()


def _from_yaml(file, folder=None):
    memory = folder.memory if folder else {}
    if file not in memory:
        memory[file] = read_yaml(file)
    stored = memory[file]
    names = stored.get("names") if isinstance(stored, dict) else None
    expected = f"{file}: not a YOLO data set; expected YAML with train, val and names, a list or a number each"
    if isinstance(names, dict):
        numbered = {str(number): name for number, name in names.items()}
        if set(numbered) != set(map(str, range(len(names)))):
            raise ValueError(f"{expected} (names: numbers from 0 to {len(names) - 1}, received {_some(numbered)})")
        names = [numbered[str(i)] for i in range(len(names))]
    if not isinstance(names, list) or not names:
        received = "none" if names is None else f"names: {str(names)[:80]!r}" if isinstance(names, str) else "no names"
        raise ValueError(f"{expected} ({received})")
    root = Path(os.path.normpath(file.parent / str(stored.get("path") or "")))
    if not os.path.isdir(root):  # Ultralytics' own files name a folder of the machine they were written on
        root = file.parent
    root, around = Folder(root), folder or Folder(file.parent)
    places = {}
    for split in SPLIT_ORDER:
        if stored.get(split):
            values = stored[split] if isinstance(stored[split], list) else [stored[split]]
            places[split] = [_place(root, around, str(value)) for value in values]

    def checked_names(images, problems, files):
        count = stored.get("nc")
        if count not in (None, str(len(names))):
            problems.append(f"{file}: says nc: {count}, but has {len(names)} names, which are used")
        return checked(names, file, problems)

    return places, checked_names, "kpt_shape" in stored, {file}


def _some(names):
    return ", ".join(list(names)[:10])


def _place(root, folder, name):
    """Return where a place of data.yaml is; where nothing is there, the place that it names.

    Roboflow's files say ../train/images for a folder in their own.
    """
    found = root.resolve(name) or folder.resolve(name)
    return (folder.resolve(found.absolute()) or found) if found else Path(os.path.normpath(root.path / name))


FORMAT = Format(
    "yolo",
    "YOLO folder",
    "data.yaml or images and classes.txt (YOLO)",
    matches,
    splits,
    read_yolo,
    describes=describes,
)
