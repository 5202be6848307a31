"""Shared by all readers: validate annotations and collect them into data sets."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from .class_names import checked_classes, clean
from .example_tables import ExampleTable, LabelTable
from .examples import ClassificationData, DetectionData
from .images import checked_size, shown

ROUNDING = 0.05  # pixels by which a box may reach outside unreported: annotations are rounded
MAX_NAMES = 10  # in a message


class Objects(NamedTuple):
    """The N objects of many images, in the order in which the reader found them."""

    owners: np.ndarray  # (N,) number of the image
    names: Sequence[str]  # of classes
    labels: np.ndarray  # (N,) indices into `names`
    boxes: np.ndarray  # (N, 4) float64 x1, y1, x2, y2 in pixels, within the image
    areas: np.ndarray  # (N,) float64, NaN where none is given
    crowds: np.ndarray  # (N,) bool
    source: Callable[[int], str]  # function of an object's number; the place that says so


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
    if len(box) == 4 and 0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height:  # nearly all
        return box, None
    if len(box) != 4 or not all(map(math.isfinite, box)):
        return None, f"an object {label!r} without four finite numbers for its box, left out"
    inside = [min(max(value, 0.0), most) for value, most in zip(box, (width, height) * 2, strict=True)]
    if not (inside[2] > inside[0] and inside[3] > inside[1]):
        return None, f"box {box} of {label!r} has no area within {width}x{height}, left out"
    if max(abs(new - old) for new, old in zip(inside, box, strict=True)) > ROUNDING:
        return inside, f"box {box} of {label!r} reaches outside {width}x{height}, cut there"
    return inside, None


def cut_boxes(boxes, sizes):
    """Cut many boxes at once, as `usable_box` does.

    Args:
        boxes: (N, 4) float64 x1, y1, x2, y2 in pixels; NaN where there is none.
        sizes: (N, 2) width and height of each one's image.

    Returns:
        (the boxes cut to their images, (N,) whether `usable_box` has nothing to say of them).
    """
    most = np.concatenate([sizes, sizes], axis=1)
    inside = np.minimum(np.maximum(boxes, 0), most)
    with np.errstate(invalid="ignore"):  # infinite less infinite
        fits = (inside[:, 2:] > inside[:, :2]).all(axis=1) & (np.abs(inside - boxes) <= ROUNDING).all(axis=1)
    return inside, fits


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
        images = [(image, self._sizes[image], objects) for image, objects in self._objects.items()]
        return collect(listing, images, class_names, self.problems, self.files)


def collect(listing, images, class_names, problems, files=()):
    """Make `DetectionData` of what a reader has found; objects of other classes are left out, with a line per class.

    Args:
        listing: the file that lists the images, for errors.
        images: for each image its path, its (width, height), and a list of `Annotation`.
        class_names: the classes to keep.
        problems: the lines so far, which are added to.
        files: the files that were read, and the images that a line of `problems` names.

    Raises:
        ValueError: where no object is left.
    """
    things = [thing for _, _, objects in images for thing in objects]
    numbers = {name: i for i, name in enumerate(dict.fromkeys(thing.label for thing in things))}
    found = Objects(
        np.repeat(np.arange(len(images)), [len(objects) for _, _, objects in images]),
        list(numbers),
        np.array([numbers[thing.label] for thing in things], "int64"),
        np.array([thing.box for thing in things], "float64").reshape(-1, 4),
        np.array([thing.area or np.nan for thing in things], "float64"),
        np.array([thing.crowd for thing in things], bool),
        lambda i: things[i].source,
    )
    paths, sizes = [image for image, _, _ in images], [size for _, size, _ in images]
    return collect_objects(listing, paths, sizes, found, class_names, problems, files)


def collect_objects(listing, images, sizes, found, class_names, problems, files=()):
    """Make `DetectionData` of `Objects`, as `collect` does.

    Args:
        images: for each image its path, or its place in a larger file.
        sizes: for each its `StatedSize`.
        found: `Objects`.
    """
    names = checked_classes(class_names, listing)
    index = {name: i for i, name in enumerate(names)}
    order = np.argsort(found.owners, kind="stable")
    owners, boxes, areas, crowds = (c[order] for c in (found.owners, found.boxes, found.areas, found.crowds))
    labels = np.array([index.get(name, -1) for name in found.names], "int64")[found.labels[order]]
    again = np.zeros(len(order), bool)
    again[labels >= 0] = _again(np.column_stack([owners, labels, crowds, boxes])[labels >= 0])
    if twice := np.flatnonzero(again).tolist():
        first, count = found.source(order[twice[0]]), len(twice)
        problems.append(f"{first}: the same object again, left out{_counted(count, 'objects')}")
    others = Counter(found.labels[order][labels < 0].tolist())  # in the order in which they occur
    firsts = dict(zip(*(a.tolist() for a in np.unique(found.labels[order], return_index=True)), strict=True))
    unknown = {found.names[k]: (found.source(order[firsts[k]]), count) for k, count in others.items()}
    _report(unknown, names, problems, "objects")
    counted, crowd = ((labels >= 0) & ~again & (crowds == kind) for kind in (False, True))
    if not counted.any():
        regions = int(crowd.sum())
        raise _nothing(
            listing, "image with a usable object", len(images), {} if regions else unknown, names, problems, regions
        )
    extent = boxes[:, 2:] - boxes[:, :2]
    areas = np.where(areas > 0, areas, extent[:, 0] * extent[:, 1])
    table = ExampleTable(
        images,
        np.bincount(owners[counted], minlength=len(images)),
        (boxes[counted], labels[counted], areas[counted]),
        np.bincount(owners[crowd], minlength=len(images)),
        (boxes[crowd], labels[crowd]),
        sizes,
    )
    return DetectionData(table, names, problems, _files(files, images))


def _again(rows):
    """Return for each row (N, columns) whether an earlier one has the same values."""
    key = np.zeros(len(rows))
    for column in rows.T:
        key = key * 3.7 + column  # the same of equal rows, and seldom of others
    order = np.argsort(key)
    twin = np.diff(key[order]) == 0
    likely = np.union1d(order[1:][twin], order[:-1][twin])
    likely = likely[np.lexsort(rows[likely].T)]  # equal rows stay in their order
    same = np.zeros(len(rows), bool)
    same[likely[1:]] = (rows[likely[1:]] == rows[likely[:-1]]).all(axis=1)
    return same


def collect_labels(listing, images, class_names, problems, files=()):
    """Make `ClassificationData`, as `collect`, of images' paths and classes; others are left out, a line per class."""
    names = checked_classes(class_names, listing)
    index = {name: i for i, name in enumerate(names)}
    known, others = [(image, index[label]) for image, label in images if label in index], {}
    for image, label in images:
        if label not in index:
            others.setdefault(label, []).append(image)
    unknown = {label: (found[0], len(found)) for label, found in others.items()}
    _report(unknown, names, problems, "images")
    if not known:
        raise _nothing(listing, "usable image", 0, unknown, names, problems)
    table = LabelTable(*zip(*known, strict=True))
    return ClassificationData(table, names, problems, _files(files, [image for image, _ in images]))


