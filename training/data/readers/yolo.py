"""YOLO's text files: a line an object, in parts of the image, listed by data.yaml or by their folders."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..annotations import add_object, collect
from ..class_names import checked, listed_names
from ..examples import DetectionData
from ..folder import Folder, by_split, head, is_image, part_of, read_lines, read_text
from ..images import upright_size
from ..plain_yaml import read_yaml
from .format import SPLIT_ORDER, Format

CLASSES = "classes.txt"
KEYS = re.compile(r"^(names|train|val|test)\s*:", re.M)
LABEL = re.compile(r"\d+(\.0*)?(\s+[-+\d.eE]+){4,}\s*$")  # a line of a label file
LOOKED_AT = 20  # files whose beginning is looked at to recognize a data set


def matches(source, split):
    """Return whether it is a .yaml file, a folder with data.yaml, or one with label files and classes.txt."""
    if not isinstance(source, Folder):
        return source.suffix.lower() in (".yaml", ".yml") and source.is_file()
    if _yaml(source):
        return True
    if not (_class_list(source) and source.images):
        return False
    return bool(source.folder("images")) or any(map(describes, source.with_suffix(".txt")[:LOOKED_AT]))


def describes(path):
    """Return whether a file has the lines of a label file, or is empty as that of an image without objects."""
    if path.suffix.lower() != ".txt" or path.name.lower() == CLASSES:
        return False
    text = head(path, 1000).strip()
    return not text or bool(LABEL.match(text.splitlines()[0].strip()))


def splits(source):
    """Return the splits that data.yaml names; without one the folders of the images, none where they lie in one."""
    places = _places(source)[0]
    there = [split for split, found in places.items() if any(isinstance(p, Folder) or p.exists() for p in found)]
    return [split for split in there or places if split]  # Roboflow names a test split that it may not have


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
    names = names_of(split, problems, files)
    images = listed_images(listed, source, problems, files)
    listing = f"{source}, split {split}" if split else source
    return read_labels(listing, root, images, names, class_names, problems, files, posed)


def read_labels(listing, root, images, names, class_names, problems, files, posed=False):
    """Make `DetectionData` of images and the label files that belong to them.

    Args:
        listing: what lists the images, for errors.
        root: `Folder` of the data set.
        images: paths of the images.
        names: the classes' names, by number.
        class_names: the classes to keep, None for all.
        problems: the lines so far, which are added to.
        files: the files that were read so far, which are added to.
        posed: whether key points stand after a box.
    """
    found = []
    for image in images:
        files.add(image)
        labels = _label_file(image, root)
        if labels:
            files.add(labels)
        try:
            size = upright_size(image)
        except OSError as e:
            problems.append(f"{e}, left out")
            continue
        found.append((image, _objects(labels, size, names, posed, problems) if labels else []))
    return collect(listing, found, class_names or names, problems, files)


def listed_images(places, listing, problems, files):
    """Return the images of several places, each a folder, an image or a list of images that `listing` names."""
    found = []
    for place in places:
        if isinstance(place, Folder) or place.is_dir():
            found += Folder.of(place).images
        elif is_image(place):
            found.append(place)
        elif place.is_file():
            files.add(place)
            found += [place.parent / line.removeprefix("./") for line in map(str.strip, read_lines(place)) if line]
        else:
            problems.append(f"{place}: missing; {listing} names it as a folder or a list of images")
    return list(dict.fromkeys(found))


def _yaml(folder):
    """Return the path of the .yaml file that describes a folder's data set, or None."""
    others = [file for file in folder.own if file.suffix.lower() in (".yaml", ".yml")]
    return folder.file("data.yaml") or next((f for f in others if {"names"} < set(KEYS.findall(head(f)))), None)


def _class_list(folder):
    """Return the path of a list of classes in a folder or in its folders, or None."""
    return next((file for file in folder.with_suffix(".txt") if file.name.lower() == CLASSES), None)


