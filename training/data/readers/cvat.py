"""CVAT's XML files: images with their shapes, or the tracks of objects through the frames of a video."""

import io
import math
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter

import numpy as np

from ....progress import followed
from ..annotation_files import file_of, files_by_split, image_in
from ..annotations import Findings
from ..class_names import clean
from ..files.folder import Folder
from ..files.text import content, head
from ..files.xml_tree import INVALID, check_entities, read_xml
from ..format import Format

INSIDE = re.compile(r"<(version|meta|image|track)\b")
NO_BOX = ("cuboid", "points", "skeleton", "tag")  # shapes, and types of a label
FRAME = re.compile(r"frame_\d{6,}", re.I)
NO_SUBSET = "default"


def matches(source, split):
    """Return whether it is such an .xml file, or a folder with one."""
    return bool(_files(source))


def splits(source):
    """Return the splits that the files' folders or names say, or the subsets of the images of a single file."""
    return [split for split in (_subsets(source) or _files(source)) if split]


def read(source, split, class_names=None, images=None):
    """Read one split; the classes are those of the file in their order, else all that occur, by the alphabet."""
    files, subsets = _files(source), _subsets(source)
    if subsets and split not in subsets:
        raise FileNotFoundError(f"{source}: has no split {split!r}; there are {', '.join(subsets)}")
    path = file_of(files, None if subsets else split, source)
    subset = split if subsets else None
    root = read_xml(path)
    found = Findings(image_in(path, source, images, split or ""), path)
    frame_size = tuple(root.findtext(f".//original_size/{side}") for side in ("width", "height"))
    if root.find("track") is not None and isinstance(source, Folder) and not subset:
        for image in source.images:  # frames without an object, too
            if FRAME.fullmatch(image.stem) and image.is_relative_to(path.parent):
                found.image(image.stem, path, frame_size)
    left_out = Counter()
    for i, element in enumerate(followed(root, f"{path}: images")):
        if element.tag in ("image", "track") and subset in (None, _subset(element)):
            read_element = _read_image if element.tag == "image" else _read_track
            read_element(found, element, f"{path}: {element.tag}[{i}]", frame_size, left_out)
    if left_out:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(left_out.items()))
        found.problems.append(f"{path}: shapes that have no box, left out: {counts}")
    listing = f"{path}, split {subset}" if subset else path
    return found.data(listing, _labels(root) or None if class_names is None else class_names)


def _read_image(found, element, where, frame_size, left_out):
    name, subset = element.get("name"), element.get("subset")
    if not name:
        found.problems.append(f"{where}: an image without a name, left out")
        return
    # Images of two subsets may have one name, and are then in folders that are called like these.
    name = f"{subset}/{name}" if subset and subset.lower() != NO_SUBSET else name
    if image := found.image(name, where, (element.get("width"), element.get("height"))):
        for j, shape in enumerate(element):
            if shape.tag in NO_BOX:
                left_out[shape.tag] += 1
            else:
                found.add(image, shape.get("label"), _corners(shape), f"{where}.{shape.tag}[{j}] of {image.name}")


def _read_track(found, element, where, frame_size, left_out):
    for j, shape in enumerate(element):
        place = f"{where}.{shape.tag}[{j}]"
        if shape.get("outside") == "1":  # the object has left the frame
            continue
        if shape.tag in NO_BOX:
            left_out[shape.tag] += 1
        elif not re.fullmatch(r"\d{1,9}", shape.get("frame") or ""):
            found.problems.append(f"{place}: a shape without a frame, left out")
        elif image := found.image(f"frame_{int(shape.get('frame')):06}", place, frame_size):
            found.add(image, element.get("label"), _corners(shape), f"{place} of {image.name}")


def _corners(shape):
    """Return what a shape spans, turned as it is; nothing for one that is unknown or lacks something."""

    def numbers(*names):
        return (float(shape.get(name)) for name in names)

    try:
        angle = math.radians(float(shape.get("rotation") or 0))
        sin, cos = abs(math.sin(angle)), abs(math.cos(angle))
        match shape.tag:
            case "box":
                x1, y1, x2, y2 = numbers("xtl", "ytl", "xbr", "ybr")
                if not angle:
                    return x1, y1, x2, y2
                a, b = (x2 - x1) / 2, (y2 - y1) / 2
                return _around((x1 + x2) / 2, (y1 + y2) / 2, a * cos + b * sin, a * sin + b * cos)
            case "ellipse":
                x, y, a, b = numbers("cx", "cy", "rx", "ry")
                return _around(x, y, math.hypot(a * cos, b * sin), math.hypot(a * sin, b * cos))
            case "mask":
                x, y, width, height = numbers("left", "top", "width", "height")
                return x, y, x + width, y + height
            case "polygon" | "polyline":
                points = np.array([point.split(",") for point in shape.get("points", "").split(";")], "float64")
                (x1, y1), (x2, y2) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
                return x1, y1, x2, y2
    except (OverflowError, TypeError, ValueError):
        pass
    return ()


def _around(x, y, width, height):
    return x - width, y - height, x + width, y + height


def _labels(root):
    """Return the names of the classes that the file lists, without those of points and other shapes without a box."""
    labels = [label for meta in root.iter("meta") for labels in meta.iter("labels") for label in labels.iter("label")]
    kept = [label for label in labels if label.findtext("type") not in NO_BOX and not label.findtext("parent")]
    return [name for label in kept if (name := clean(label.findtext("name") or ""))]


def _subsets(source):
    """Return the subsets of the images of the data set's only file, where it is in no split, and has any."""
    files = _files(source).get(None, ())
    found = {}
    try:
        data = content(files[0]) if len(files) == 1 else b""
        if b"subset=" in data.replace(b"\0", b""):
            check_entities(data)
            for _, element in ElementTree.iterparse(io.BytesIO(data)):
                if element.tag in ("image", "track"):
                    found[_subset(element)] = None
                    element.clear()
    except (OSError, *INVALID):
        pass  # `read` says so
    return [] if set(found) <= {NO_SUBSET} else list(found)


def _subset(element):
    return (element.get("subset") or NO_SUBSET).lower()


def _files(source):
    return files_by_split(source, (".xml",), _is_cvat)


def _is_cvat(path):
    _, root, inside = head(path).partition("<annotations")
    return bool(root and INSIDE.search(inside))


FORMAT = Format("cvat", "CVAT folder or .xml file", "annotations.xml (CVAT)", matches, splits, read, takes_images=True)
