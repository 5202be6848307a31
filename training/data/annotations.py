"""Shared by all readers: validate annotations and collect them into data sets."""

from typing import NamedTuple

import numpy as np

from .examples import ClassificationData, DetectionData, Example, LabelledImage

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
    if len(box) != 4 or not np.isfinite(box).all():
        return None, f"an object {label!r} without four finite numbers for its box, left out"
    inside = [float(np.clip(v, 0, most)) for v, most in zip(box, (width, height) * 2, strict=True)]
    if not (inside[2] > inside[0] and inside[3] > inside[1]):
        return None, f"box {box} of {label!r} has no area within {width}x{height}, left out"
    if np.abs(np.subtract(inside, box)).max() > ROUNDING:
        return inside, f"box {box} of {label!r} reaches outside {width}x{height}, cut there"
    return inside, None


def add_object(objects, problems, label, values, size, source, area=None, crowd=False):
    """Add an `Annotation` of what `usable_box` leaves of a box to `objects`, what is wrong with it to `problems`."""
    box, problem = usable_box(values, label, size)
    if problem:
        problems.append(f"{source}: {problem}")
    if box:
        objects.append(Annotation(label, box, source, area, crowd))


def collect(listing, images, class_names, problems):
    """Make `DetectionData` of what a reader has found; objects of other classes are left out, with a line per class.

    Args:
        listing: the file that lists the images, for errors.
        images: for each image its path and a list of `Annotation`.
        class_names: the classes to keep.
        problems: the lines so far, which are added to.

    Raises:
        ValueError: where no object is left.
    """
    index, unknown, examples = {name: i for i, name in enumerate(class_names)}, {}, []
    for image, objects in images:
        known = [thing for thing in objects if thing.label in index]
        for thing in objects:
            if thing.label not in index:
                unknown.setdefault(thing.label, []).append(thing.source)
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
    _report(unknown, class_names, problems, "objects")
    if not any(len(example.boxes) for example in examples):
        anything = any(len(example.crowd_boxes) for example in examples)
        raise _nothing(listing, "image with a usable object", {} if anything else unknown, class_names, problems)
    return DetectionData(examples, tuple(class_names), problems)


def collect_labels(listing, images, class_names, problems):
    """Make `ClassificationData`, as `collect`, of images' paths and classes; others are left out, a line per class."""
    index, unknown, examples = {name: i for i, name in enumerate(class_names)}, {}, []
    for image, label in images:
        if label in index:
            examples.append(LabelledImage(image, index[label]))
        else:
            unknown.setdefault(label, []).append(image)
    _report(unknown, class_names, problems, "images")
    if not examples:
        raise _nothing(listing, "usable image", unknown, class_names, problems)
    return ClassificationData(examples, tuple(class_names), problems)


def _report(unknown, class_names, problems, things):
    for label, sources in unknown.items():
        count = f" ({len(sources)} {things}, the first here)" if len(sources) > 1 else ""
        problems.append(f"{sources[0]}: unknown class {label!r}, left out{count}; known are {_some(class_names)}")


def _nothing(listing, wanted, unknown, class_names, problems):
    if unknown:
        return ValueError(f"{listing}: none of its classes ({_some(unknown)}) is among {_some(class_names)}")
    why = f"; the first of {len(problems)} problems: {problems[0]}" if problems else ""
    return ValueError(f"{listing}: no {wanted}{why}")


def _arrays(objects, index):
    boxes = np.array([thing.box for thing in objects], "float32").reshape(-1, 4)
    return boxes, np.array([index[thing.label] for thing in objects], "int64")


def _some(names):
    names = list(names)
    return ", ".join(names[:MAX_NAMES]) + (f", ... {len(names)} in all" if len(names) > MAX_NAMES else "")
