"""Formats whose files annotate many images each: which file is of which split, and where its images are."""

import os
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from .class_names import clean
from .files.folder import SPLIT, Folder, is_image, part_of, split_of

LOOKED_AT = 50  # files whose beginning is looked at to recognize a data set
MAX_NAME = 250  # characters, of an image in a message
WORD = re.compile(r"[^a-zA-Z0-9]+")


def files_by_split(source, suffixes, fits, prefix=None):
    """Find the annotation files of a data set.

    Args:
        source: `Folder`, or the path of one file.
        suffixes: of the files, in lower case.
        fits: function of a path; whether it is such a file.
        prefix: where files of a folder are called so (instances_val.json), its others are left alone, and the rest of
            the name is the split.

    Returns:
        {split: list of files}: the split is None for a file on its own.
    """
    if not isinstance(source, Folder):
        return {None: [source]} if source.suffix.lower() in suffixes and fits(source) else {}
    candidates = source.with_suffix(*suffixes)
    if prefix:
        chosen = {file.parent for file in candidates if file.name.startswith(prefix)}
        candidates = [file for file in candidates if file.name.startswith(prefix) or file.parent not in chosen]
    # Folders with as many may hold a file for each image, in another format.
    found = [file for file in candidates[:LOOKED_AT] if fits(file)]
    parts = {}
    for file in found:
        parts.setdefault(_split(file, source, prefix, alone=len(found) == 1), []).append(file)
    if None in parts and len(parts) > 1:
        for file in parts.pop(None):
            parts.setdefault(file.stem, []).append(file)
    return parts


def by_files(files_of: Callable) -> tuple[Callable, Callable]:
    """Return `Format.matches` and `Format.splits` of a format whose `files_of(data set)` gives {split: files}."""

    def matches(source, split):
        return bool(files_of(source))

    def splits(source):
        return [split for split in files_of(source) if split]

    return matches, splits


def file_of(parts, split, source):
    """Return the one file of a split; a FileNotFoundError says which splits there are, a ValueError that it has two."""
    first, *others = part_of(parts, split, source)[1]
    if others:
        raise ValueError(f"{first}: {others[0]} is another file of the same data; give the path of the one to read")
    return first


def image_in(path, source=None, images=None, subset=""):
    """Return a function that finds the images of an annotation file by their names in it.

    Args:
        path: the annotation file.
        source: `Folder` of the data set; anything else where the file alone is known.
        images: the folder that the names are relative to, None for the usual places.
        subset: name of a folder of images that belong to the file.

    Returns:
        Function of a name; the image's path. It raises a ValueError where there is none.

    Raises:
        FileNotFoundError: where `images` is not a folder.
    """
    if images and not Path(images).is_dir():
        raise FileNotFoundError(f"{images}: missing; expected the folder of the images of {path}")
    here, above = path.parent, path.parent.parent
    folder = source if isinstance(source, Folder) else None
    around = [above] if folder is None or above.is_relative_to(folder.path) else []
    usual = [place / inner for place in (here, *around) for inner in (subset, f"images/{subset}") if subset]
    usual += [here, here / "images", here / "data", *(place / "images" for place in around)]
    places = [Path(images)] if images else [place for place in dict.fromkeys(usual) if place.is_dir()]
    if images:
        trees = [Folder(images)]
    else:  # the folder that a file lies in may be anything; what is in a data set's folder belongs to it
        trees = [folder] if folder else [Folder(place) for place in places if place not in (here, above)]

    folders = [_within(folder, place) for place in places]

    def find(name):
        plain = name.replace("\\", "/")
        listed = next(filter(None, (place.listed(plain) for place in folders)), None)
        if listed and is_image(listed):  # without a question to the disk
            return listed
        exact = (place / plain for place in places)
        found = next(
            (Path(os.path.normpath(image)) for image in exact if is_image(image) and os.path.isfile(image)), None
        )
        found = found or next(filter(None, (tree.image(name, near=here / subset / path.name) for tree in trees)), None)
        if found is None and not (folder or images):
            *inner, last = PurePosixPath(plain).parts or ("",)
            near = filter(None, (listed.folder(*inner) for listed in folders))
            stem = PurePosixPath(last).stem.lower()
            found = next((image for one in near for image in one.own_images if image.stem.lower() == stem), None)
        if found is None and Path(plain).is_absolute():
            raise ValueError(f"{path}: names {clean(plain)[:MAX_NAME]}, which is missing; image left out")
        if found is None:
            likely = places[-1] if places[0] == here else places[0]
            raise ValueError(f"{likely / clean(plain)[:MAX_NAME]}: missing, image left out")
        return found

    return find


def _within(folder, place):
    """Return the `Folder` of a place, listed already where it lies in `folder`, of which may be None."""
    place = Path(os.path.normpath(place))
    if folder is not None and place.is_relative_to(folder.path):
        inner = folder.folder(*place.relative_to(folder.path).parts)
        if inner is not None and inner.path == place:
            return inner
    return Folder(place)


def _split(file, folder, prefix, alone):
    if prefix and file.name.startswith(prefix) and file.stem != f"{prefix}default":  # CVAT's name for no split
        return file.stem.removeprefix(prefix)
    if split := split_of(folder.relative(file)[:-1]):
        return split
    named = next((word for word in WORD.split(file.stem) if SPLIT.match(word)), None)
    return named if named or alone else None
