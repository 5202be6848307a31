"""Darknet's data sets: YOLO's label files beside the images, listed by a .data file or by their folders."""

from pathlib import Path

from ..class_names import listed_names
from ..folder import Folder, by_split, head, is_image, part_of, read_lines
from .format import Format
from .yolo import describes, listed_images, read_labels

KEYS = ("train", "valid", "test")  # of a .data file: lists of images
ROBOFLOW = "_darknet.labels"  # its list of classes, in the folder of each split


def matches(source, split):
    """Return whether it is a .data file, or a folder with one or with a list of classes for Darknet."""
    if not isinstance(source, Folder):
        return source.suffix.lower() == ".data" and source.is_file()
    return bool(_data_file(source) or _names_file(source)) and bool(source.images)


def splits(source):
    """Return the splits that the .data file names; without one those of the folders."""
    return [split for split in _places(source)[0] if split]


def read(source, split, class_names=None):
    """Read one split: the images that its list names, or that lie in its folder, and the label file of each."""
    places, files = _places(source)
    split, (names_file, listed) = part_of(places, split, source)
    root = source if isinstance(source, Folder) else Folder(_root(source))
    if not names_file:
        raise FileNotFoundError(f"{source}: the list of its classes is missing, expected a file such as obj.names")
    problems, files = [], {*files, names_file}
    names = listed_names(names_file, problems)
    images = []
    for place in listed:
        if is_image(place) or not place.is_file():
            images += listed_images([place], source, problems, files)
            continue
        files.add(place)
        for line in map(str.strip, read_lines(place)):
            if not line:
                continue
            image = _resolved(line, root) or root.image(line)
            if image is None:
                problems.append(f"{place}: {line}: missing, image left out")
            else:
                images.append(image)
    listing = f"{source}, split {split}" if split else source
    return read_labels(listing, root, dict.fromkeys(images), names, class_names, problems, files)


def _places(source):
    """Return ({split: (list of classes or None, images or lists of images)}, the files that were read)."""
    file = _data_file(source) if isinstance(source, Folder) else source
    if file is None:
        return _by_folders(source), set()
    root = source if isinstance(source, Folder) else Folder(_root(source))
    values = _values(file)
    names = (_resolved(values["names"], root) if "names" in values else None) or _names_file(root)
    places = {}
    for key in KEYS:
        if key in values:
            place = _resolved(values[key], root)
            # CVAT's .data file names lists in data/ that lie beside it.
            places[key] = names, [place or root.path / values[key]]
    return places or {None: (names, root.images)}, {file}


def _by_folders(folder):
    parts = by_split(folder, folder.images)
    lists = by_split(folder, [file for file in folder.files if _is_names(file)])
    shared = next(iter(lists.get(None, [])), None) or next(iter(lists.values()))[0]
    return {split: (lists.get(split, [shared])[0], images) for split, images in parts.items()}


def _values(file):
    pairs = (line.partition("=") for line in read_lines(file) if "=" in line and not line.lstrip().startswith("#"))
    return {key.strip(): value.strip() for key, _, value in pairs if value.strip()}


def _data_file(folder):
    """Return the .data file in a folder or in its folder `data`, or None."""
    inner = folder.folder("data")
    files = [file for file in (*folder.own, *(inner.own if inner else ())) if file.suffix.lower() == ".data"]
    return next((file for file in files if {"names", "classes"} & {*_words(file)}), None)


def _words(file):
    return (line.partition("=")[0].strip() for line in head(file, 4000).splitlines())


def _names_file(folder):
    return next((file for file in folder.files if _is_names(file)), None)


def _is_names(file):
    return file.suffix.lower() == ".names" or file.name.lower() == ROBOFLOW


def _root(data_file):
    """Return the folder that a .data file's paths are relative to, mostly the one above its own."""
    return data_file.parent.parent if data_file.parent.name.lower() == "data" else data_file.parent


def _resolved(name, root):
    """Return the path of a file that a list names, relative to a folder that Darknet was started in; None if missing.

    The data set may have moved: leading folders of the name that aren't there are left out.
    """
    parts = [part for part in Path(name.replace("\\", "/")).parts if part not in ("/", ".")]
    found = next(filter(None, (root.file(*parts[i:]) for i in range(len(parts)))), None)
    elsewhere = Path(name)
    return found or (elsewhere if elsewhere.is_absolute() and elsewhere.is_file() else None)


FORMAT = Format(
    "darknet", "Darknet folder", "a .data or .names file (Darknet)", matches, splits, read, describes=describes
)
