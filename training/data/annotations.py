"""Shared by all readers: validate annotations and collect them into data sets."""

import math
from typing import NamedTuple

import numpy as np

from .class_names import clean
from .examples import ClassificationData, DetectionData, Example, LabelledImage
from .images import checked_size

ROUNDING = 0.05  # pixels by which a box may reach outside unreported: annotations are rounded
MAX_NAMES = 10  # in a message


class Annotation(NamedTuple):
    """An object as a reader finds it."""

    label: str
    box: list[float]
    source: str  # the file that says so
    area: float | None = None
    crowd: bool = False


def usable_box(values, label, size):
    """Cut an annotated box to its image.

    Args:
        values: x1, y1, x2, y2 in pixels, as numbers or text; anything else is reported.
        label: the object's class, for the report.
        size: (width, height) of the image.

    Returns:
        (the box cut to the image, or None where nothing of it is usable; what is wrong with it, or None).
    """
    width, height = size
    try:
        box = [float(value) for value in values]
    except (OverflowError, TypeError, ValueError):
        box = []
    if len(box) != 4 or not all(map(math.isfinite, box)):
        return None, f"an object {label!r} without four finite numbers for its box, left out"
    inside = [min(max(value, 0.0), most) for value, most in zip(box, (width, height) * 2, strict=True)]
    if not (inside[2] > inside[0] and inside[3] > inside[1]):
        return None, f"box {box} of {label!r} has no area within {width}x{height}, left out"
    if max(abs(new - old) for new, old in zip(inside, box, strict=True)) > ROUNDING:
        return inside, f"box {box} of {label!r} reaches outside {width}x{height}, cut there"
    return inside, None


def add_object(objects, problems, label, values, size, source, area=None, crowd=False):
    """Add an `Annotation` of what `usable_box` leaves of a box to `objects`, what is wrong with it to `problems`."""
    box, problem = usable_box(values, label, size)
    if problem:
        problems.append(f"{source}: {problem}")
    if box:
        objects.append(Annotation(label, box, source, area, crowd))


class Findings:
    """What a reader of a file with many images finds.

    Attributes:
        problems: a line for everything that was left out or changed.
        files: the files that were read, and the images that a line of `problems` names.
    """

    def __init__(self, find, *files):
        self.problems, self.files = [], set(files)
        self._find, self._names, self._sizes, self._objects = find, {}, {}, {}

    def image(self, name, source, said=None):
        """Add the image of a name, once; return its path, or None where it can't be used, which is reported.

        `find` finds it, or raises a ValueError; `said` is the (width, height) that its annotation says, as numbers or
        text; anything else counts as not said.
        """
        if name not in self._names:
            self._names[name] = None
            try:
                image = self._find(name)
                self.files.add(image)
                self._sizes[image] = checked_size(image, _whole(said), source)
                self._objects.setdefault(image, [])
                self._names[name] = image
            except OSError as e:
                self.problems.append(f"{e}, left out")
            except ValueError as e:
                self.problems.append(str(e))
        return self._names[name]

    def size(self, image):
        """Return the (width, height) of an image that was added, in pixels."""
        return self._sizes[image]

    def add(self, image, label, values, source, area=None, crowd=False):
        """Add an object of an image, as `add_object` does; its label, a text or number, is cleaned, and not empty."""
        if type(label) not in (str, int, float) or not (label := clean(label)):
            self.problems.append(f"{source}: an object without a name, left out")
            return
        add_object(self._objects[image], self.problems, label, values, self._sizes[image], source, area, crowd)

    def data(self, listing, class_names=None):
        """Return the `DetectionData`; without names the classes are those that occur, in alphabetical order."""
        if class_names is None:
            class_names = sorted({thing.label for objects in self._objects.values() for thing in objects})
        return collect(listing, self._objects.items(), class_names, self.problems, self.files)


