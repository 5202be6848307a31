"""VGG Image Annotator's files: a project, a JSON export or a CSV export, with the regions of many images."""

import json
import math
import re
from collections import Counter

import numpy as np

from ....progress import followed
from ..annotation_files import by_files, file_of, files_by_split, image_in
from ..annotations import Findings
from ..class_names import clean
from ..files.text import head, read_json
from ..format import Format
from .csv_table import first_row, rows

KEYS = re.compile(r'"(_via_\w+|shape_attributes|file_attributes|base64_img_data)"\s*:')
COLUMNS = "filename", "region_shape_attributes", "region_attributes"
CLASS = ("class", "label", "name", "type", "category", "object")  # what the attribute that is the class is called
ONLY = "object"  # the class of all regions where none has an attribute


def read(source, split, class_names=None, images=None):
    """Read one split; the classes are those that occur, in alphabetical order."""
    path = file_of(_files(source), split, source)
    found = Findings(image_in(path, source, images, split or ""), path)
    entries = list((_from_csv if path.suffix.lower() == ".csv" else _from_json)(path, found.problems))
    key = _class_key(path, [attributes for *_, regions in entries for *_, attributes in regions], found.problems)
    for name, where, regions in followed(entries, f"{path}: images"):
        if image := found.image(name, where):
            for place, shape, attributes in regions:
                _add(found, image, shape, attributes.get(key) if key else ONLY, f"{place} of {image.name}")
    return found.data(path, class_names)


def _from_json(path, problems):
    """Yield (name, where it stands, its regions) of each image; of a region where it stands, shape and attributes."""
    stored = read_json(path)
    stored = stored.get("_via_img_metadata", stored) if isinstance(stored, dict) else stored
    if not isinstance(stored, dict):
        raise ValueError(f"{path}: no file of the VGG Image Annotator; expected an object with an entry for each image")
    for key, entry in stored.items():
        where = f"{path}: [{json.dumps(key)}]"
        regions = entry.get("regions") if isinstance(entry, dict) else None
        regions = list(regions.values()) if isinstance(regions, dict) else regions  # those of version 1 have numbers
        if not isinstance(regions, list) or not isinstance(entry.get("filename"), str):
            problems.append(f"{where}: is not an image with a filename and regions, left out")
            continue
        usable = []
        for i, region in enumerate(regions):
            region = region if _is_dict(region) else {}
            shape, attributes = region.get("shape_attributes"), region.get("region_attributes")
            if _is_dict(shape) and (_is_dict(attributes) or attributes is None):
                usable.append((f"{where}.regions[{i}]", shape, attributes or {}))
            else:
                problems.append(f"{where}.regions[{i}]: has no shape_attributes and region_attributes, left out")
        yield entry["filename"], where, usable


def _from_csv(path, problems):
    """Yield what `_from_json` does for each line, which has one region or, where there is none in the image, none."""
    columns = [_header(path).index(name) for name in COLUMNS]
    lines = rows(path, problems)
    next(lines)
    for line, row in lines:
        where = f"{path}:{line}"
        try:
            name, shape, attributes = (row[i] for i in columns)
            shape, attributes = json.loads(shape), json.loads(attributes)
        except (IndexError, RecursionError, ValueError):
            shape, attributes = None, None
        if not (_is_dict(shape) and _is_dict(attributes)):
            problems.append(
                f"{where}: has no filename and two JSON texts, region_shape_attributes and others, left out"
            )
        elif not name:
            problems.append(f"{where}: names no image, left out")
        else:
            yield name, where, [(where, shape, attributes)] if shape else []


def _class_key(path, regions, problems):
    """Return which attribute of the regions is the class, None where there are none at all."""
    keys = Counter(key for attributes in regions for key in attributes)
    named = [key for name in CLASS for key in keys if key.strip().lower() == name]
    if regions and not keys:
        problems.append(f"{path}: no region has an attribute that could be its class, all are read as {ONLY!r}")
    if len(keys) > 1 and not named:
        raise ValueError(
            f"{path}: which attribute is the class? Call one {CLASS[0]!r}; there are {clean(', '.join(keys))}"
        )
    return next(iter([*named, *keys]), None)


def _add(found, image, shape, value, where):
    if shape.get("name") == "point":
        found.problems.append(f"{where}: a point has no area, left out")
        return
    if _is_dict(value):  # of check boxes
        chosen = [clean(name) for name, marked in value.items() if marked]
        if len(chosen) > 1:
            found.problems.append(f"{where}: has several classes ({', '.join(chosen)}), read as the first")
        value = next(iter(chosen), "")
    found.add(image, value, _corners(shape), where)


def _corners(shape):
    """Return what a shape spans, nothing for one that is unknown or lacks something."""
    try:
        match shape.get("name"):
            case "rect":
                x, y, width, height = (float(shape[key]) for key in ("x", "y", "width", "height"))
                return x, y, x + width, y + height
            case "circle" | "ellipse" as kind:
                x, y, a, b = (float(shape[key]) for key in ("cx", "cy", *(("rx", "ry") if kind == "ellipse" else "rr")))
                sin, cos = (turn(float(shape.get("theta") or 0)) for turn in (math.sin, math.cos))
                width, height = math.hypot(a * cos, b * sin), math.hypot(a * sin, b * cos)
                return x - width, y - height, x + width, y + height
            case "polygon" | "polyline":
                xs, ys = (np.array(shape[f"all_points_{axis}"], "float64") for axis in "xy")
                return xs.min(), ys.min(), xs.max(), ys.max()
    except (KeyError, OverflowError, TypeError, ValueError):
        pass
    return ()


def _is_dict(value):
    return isinstance(value, dict)


def _header(path):
    return [name.lstrip("#").lower() for name in first_row(path)]


def _is_via(path):
    if path.suffix.lower() == ".csv":
        return set(_header(path)) >= set(COLUMNS)
    text = head(path)
    return text.startswith("{") and bool(KEYS.search(text))


def _files(source):
    return files_by_split(source, (".json", ".csv"), _is_via)


FORMAT = Format(
    "via",
    "VGG Image Annotator folder or file",
    "a JSON or CSV export of the VGG Image Annotator",
    *by_files(_files),
    read,
    takes_images=True,
)
