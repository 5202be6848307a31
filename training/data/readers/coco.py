"""COCO's JSON files: images, annotations and categories in three lists."""

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path

from ..annotation_files import file_of, files_by_split, image_in
from ..annotations import add_object, collect
from ..class_names import clean
from ..examples import DetectionData
from ..files.folder import Folder
from ..files.text import head, read_json
from ..format import Format
from ..images import checked_size

LISTS = "images", "annotations", "categories"
PREFIX = "instances_"
OTHERS = re.compile(r"(captions|image_info|panoptic|person_keypoints|stuff)_")  # COCO's files for other tasks
LIST = re.compile(r'"(images|annotations)"\s*:\s*\[')  # one of them is in the first megabyte


def read_coco(
    path: os.PathLike[str] | str,
    class_names: Sequence[str] | None = None,
    images: os.PathLike[str] | str | None = None,
) -> DetectionData:
    """Read a COCO JSON file (cocodataset.org, "Data format", object detection).

    What can't be used is left out and reported in `problems`, a line each, as `read_voc` does. Regions marked `iscrowd`
    become the examples' `crowd_boxes`, and an annotation's `area` its object's. Masks are not read, but the extent of
    a polygon is the box of an annotation without one. Images without annotations stay.

    Args:
        path: the .json file.
        class_names: the classes to read, by name; None takes all categories, in the order of their numbers.
        images: folder that the images' `file_name` is relative to; None looks in the file's folder and its `images`,
            and, for annotations/instances_val2017.json, in val2017, images and images/val2017 of the folder above.

    Returns:
        `DetectionData`.

    Raises:
        OSError: where the file can't be read, or the folder is missing.
        ValueError: where it is not a COCO file, nothing usable is left, or none of its classes is known.

    Example:
        >>> from cspkeras.training import read_coco
        >>> data = read_coco("coco/annotations/instances_val2017.json")  # doctest: +SKIP
        >>> len(data.class_names)  # doctest: +SKIP
        80
    """
    return _read_file(Path(path), None, class_names, images)


def matches(source, split):
    """Return whether it is a .json file with COCO's lists, or a folder with one."""
    if not isinstance(source, Folder):
        return source.suffix.lower() == ".json" and (source.name.startswith("instances") or _is_coco(source))
    return bool(_files(source))


def splits(source):
    """Return the splits of a folder's files: val for annotations/instances_val.json; none for a file on its own."""
    return [split for split in _files(source) if split]


def _files(source):
    found = files_by_split(source, (".json",), lambda file: _is_coco(file) and not OTHERS.match(file.name), PREFIX)
    return found or files_by_split(source, (".json",), _is_coco, PREFIX)


def _is_coco(path):
    text = head(path, 2**20)
    return text.startswith("{") and bool(LIST.search(text)) or path.name.startswith(PREFIX)


def _read(source, split, class_names, images):
    if not isinstance(source, Folder):
        return read_coco(source, class_names, images)
    return _read_file(file_of(_files(source), split, source), source, class_names, images, split)


