"""A COCO file's lists, decoded without its masks: they are most of it, and of use only where a box is missing."""

import functools
from collections import namedtuple
from typing import Any

from .text import content, read_json

try:
    import msgspec  # of an extra
except ImportError:
    msgspec = None  # type: ignore[assignment]

LISTS = "images", "annotations", "categories"
IMAGE = "id", "file_name", "width", "height"
ANNOTATION = "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation"
MASK = ANNOTATION[-1]


def load(path):
    """Return the lists of a COCO file: an object with `images`, `annotations` and `categories`.

    The first two are lists of objects with the fields of `IMAGE` and `ANNOTATION`, None where there is none; the third
    is as it stands in the file.

    Raises:
        OSError: where the file can't be read.
        ValueError: where it is not a COCO file.
    """
    return _decoded(path) or _parsed(path)


def polygons(annotation):
    """Return the segmentation of an annotation, as it stands in the file."""
    mask = annotation.segmentation
    return msgspec.json.decode(mask) if msgspec and isinstance(mask, msgspec.Raw) else mask


def _decoded(path):
    """Return what msgspec makes of a file in a tenth of the time and a third of the memory; None where it can't.

    It refuses all that `json` refuses, and some that it takes: NaN, a byte-order mark, an entry that is not an object.
    """
    if msgspec is None:
        return None
    try:
        return _decoder().decode(content(path))
    except (OSError, RecursionError, ValueError):  # `_parsed` says so
        return None


@functools.cache
def _decoder():
    def rows(name, fields):
        kinds = [(field, msgspec.Raw if field == MASK else Any, None) for field in fields]
        return list[msgspec.defstruct(name, kinds, gc=False)]

    lists = zip(LISTS, (rows("Image", IMAGE), rows("Annotation", ANNOTATION), list[Any]), strict=True)
    return msgspec.json.Decoder(msgspec.defstruct("File", list(lists)))


def _parsed(path):
    stored = read_json(path)
    if not isinstance(stored, dict) or not all(isinstance(stored.get(key), list) for key in LISTS):
        raise ValueError(f"{path}: no COCO file; expected an object with the lists {', '.join(LISTS)}")
    for name, fields in zip(LISTS, (IMAGE, ANNOTATION), strict=False):
        row, entries = namedtuple(name, fields, defaults=[None] * len(fields)), stored[name]
        for i, entry in enumerate(entries):  # in place, so that the masks go on the way
            known = entry if isinstance(entry, dict) else {}
            unused = (MASK,) if known.get("bbox") else ()
            entries[i] = row(**{key: known[key] for key in fields if key in known and key not in unused})
    return namedtuple("File", LISTS)(*(stored[key] for key in LISTS))
