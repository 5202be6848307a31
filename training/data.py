"""What a detection data set is, and what its readers have in common."""

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

ORIENTATION = 0x0112  # EXIF tag; from 5 on the picture lies on its side
ROUNDING = 0.05  # pixels by which a box may reach outside unreported: annotations are rounded
LISTED = 10  # names in a message


@dataclass(frozen=True)
class Example:
    """A picture with its objects. Boxes are those of the upright picture, its EXIF orientation applied.

    Attributes:
        image: path of the picture, or the (h, w, 3) uint8 RGB array itself.
        boxes: (N, 4) float32 x1, y1, x2, y2 in the picture's pixels.
        labels: (N,) int64, indices into the class names.
        areas: (N,) square pixels that make an object small, medium or large in the evaluation; None for its box's.
        crowd_boxes: (M, 4) regions of uncounted objects: no part of the training, and in the evaluation neither missed
            nor a place where a detection is false.
        crowd_labels: (M,) their classes.
    """

    image: Path | np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    areas: np.ndarray | None = None
    crowd_boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), "float32"))
    crowd_labels: np.ndarray = field(default_factory=lambda: np.zeros(0, "int64"))

    @property
    def size(self):
        """(width, height) of the picture in pixels, as it stands upright."""
        if isinstance(self.image, np.ndarray):
            return self.image.shape[1::-1]
        return upright_size(self.image)

    def pixels(self):
        """The picture as an (h, w, 3) uint8 RGB array.

        Raises:
            OSError: for a missing or broken picture, naming the file.
        """
        return read_pixels(self.image)[0]


def read_pixels(image, least=None):
    """The pixels of an example's `image`, and the factor by which these are fewer: `decode` for a path.

    Raises:
        OSError: for a missing or broken picture, naming the file.
    """
    if isinstance(image, np.ndarray):
        return image, 1
    from .decoding import decode  # here: OpenCV is an extra's

    with _naming(image):
        return decode(image, least)


def upright_size(path):
    """(width, height) of a picture file in pixels, its EXIF orientation applied; reads the header alone.

    Raises:
        OSError: for a missing or broken file, naming it.
    """
    with _naming(path), Image.open(path) as picture:
        turned = picture.getexif().get(ORIENTATION, 1) >= 5
        return picture.size[::-1] if turned else picture.size


def checked_size(path, said, source):
    """`upright_size` of a picture file that an annotation says is (width, height) `said`; None where it says nothing.

    Raises:
        OSError: as `upright_size`.
        ValueError: where the picture is of another size, naming `source`, the annotation's file.
    """
    size = upright_size(path)
    if said not in (size, None):
        upright = f"{path.name} is {size[0]}x{size[1]} (upright)"
        raise ValueError(f"{source}: says {said[0]}x{said[1]}, but {upright}; picture left out")
    return size


@contextmanager
def _naming(path):
    try:
        yield
    except Exception as e:  # whatever a broken file makes a decoder raise
        raise OSError(f"{path}: not a readable picture ({getattr(e, 'strerror', None) or e})") from e


@dataclass(frozen=True)
class DetectionData:
    """Examples, the names of their classes, and a line for everything that was left out.

    Raises:
        ValueError: for boxes that are no finite (N, 4), or labels that are no class's.
    """

    examples: list[Example]
    class_names: tuple[str, ...]
    problems: list[str] = field(default_factory=list)

    def __post_init__(self):
        for i, example in enumerate(self.examples):
            for boxes, labels in ((example.boxes, example.labels), (example.crowd_boxes, example.crowd_labels)):
                if boxes.shape != (len(labels), 4) or not np.isfinite(boxes).all():
                    raise ValueError(
                        f"examples[{i}]: boxes must be finite numbers ({len(labels)}, 4). Received: {boxes}"
                    )
                if len(labels) and not (labels.min() >= 0 and labels.max() < len(self.class_names)):
                    most = len(self.class_names) - 1
                    raise ValueError(f"examples[{i}]: labels must be from 0 to {most}. Received: {labels}")