def collect(listing, images, class_names, problems, files=()):
    """Make `DetectionData` of what a reader has found; objects of other classes are left out, with a line per class.

    Args:
        listing: the file that lists the images, for errors.
        images: for each image its path and a list of `Annotation`.
        class_names: the classes to keep.
        problems: the lines so far, which are added to.
        files: the files that were read, and the images that a line of `problems` names.

    Raises:
        ValueError: where no object is left.
    """
    names = tuple(dict.fromkeys(class_names))
    index, unknown, twice, examples = {name: i for i, name in enumerate(names)}, {}, [], []
    for image, objects in images:
        known, seen = [], set()
        for thing in objects:
            if thing.label not in index:
                unknown.setdefault(thing.label, []).append(thing.source)
            elif (same := (thing.label, thing.crowd, *thing.box)) in seen:
                twice.append(thing.source)
            else:
                seen.add(same)
                known.append(thing)
        counted, crowd = ([t for t in known if t.crowd == crowd] for crowd in (False, True))
        box_areas = [(t.box[2] - t.box[0]) * (t.box[3] - t.box[1]) for t in counted]
        examples.append(
            Example(
                image,
                *_arrays(counted, index),
                np.array([t.area or area for t, area in zip(counted, box_areas, strict=True)], "float64"),
                *_arrays(crowd, index),
            )
        )
    if twice:
        problems.append(f"{twice[0]}: the same object again, left out{_counted(twice, 'objects')}")
    _report(unknown, names, problems, "objects")
    if not any(len(example.boxes) for example in examples):
        crowds = sum(len(example.crowd_boxes) for example in examples)
        raise _nothing(
            listing, "image with a usable object", len(examples), {} if crowds else unknown, names, problems, crowds
        )
    return DetectionData(examples, names, problems, _files(files, examples))


def collect_labels(listing, images, class_names, problems, files=()):
    """Make `ClassificationData`, as `collect`, of images' paths and classes; others are left out, a line per class."""
    names = tuple(dict.fromkeys(class_names))
    index, unknown, examples = {name: i for i, name in enumerate(names)}, {}, []
    for image, label in images:
        if label in index:
            examples.append(LabelledImage(image, index[label]))
        else:
            unknown.setdefault(label, []).append(image)
    _report(unknown, names, problems, "images")
    if not examples:
        raise _nothing(listing, "usable image", 0, unknown, names, problems)
    return ClassificationData(examples, names, problems, _files(files, examples, unknown.values()))


def _whole(said):
    """Return a size that an annotation says in whole pixels; None where it says none, or 0, or no number."""
    try:
        size = tuple(int(float(value)) for value in said)
    except (OverflowError, TypeError, ValueError):
        return None
    return size if all(size) else None


def _files(files, examples, others=()):
    """Return the files that were read: those given, and the examples' images or the files that hold them."""
    images = [*(example.image for example in examples), *(image for group in others for image in group)]
    return frozenset([*files, *(getattr(image, "file", image) for image in images)])


def _report(unknown, class_names, problems, things):
    for label, sources in unknown.items():
        count = _counted(sources, things)
        problems.append(f"{sources[0]}: unknown class {label!r}, left out{count}; known are {_some(class_names)}")


def _counted(sources, things):
    return f" ({len(sources)} {things}, the first here)" if len(sources) > 1 else ""


def _nothing(listing, wanted, images, unknown, class_names, problems, crowds=0):
    """Return the error that nothing can be used; it says what was found instead."""
    if unknown:
        return ValueError(f"{listing}: none of its classes ({_some(unknown)}) is among {_some(class_names)}")
    found = f"; found {images} images without one" if images else "" if problems else "; found no image"
    if crowds:
        found = f"; found {images} images with {crowds} regions of a crowd (iscrowd), which are not trained on"
    why = f"; the first of {len(problems)} problems: {problems[0]}" if problems else ""
    return ValueError(f"{listing}: no {wanted}{found}{why}")


def _arrays(objects, index):
    boxes = np.array([thing.box for thing in objects], "float32").reshape(-1, 4)
    return boxes, np.array([index[thing.label] for thing in objects], "int64")


def _some(names):
    names = list(names)
    return ", ".join(names[:MAX_NAMES]) + (f", ... {len(names)} in all" if len(names) > MAX_NAMES else "")
