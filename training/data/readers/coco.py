"""COCO's JSON files: images, annotations and categories in three lists."""

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ....limits import CLASSES
from ....progress import followed
from ..annotation_files import file_of, files_by_split, image_in
from ..annotations import Objects, collect_objects, cut_boxes, usable_box
from ..class_names import clean
from ..example_tables import StatedSize
from ..examples import DetectionData
from ..files.coco_lists import load, polygons
from ..files.folder import Folder
from ..files.memory import uncollected
from ..files.text import head
from ..format import Format
from ..images import checked_size

AT_ONCE = 4096  # annotations whose numbers are converted together
LARGEST = 2**31 - 1  # pixels
NOWHERE = (math.nan,) * 4
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
    with uncollected():
        stored = load(path)
        find = image_in(path, folder, images, split or path.stem.removeprefix(PREFIX))
        categories = _categories(path, stored.categories, problems)
        listed, paths, sizes = _images(path, stored.images, find, files, problems)
        found = _objects(path, stored.annotations, listed, paths, sizes, categories, problems)
        del stored  # a gigabyte of COCO's training set
        if class_names is None:
            class_names = list(categories.values())
        return collect_objects(path, paths, sizes, found, tuple(class_names), problems, files)


def _images(path, entries, find, files, problems):
    """Return ({id: number of the image, None for one left out}, the images' paths, their `StatedSize`s)."""
    listed, paths, sizes = {}, [], []
    for i, entry in enumerate(followed(entries, f"{path}: images")):
        try:
            number = _key(entry.id)
            if number in listed:
                raise ValueError(f"{path}: images[{i}] has the id of another ({number}), left out")
            listed[number] = None
            image, size = _image(path, entry, find, files)
            listed[number] = len(paths)
            paths.append(image)
            sizes.append(size)
        except (TypeError, AttributeError):
            problems.append(f"{path}: images[{i}] without an id and a file_name, left out")
        except OSError as e:
            problems.append(f"{e}, left out")
        except ValueError as e:
            problems.append(str(e))
    return listed, paths, sizes


def _objects(path, rows, listed, paths, sizes, categories, problems):
    """Return the `Objects` of the annotations: boxes that fit are converted together, the others one by one."""
    names = list(dict.fromkeys(categories.values()))
    places = {name: i for i, name in enumerate(names)}
    labels_of = {number: places[name] for number, name in categories.items()}
    lines, numbers, owners, labels = [], [], [], []
    for i, row in enumerate(followed(rows, f"{path}: annotations")):
        image, category = row.image_id, row.category_id
        try:
            image = image if type(image) is int else _key(image)
            label = labels_of[category if type(category) is int else _key(category)]
        except (KeyError, TypeError):
            lines.append((i, f"{path}: annotations[{i}] without an image_id and a known category_id, left out"))
            continue
        if image not in listed:
            lines.append((i, f"{path}: annotations[{i}] of an image that is not listed ({image}), left out"))
        elif (owner := listed[image]) is not None:
            numbers.append(i)
            owners.append(owner)
            labels.append(label)

    def source(k):
        return f"{path}: annotations[{numbers[k]}] of {paths[owners[k]].name}"

    found = [rows[i] for i in numbers]
    of_owners = np.array([size[:2] for size in sizes], "int64").reshape(-1, 2)[owners]
    boxes, fits = cut_boxes(_together(found, _many_corners, lambda row: _corners(row) or NOWHERE, 4), of_owners)
    for k in np.flatnonzero(~fits).tolist():
        box, problem = usable_box(_corners(found[k]), names[labels[k]], sizes[owners[k]][:2])
        lines.append((numbers[k], f"{source(k)}: {problem}"))
        boxes[k] = box or NOWHERE
    problems += [line for _, line in sorted(lines, key=lambda line: line[0])]
    usable = np.flatnonzero(np.isfinite(boxes[:, 0]))
    return Objects(
        np.array(owners, "int64")[usable],
        names,
        np.array(labels, "int64")[usable],
        boxes[usable],
        _together(found, _many_areas, _area)[usable],
        np.array([*map(_is_crowd, found)], bool)[usable],
        lambda k: source(usable[k]),
    )


def _together(rows, many, one, *width):
    """Return an array of what `many` makes of some rows at a time, or, where not all are numbers, `one` of each."""
    found = [np.zeros((0, *width))]
    for start in range(0, len(rows), AT_ONCE):
        part = rows[start : start + AT_ONCE]
        try:
            found.append(many(part))
        except (OverflowError, TypeError, ValueError):
            found.append(np.array([one(row) for row in part]))
    return np.concatenate(found)


def _many_corners(rows):
    boxes = np.array([row.bbox for row in rows], "float64")
    if boxes.shape != (len(rows), 4):
        raise ValueError("not four numbers each")
    return np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])


def _many_areas(rows):
    return np.array([row.area for row in rows], "float64").reshape(len(rows))


def _area(row):
    area = _number(row.area)
    return np.nan if area is None else area


def _is_crowd(row):
    return row.iscrowd == 1 if row.iscrowd in (0, 1) else bool(_number(row.iscrowd))


def _categories(path, entries, problems):
    """Return {id: name}, in the order of the ids."""
    CLASSES.check(len(entries), path)
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
    """Return (path, `StatedSize`) of an image in the list. Where the list says the size, the image is not opened."""
    if not isinstance(entry.file_name, str):
        raise TypeError
    image = find(entry.file_name)
    files.add(image)
    said = entry.width, entry.height
    numbers = tuple(map(_number, said))
    if None not in numbers:
        said = tuple(int(number) if number.is_integer() else number for number in numbers)
        if all(isinstance(side, int) and 0 < side <= LARGEST for side in said):
            return image, StatedSize(*said, str(path))
    size = checked_size(image, None if said == (None, None) or 0 in said else said, path)
    return image, StatedSize(*size)


def _corners(row):
    """Return the corners of an annotation's bbox, or without one of its polygons."""
    try:
        if row.bbox:
            x, y, width, height = map(float, row.bbox)
            return x, y, x + width, y + height
        values = [[float(value) for value in polygon] for polygon in polygons(row)]
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
