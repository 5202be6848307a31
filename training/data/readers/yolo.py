"""YOLO's text files, laid out as Ultralytics has them: a line an object, in parts of the image."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ....tflite.device.frames import SUFFIXES
from ..annotations import add_object, collect
from ..examples import DetectionData
from ..images import upright_size
from .format import Format

KEYS = ("train", "val", "test")  # of data.yaml


def matches(path, split):
    """Return whether it is a .yaml file, a folder with data.yaml, or one with images and classes.txt."""
    bare = (path / "images").is_dir() and (path / "classes.txt").is_file()
    listed = path.suffix.lower() in (".yaml", ".yml") and path.exists()
    return listed or (path / "data.yaml").is_file() or bare


def splits(path):
    """Return the splits that data.yaml names; without one the folders in `images`, none where the images lie there."""
    return [split for split in _places(Path(path))[0] if split]


def read_yolo(
    path: os.PathLike[str] | str, split: str | None = None, class_names: Sequence[str] | None = None
) -> DetectionData:
    """Read one split of a YOLO data set.

    data.yaml has `path` (of the data set, relative to the file), `train`, `val` and `test` (folders of images or .txt
    lists of them, relative to `path`; one or several) and `names`; without it the images lie in images/<split> and
    the names in classes.txt, a line each. The objects of images/a.jpg are in labels/a.txt, a line each: number of the
    class, centre x and y, width and height, in parts of the upright image; or the corners of a polygon, which becomes
    the box around it. An image without such a file is one without objects. What can't be used is left out and
    reported in `problems`, with file and line.

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
    path = Path(path)
    places, names, posed = _places(path)
    split = None if None in places else split
    if split not in places:
        raise FileNotFoundError(f"{path}: has no split {split!r}; there are {', '.join(places) or 'none'}")
    problems, images = [], []
    for image in _images(places[split], path, problems):
        try:
            size = upright_size(image)
        except OSError as e:
            problems.append(f"{e}, left out")
            continue
        images.append((image, _objects(_label_file(image), size, names, posed, problems)))
    return collect(f"{path}, split {split}" if split else path, images, class_names or tuple(names), problems)


def _places(path):
    """Return ({split: folders and lists of images}, class names, whether lines have key points after the box)."""
    file = path if path.is_file() else path / "data.yaml"
    if file.is_file():
        return _from_yaml(file)
    images, listing = path / "images", path / "classes.txt"
    names = [line.strip() for line in listing.read_text("utf-8", "replace").splitlines() if line.strip()]
    parts = {folder.name: [folder] for folder in sorted(images.iterdir()) if folder.is_dir()}
    return parts or {None: [images]}, names, False


def _from_yaml(file):
    import yaml

    try:
        stored = yaml.safe_load(file.read_text("utf-8"))
        names = stored["names"]
        if isinstance(names, dict):
            names = [names[i] for i in range(len(names))]
        if not names or not isinstance(names, list):
            raise TypeError(f"names: {names!r}")
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as e:
        reason = " ".join(f"{type(e).__name__}: {e}".split())
        expected = "expected YAML with train, val and names, a list or a number each"
        raise ValueError(f"{file}: not a YOLO data set; {expected} ({reason})") from e
    names = [" ".join(str(name).split()) for name in names]
    root = file.parent / str(stored.get("path") or "")
    if not root.is_dir():  # Ultralytics' own files name a folder of the machine they were written on
        root = file.parent
    places = {}
    for split in KEYS:
        if stored.get(split):
            values = stored[split] if isinstance(stored[split], list) else [stored[split]]
            places[split] = [_place(root, str(value)) for value in values]
    return places, names, "kpt_shape" in stored


def _place(root, name):
    place = root / name
    # Roboflow's files say ../train/images for a folder in their own.
    return root / name[3:] if name.startswith("../") and not place.exists() else place


def _images(places, path, problems):
    found = []
    for place in places:
        if place.is_dir():
            found += sorted(file for file in place.rglob("*") if file.suffix.lower() in SUFFIXES)
        elif place.is_file():
            lines = [line.strip() for line in place.read_text("utf-8", "replace").splitlines() if line.strip()]
            found += [place.parent / line.removeprefix("./") for line in lines]
        else:
            problems.append(f"{place}: missing; {path} names it as a folder or a list of images")
    return found


def _label_file(image):
    """Return labels/.../a.txt for images/.../a.jpg: the last of its folders called images is replaced."""
    parts = list(image.parts)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i] == "images":
            parts[i] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _objects(file, size, names, posed, problems):
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []
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
            problems.append(f"{source}: class {fields[0]} is none of 0 to {len(names) - 1}, left out")
        elif not (len(values) == 4 or posed and len(values) > 4 or len(values) >= 6 and len(values) % 2 == 0):
            problems.append(f"{source}: {len(values)} numbers after the class, expected 4 or a polygon's, left out")
        else:
            add_object(objects, problems, names[int(label)], _corners(values, size, posed), size, source)
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


FORMAT = Format("YOLO folder", "data.yaml or images and classes.txt (YOLO)", matches, splits, read_yolo)
