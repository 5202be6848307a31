"""labelme's JSON files, of an image and its shapes each, as X-AnyLabeling writes them, too."""

import re
from pathlib import PurePosixPath

import numpy as np

from ....progress import followed
from ..annotations import Findings
from ..class_names import clean
from ..files.folder import Folder, by_split, part_of
from ..files.text import head, read_json
from ..format import Format

LOOKED_AT = 20  # files whose beginning is looked at to recognize a data set
SHAPES = re.compile(r'"shapes"\s*:\s*\[|"imageData"\s*:')  # the image itself may come before the shapes
NO_AREA = ("line", "linestrip", "point", "points")


def matches(source, split):
    """Return whether it is a folder with such a file."""
    return isinstance(source, Folder) and any(map(describes, source.with_suffix(".json")[:LOOKED_AT]))


def describes(path):
    """Return whether a file is a JSON file of labelme's kind."""
    if path.suffix.lower() != ".json":
        return False
    starts = (head(path, count) for count in (4000, 2**16))  # the second where a long text comes first
    return any(text.startswith("{") and SHAPES.search(text) for text in starts)


def splits(source):
    """Return the splits that the files' folders are called after."""
    return [split for split in _by_split(source) if split]


def read(source, split, class_names=None):
    """Read one split: the image of every file; the classes are those that occur, in alphabetical order."""
    source = Folder.of(source)
    split, files = part_of(_by_split(source), split, source)
    found = Findings(lambda names: _image(source, *names), *files)
    for path in followed(files, f"{source}: annotations"):
        try:
            stored = read_json(path)
        except (OSError, ValueError) as e:
            found.problems.append(f"{e}, image left out")
            continue
        if not isinstance(stored, dict) or not isinstance(stored.get("shapes"), list):
            found.problems.append(f"{path}: has no list of shapes, image left out")
            continue
        said = stored.get("imageWidth"), stored.get("imageHeight")
        if image := found.image((path, str(stored.get("imagePath") or path.stem)), path, said):
            for label, corners, where in _objects(path, stored["shapes"], found.problems):
                found.add(image, label, corners, f"{where} of {image.name}")
    return found.data(f"{source}, split {split}" if split else source, class_names)


def _by_split(source):
    source = Folder.of(source)
    return by_split(source, [file for file in source.with_suffix(".json") if describes(file)])


def _image(folder, path, name):
    """Return the image of a file; its own name comes first: one that was copied or renamed names another's."""
    exact = folder.image(name, near=path) if PurePosixPath(name.replace("\\", "/")).stem == path.stem else None
    image = exact or folder.image(path.stem, near=path) or folder.image(name, near=path)
    if image is None:
        raise ValueError(f"{path.parent / clean(name)}: missing, image left out")
    return image


def _objects(path, shapes, problems):
    """Return (label, corners, where it stands) of each object; shapes of one label and group are parts of it."""
    objects = {}
    for i, shape in enumerate(shapes):
        where = f"{path}: shapes[{i}]"
        if not isinstance(shape, dict):
            problems.append(f"{where}: is not a shape, left out")
            continue
        kind, label, group = shape.get("shape_type") or "polygon", shape.get("label"), shape.get("group_id")
        if kind in NO_AREA:
            problems.append(f"{where}: a {kind} has no area, left out")
            continue
        # A group of rectangles may be anything, and labelme's own scripts read them as an object each.
        key = i if group is None or kind == "rectangle" else (str(label), str(group))
        objects.setdefault(key, []).append((label, _corners(kind, shape.get("points")), where))
    for parts in objects.values():
        label, corners, where = parts[0]
        if len(parts) > 1 and all(len(corners) for _, corners, _ in parts):
            both = np.array([corners for _, corners, _ in parts])
            corners = (*both[:, :2].min(axis=0).tolist(), *both[:, 2:].max(axis=0).tolist())
        yield label, corners, where


def _corners(kind, points):
    """Return what the points span, none where they are not points."""
    try:
        points = np.array(points, "float64")
        if kind == "circle":
            (x, y), end = points
            radius = np.hypot(*(end - (x, y))).item()
            return x - radius, y - radius, x + radius, y + radius
        (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    except (OverflowError, TypeError, ValueError):
        return ()
    return left, top, right, bottom


FORMAT = Format(
    "labelme",
    "labelme folder",
    "a JSON file beside each image (labelme)",
    matches,
    splits,
    read,
    describes=describes,
)