class Annotation(NamedTuple):
    """An object as a reader finds it."""

    label: str
    box: list[float]
    source: str  # the file that says so
    area: float | None = None
    crowd: bool = False


def read(path, split=None, class_names=None, images=None):
    """Read a data set in whichever of the known formats it is.

    Args:
        path: a Pascal VOC folder, a COCO .json file, or a folder with annotations/instances_<split>.json as COCO
            distributes it.
        split: which part of a folder, such as "train"; a .json file is one part as a whole.
        class_names: the classes to read; None takes those of the data set.
        images: folder of a COCO file's pictures; None looks where they usually lie.

    Returns:
        `DetectionData`.

    Raises:
        OSError, ValueError: as `read_voc` and `read_coco`.
    """
    from .coco import read_coco
    from .voc import read_voc

    path = Path(path)
    instances = path / "annotations" / f"instances_{split}.json"
    if path.suffix.lower() == ".json" or instances.is_file():
        return read_coco(path if path.suffix.lower() == ".json" else instances, class_names, images)
    if instances.parent.is_dir() and not (path / "ImageSets").is_dir():
        raise FileNotFoundError(f"{instances}: missing; a COCO folder lists its {split} pictures there")
    if images:
        raise ValueError(f"{path}: a Pascal VOC folder has its pictures in JPEGImages; {images} is for COCO's files")
    return read_voc(path, split, class_names)


def usable_box(values, label, size):
    """What of an annotated box can be used.

    Args:
        values: x1, y1, x2, y2 in pixels, numbers or their text; anything else is reported too.
        label: the object's class, for the report.
        size: (width, height) of the picture.

    Returns:
        (the box cut to the picture, or None; what is wrong with it, or None).
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


def collect(listing, pictures, class_names, problems):
    """`DetectionData` of what a reader has found; objects of other classes are left out, a line a class.

    Args:
        listing: the file that lists the pictures, for errors.
        pictures: for each picture its path and a list of `Annotation`.
        class_names: the classes to keep.
        problems: the lines so far.

    Raises:
        ValueError: where no object is left.
    """
    index, unknown, examples = {name: i for i, name in enumerate(class_names)}, {}, []
    for image, objects in pictures:
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
    for label, sources in unknown.items():
        count = f" ({len(sources)} objects, the first here)" if len(sources) > 1 else ""
        problems.append(f"{sources[0]}: unknown class {label!r}, left out{count}; known are {_some(class_names)}")
    if not any(len(example.boxes) for example in examples):
        if unknown and not any(len(example.crowd_boxes) for example in examples):
            raise ValueError(f"{listing}: none of its classes ({_some(unknown)}) is among {_some(class_names)}")
        why = f"; the first of {len(problems)} problems: {problems[0]}" if problems else ""
        raise ValueError(f"{listing}: no picture with a usable object{why}")
    return DetectionData(examples, tuple(class_names), problems)


def _arrays(objects, index):
    boxes = np.array([thing.box for thing in objects], "float32").reshape(-1, 4)
    return boxes, np.array([index[thing.label] for thing in objects], "int64")


def _some(names):
    names = list(names)
    return ", ".join(names[:LISTED]) + (f", ... {len(names)} in all" if len(names) > LISTED else "")


@dataclass(frozen=True)
class LabelledImage:
    """A picture and its class.

    Attributes:
        image: path of the picture, or the (h, w, 3) uint8 RGB array itself.
        label: index into the class names.
    """

    image: Path | np.ndarray
    label: int

    def pixels(self):
        """As `Example.pixels`."""
        return read_pixels(self.image)[0]


@dataclass(frozen=True)
class ClassificationData:
    """Labelled pictures, the names of their classes, and a line for everything that was left out."""

    examples: list[LabelledImage]
    class_names: tuple[str, ...]
    problems: list[str] = field(default_factory=list)