def _places(source):
    """Return where a data set's images and names are.

    ({split: folders, images and lists of images}, function of (split, problems, files) that returns the classes'
    names, whether lines have key points after the box, the set of files that were read).
    """
    file = _yaml(source) if isinstance(source, Folder) else source
    if file:
        return _from_yaml(file)
    images = source.folder("images")
    if not images:
        parts = by_split(source, source.images)
    elif images.own_images or not images.folders:
        parts = {None: [images]}
    else:
        parts = {folder.path.name: [folder] for folder in images.folders}

    def names(split, problems, files):
        own = [source.folder(*path) for path in ((split,), (split, "labels"), ("labels", split)) if split]
        lists = [folder.file(CLASSES) for folder in (*own, source, source.folder("labels")) if folder]
        listing = next(filter(None, lists), None) or _class_list(source)
        files.add(listing)
        return listed_names(listing, problems)

    return parts, names, False, set()


def _from_yaml(file):
    stored = read_yaml(file)
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
    root = file.parent / str(stored.get("path") or "")
    if not root.is_dir():  # Ultralytics' own files name a folder of the machine they were written on
        root = file.parent
    places = {}
    for split in SPLIT_ORDER:
        if stored.get(split):
            values = stored[split] if isinstance(stored[split], list) else [stored[split]]
            places[split] = [_place(root, str(value)) for value in values]

    def checked_names(split, problems, files):
        count = stored.get("nc")
        if count not in (None, str(len(names))):
            problems.append(f"{file}: says nc: {count}, but has {len(names)} names, which are used")
        return checked(names, file, problems)

    return places, checked_names, "kpt_shape" in stored, {file}


def _some(names):
    return ", ".join(list(names)[:10])


def _place(root, name):
    place = root / name
    # Roboflow's files say ../train/images for a folder in their own.
    return root / name[3:] if name.startswith("../") and not place.exists() else place


def _label_file(image, root):
    """Return labels/.../a.txt of images/.../a.jpg, or a.txt beside it, whatever their case; None without one."""
    parts, inner = image.parts, len(root.path.parts) if image.is_relative_to(root.path) else 0
    swaps = [i for i in range(len(parts) - 2, -1, -1) if parts[i].lower() == "images"]
    # The last in the data set; a folder that the data set lies in may be called images as well.
    within, around = [i for i in swaps if i >= inner][:1], [i for i in swaps if i < inner][:1]
    beside = image.with_suffix(".txt")
    swapped = [[Path(*parts[:i], "labels", *beside.parts[i + 1 :]) for i in some] for some in (within, around)]
    for wanted in (*swapped[0], beside, *swapped[1]):
        if wanted.is_relative_to(root.path):
            found = root.file(*wanted.relative_to(root.path).parts)
        else:
            found = next((file for file in (wanted, wanted.with_suffix(".TXT")) if file.is_file()), None)
        if found:
            return found
    return None


def _objects(file, size, names, posed, problems):
    try:
        lines = read_text(file, "replace").splitlines()
    except OSError as e:
        problems.append(f"{file}: can't be read ({e.strerror}), its objects left out")
        return []
    objects = []
    for number, line in enumerate(lines, start=1):
        fields, source = line.split(), f"{file}:{number}"
        if not fields:
            continue
        try:
            label, values = float(fields[0]), np.array(fields[1:], "float64")
        except ValueError:
            problems.append(f"{source}: {line[:80]!r} is not all numbers, left out")
            continue
        if not (label.is_integer() and 0 <= label < len(names)):
            problems.append(f"{source}: class {fields[0][:20]} is none of 0 to {len(names) - 1}, left out")
        elif not (len(values) == 4 or posed and len(values) > 4 or len(values) >= 6 and len(values) % 2 == 0):
            problems.append(f"{source}: {len(values)} numbers after the class, expected 4 or a polygon's, left out")
        else:
            with np.errstate(all="ignore"):  # what is not finite is told
                corners = _corners(values, size, posed)
            add_object(objects, problems, names[int(label)], corners, size, source)
    return objects


def _corners(values, size, posed):
    if posed or len(values) == 4:
        x, y, width, height = values[:4]
        if width < 0 or height < 0:
            return x, y, x, y  # no area, whichever way its corners would come to lie
        corners = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    else:
        x, y = values[::2], values[1::2]
        corners = x.min(), y.min(), x.max(), y.max()
    return np.multiply(corners, size * 2)


FORMAT = Format(
    "yolo",
    "YOLO folder",
    "data.yaml or images and classes.txt (YOLO)",
    matches,
    splits,
    read_yolo,
    describes=describes,
)