def _whole(said):
    """Return a size that an annotation says in whole pixels; None where it says none, or 0, or no number."""
    try:
        size = tuple(int(float(value)) for value in said)
    except (OverflowError, TypeError, ValueError):
        return None
    return size if all(size) else None


def _files(files, images):
    """Return the files that were read: those given, and the images or the files that hold them."""
    return frozenset([*files, *(getattr(image, "file", image) for image in images)])


def _report(unknown, class_names, problems, things):
    """Add a line for each class of {class: (first of its places, how many there are)}."""
    known = f"known are {_some(class_names)}"
    for label, (first, count) in unknown.items():
        problems.append(f"{first}: unknown class {label!r}, left out{_counted(count, things)}; {known}")


def _counted(count, things):
    return f" ({count} {things}, the first here)" if count > 1 else ""


def _nothing(listing, wanted, images, unknown, class_names, problems, crowds=0):
    """Return the error that nothing can be used; it says what was found instead."""
    if unknown:
        return ValueError(f"{listing}: none of its classes ({_some(unknown)}) is among {_some(class_names)}")
    found = f"; found {images} images without one" if images else "" if problems else "; found no image"
    if crowds:
        found = f"; found {images} images with {crowds} regions of a crowd (iscrowd), which are not trained on"
    why = f"; the first of {len(problems)} problems: {shown(problems[0])}" if problems else ""
    return ValueError(f"{listing}: no {wanted}{found}{why}")


def _some(names):
    names = list(names)
    return ", ".join(names[:MAX_NAMES]) + (f", ... {len(names)} in all" if len(names) > MAX_NAMES else "")
