"""Darknet's data sets: YOLO's label files beside the images, listed by a .data file or by their folders."""

from pathlib import PurePath

from ..files.folder import Folder, by_split, part_of
from ..files.text import head, read_lines
from ..format import Format
from ..label_files import describes, nearest_names, read_labels
from .yolo import listed_images

NAMES = ".names"
KEYS = ("train", "valid", "test")  # of a .data file: lists of images
ROBOFLOW = "_darknet.labels"  # its list of classes, in the folder of each split


def matches(source, split):
    """Return whether it is a .data file, or a folder with one or with a list of classes for Darknet."""
    if not isinstance(source, Folder):
        return source.suffix.lower() == ".data" and source.is_file()
    return bool(_data_file(source) or _lists(source)) and bool(source.images)


def splits(source):
    """Return the splits that the .data file names; without one those of the folders."""
    return [split for split in _places(source)[0] if split]


def read(source, split, class_names=None):
    """Read one split: the images that its list names, or that lie in its folder, and the label file of each."""
    places, files = _places(source)
    split, (lists, listed) = part_of(places, split, source)
    root = source if isinstance(source, Folder) else Folder(_root(source))
    problems, files = [], {*files}
    images = listed_images(listed, source, root, problems, files)
    names = nearest_names(lists, images, root, problems, files)
    listing = f"{source}, split {split}" if split else source
    return read_labels(listing, root, images, names, class_names, problems, files)


def _places(source):
    """Return ({split: (lists of classes, images or lists of images)}, the files that were read)."""
    file = _data_file(source) if isinstance(source, Folder) else source
    root = source if isinstance(source, Folder) else Folder(_root(source))
    lists = _lists(root)
    values = _values(file) if file else {}
    named = root.resolve(values["names"]) if "names" in values else None
    lists = [named] if named and named.is_file() else lists
    if not lists:
        raise ValueError(f"{source}: the list of its classes is missing, expected a file such as obj.names")
    # CVAT's .data file names lists in data/ that lie beside it.
    places = {key: [root.resolve(values[key]) or root.path / values[key]] for key in KEYS if key in values}
    places = places or by_split(root, root.images)
    return {split: (lists, listed) for split, listed in places.items()}, {file} if file else set()


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


def _lists(folder):
    """Return the lists of classes in a folder."""
    files = folder.with_suffix(NAMES, PurePath(ROBOFLOW).suffix)
    return [file for file in files if file.suffix.lower() == NAMES or file.name.lower() == ROBOFLOW]


def _root(data_file):
    """Return the folder that a .data file's paths are relative to, mostly the one above its own."""
    return data_file.parent.parent if data_file.parent.name.lower() == "data" else data_file.parent


FORMAT = Format(
    "darknet", "Darknet folder", "a .data or .names file (Darknet)", matches, splits, read, describes=describes
)