def _read_file(path, folder, class_names, images, split=None):
    """Read a file, of a data set in `folder` where it is known."""
    problems, files = [], {path}
    stored = _load(path)
    find = image_in(path, folder, images, split or path.stem.removeprefix(PREFIX))
    categories = _categories(path, stored["categories"], problems)
    usable, listed = {}, set()
    for i, entry in enumerate(stored["images"]):
        try:
            number = _key(entry["id"])
            if number in listed:
                raise ValueError(f"{path}: images[{i}] has the id of another ({number}), left out")
            listed.add(number)
            usable[number] = _image(path, entry, find, files)
        except (KeyError, TypeError, AttributeError):
            problems.append(f"{path}: images[{i}] without an id and a file_name, left out")
        except OSError as e:
            problems.append(f"{e}, left out")
        except ValueError as e:
            problems.append(str(e))
    for i, entry in enumerate(stored["annotations"]):
        try:
            number, label = _key(entry["image_id"]), categories[_key(entry["category_id"])]
            known = number in listed
        except (KeyError, TypeError):
            problems.append(f"{path}: annotations[{i}] without an image_id and a known category_id, left out")
            continue
        if not known:
            problems.append(f"{path}: annotations[{i}] of an image that is not listed ({number}), left out")
        elif number in usable:
            image, size, objects = usable[number]
            source, corners = f"{path}: annotations[{i}] of {image.name}", _corners(entry)
            area, crowd = _number(entry.get("area")), bool(_number(entry.get("iscrowd")))
            area = area if area and 0 < area < math.inf else None
            add_object(objects, problems, label, corners, size, source, area, crowd)
    if class_names is None:
        class_names = list(categories.values())
    found = [(image, objects) for image, _, objects in usable.values()]
    return collect(path, found, tuple(class_names), problems, files)


def _load(path):
    stored = read_json(path)
    if not isinstance(stored, dict) or not all(isinstance(stored.get(key), list) for key in LISTS):
        raise ValueError(f"{path}: no COCO file; expected an object with the lists {', '.join(LISTS)}")
    return stored


def _categories(path, entries, problems):
    """Return {id: name}, in the order of the ids."""
    categories, seen = {}, set()
    for i, entry in enumerate(entries):
        try:
            number, name = _key(entry["id"]), entry["name"]
            if isinstance(name, (dict, list, type(None))) or number != number:
                raise TypeError
        except (KeyError, TypeError):
            problems.append(f"{path}: categories[{i}] without an id and a name, left out")
            continue
        if not (name := clean(name)):
            raise ValueError(f"{path}: the name of categories[{i}] is empty, expected a text")
        if number in categories:
            problems.append(f"{path}: categories[{i}] ({name}) has the id of another ({number}), left out")
            continue
        if name in seen:
            problems.append(f"{path}: categories[{i}] is called {name!r} as another, read as one")
        seen.add(name)
        categories[number] = name
    return dict(sorted(categories.items(), key=lambda item: (isinstance(item[0], str), item[0])))


def _key(value):
    """Return an id as it is compared: a whole number that a converter wrote as a text or fraction is that number."""
    if isinstance(value, (dict, list, bool, type(None))) or isinstance(value, float) and not math.isfinite(value):
        raise TypeError
    try:
        return int(value) if int(value) == float(value) else value
    except (OverflowError, ValueError):
        return value


def _number(value):
    """Return a number, or the number that a text is, as a float; else None."""
    try:
        return None if value is None else float(value)
    except (OverflowError, TypeError, ValueError):
        return None


def _image(path, entry, find, files):
    """Return (path, upright size, an empty list for its objects) of an image in the list."""
    if not isinstance(entry["file_name"], str):
        raise TypeError
    image = find(entry["file_name"])
    files.add(image)
    said = tuple(entry.get(side) for side in ("width", "height"))
    numbers = tuple(_number(side) for side in said)
    if None not in numbers:
        said = tuple(int(number) if number.is_integer() else number for number in numbers)
    size = checked_size(image, None if said == (None, None) or 0 in said else said, path)
    return image, size, []


def _corners(entry):
    """Return the corners of an annotation's bbox, or without one of its polygons."""
    try:
        if entry.get("bbox"):
            x, y, width, height = map(float, entry["bbox"])
            return x, y, x + width, y + height
        values = [[float(value) for value in polygon] for polygon in entry["segmentation"]]
        xs, ys = ([value for polygon in values for value in polygon[k::2]] for k in (0, 1))
        return min(xs), min(ys), max(xs), max(ys)
    except (KeyError, OverflowError, TypeError, ValueError):
        return ()


FORMAT = Format(
    "coco",
    "COCO folder or .json file",
    "annotations/instances_*.json (COCO)",
    matches,
    splits,
    _read,
    takes_images=True,
)
