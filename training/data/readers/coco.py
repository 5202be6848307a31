"""COCO's JSON files: images, annotations and categories in three lists."""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path

from ..annotations import add_object, collect
from ..examples import DetectionData
from ..images import checked_size
from .format import Format


def read_coco(
    path: os.PathLike[str] | str,
    class_names: Sequence[str] | None = None,
    images: os.PathLike[str] | str | None = None,
) -> DetectionData:
    """Read a COCO JSON file (cocodataset.org, "Data format", object detection).

    What can't be used is left out and reported in `problems`, a line each, as `read_voc` does. Regions marked `iscrowd`
    become the examples' `crowd_boxes`, and an annotation's `area` its object's; masks are not read. Images without
    annotations stay.

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
    path, problems = Path(path), []
    stored = _load(path)
    if images and not Path(images).is_dir():
        raise FileNotFoundError(f"{images}: missing; expected the folder of the images of {path}")
    root, subset = path.parent.parent, path.stem.removeprefix("instances_")
    usual = path.parent, path.parent / "images", root / subset, root / "images", root / "images" / subset
    folders = [Path(images)] if images else [folder for folder in usual if folder.is_dir()]

    categories = {}
    for i, entry in enumerate(stored["categories"]):
        try:
            categories[int(entry["id"])] = " ".join(str(entry["name"]).split())
        except (KeyError, OverflowError, TypeError, ValueError):
            problems.append(f"{path}: categories[{i}] without an id and a name, left out")
    usable, listed = {}, set()
    for i, entry in enumerate(stored["images"]):
        try:
            if entry["id"] in listed:
                raise ValueError(f"{path}: images[{i}] has the id of another ({entry['id']}), left out")
            listed.add(entry["id"])
            usable[entry["id"]] = _image(path, entry, folders)
        except (KeyError, TypeError):
            problems.append(f"{path}: images[{i}] without an id and a file_name, left out")
        except OSError as e:
            problems.append(f"{e}, left out")
        except ValueError as e:
            problems.append(str(e))
    for i, entry in enumerate(stored["annotations"]):
        try:
            number, label = entry["image_id"], categories[entry["category_id"]]
            known = number in listed
        except (KeyError, TypeError):
            problems.append(f"{path}: annotations[{i}] without an image_id and a known category_id, left out")
            continue
        if not known:
            problems.append(f"{path}: annotations[{i}] of an image that is not listed ({number}), left out")
        elif number in usable:
            image, size, objects = usable[number]
            source, corners = f"{path}: annotations[{i}] of {image.name}", _corners(entry.get("bbox"))
            area, crowd = _area(entry.get("area")), bool(entry.get("iscrowd"))
            add_object(objects, problems, label, corners, size, source, area, crowd)
    if class_names is None:
        class_names = list(dict.fromkeys(categories[number] for number in sorted(categories)))
    found = [(image, objects) for image, _, objects in usable.values()]
    return collect(path, found, tuple(class_names), problems)


def matches(path, split):
    """Return whether it is a .json file, or a folder of COCO's layout."""
    return path.suffix.lower() == ".json" or bool(splits(path))


def splits(folder):
    """Return the names of which annotations/instances_<split>.json exists; none for a file."""
    return [path.stem.removeprefix("instances_") for path in (Path(folder) / "annotations").glob("instances_*.json")]


def _read_any(path, split, class_names, images):
    path = Path(path)
    if path.suffix.lower() == ".json":
        return read_coco(path, class_names, images)
    instances = path / "annotations" / f"instances_{split}.json"
    if not instances.is_file():
        raise FileNotFoundError(f"{instances}: missing; a COCO folder lists its {split} images there")
    return read_coco(instances, class_names, images)


def _load(path):
    try:
        stored = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as e:
        raise FileNotFoundError(f"{path}: missing; expected a COCO JSON file") from e
    except (ValueError, RecursionError) as e:
        raise ValueError(f"{path}: not valid JSON ({e})") from e
    lists = ("images", "annotations", "categories")
    if not isinstance(stored, dict) or not all(isinstance(stored.get(key), list) for key in lists):
        raise ValueError(f"{path}: no COCO file; expected an object with the lists {', '.join(lists)}")
    return stored


def _image(path, entry, folders):
    """Return (path, upright size, an empty list for its objects) of an image in the list."""
    name = entry["file_name"]
    places = [folder / name for folder in folders]
    image = next((place for place in places if place.is_file()), None)
    if image is None:
        raise ValueError(f"{places[-1]}: missing, image left out")
    said = entry.get("width"), entry.get("height")
    size = checked_size(image, None if said == (None, None) else said, path)
    return image, size, []


def _corners(bbox):
    try:
        x, y, width, height = map(float, bbox)
    except (OverflowError, TypeError, ValueError):
        return ()
    return x, y, x + width, y + height


def _area(value):
    known = isinstance(value, (int, float)) and 0 < value < math.inf
    return float(value) if known else None


FORMAT = Format(
    "COCO folder or .json file", "annotations/instances_*.json (COCO)", matches, splits, _read_any, takes_images=True
)
