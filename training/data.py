"""What a detection data set is, and readers that report what they had to leave out."""

import xml.etree.ElementTree as ElementTree
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from ..tflite.detect import load_picture  # the device's, so that a network is trained on what it will see

ORIENTATION = 0x0112  # EXIF tag; from 5 on the picture lies on its side


@dataclass(frozen=True)
class Example:
    """A picture with its objects.

    Attributes:
        image: path of the picture, or the (h, w, 3) uint8 RGB array itself.
        boxes: (N, 4) float32 x1, y1, x2, y2 in the picture's pixels.
        labels: (N,) int64, indices into the class names.
    """

    image: Path | np.ndarray
    boxes: np.ndarray
    labels: np.ndarray

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
        if isinstance(self.image, np.ndarray):
            return self.image
        with _naming(self.image):
            return np.asarray(load_picture(self.image))


def upright_size(path):
    """(width, height) of a picture file in pixels, its EXIF orientation applied; reads the header alone.

    Raises:
        OSError: for a missing or broken file, naming it.
    """
    with _naming(path), Image.open(path) as picture:
        turned = picture.getexif().get(ORIENTATION, 1) >= 5
        return picture.size[::-1] if turned else picture.size


@contextmanager
def _naming(path):
    try:
        yield
    except Exception as e:  # whatever a broken file makes a decoder raise
        raise OSError(f"{path}: not a readable picture ({getattr(e, 'strerror', None) or e})") from e


@dataclass(frozen=True)
class DetectionData:
    """Examples, the names of their classes, and a line for everything that was left out."""

    examples: list[Example]
    class_names: tuple[str, ...]
    problems: list[str] = field(default_factory=list)


def read_voc(folder, split, class_names=None):
    """Read one split of a Pascal VOC folder (ImageSets/Main, Annotations, JPEGImages).

    What can't be used is left out and reported in `problems`, a line each: a picture that is missing, broken or of
    another size than its annotation says, an annotation that is missing, broken or without a size, an object without a
    name or of an unknown class, and a box of no area or outside the picture (a box that reaches over the edge is cut
    there). Pictures are not decoded here: one that breaks off behind its header is skipped, and reported, when its
    pixels are needed.

    Args:
        folder: the VOC folder.
        split: "train", "val", "test", ...: the name of a list in ImageSets/Main.
        class_names: the classes to read; None takes all that occur, in alphabetical order.

    Returns:
        `DetectionData`.

    Raises:
        FileNotFoundError: where the folder or the split's list is missing.
        ValueError: where nothing usable is left.
    """
    root = Path(folder)
    listing = root / "ImageSets" / "Main" / f"{split}.txt"
    if not listing.is_file():
        raise FileNotFoundError(f"{listing}: missing; a Pascal VOC folder lists its {split} pictures there")
    names = [line.split()[0] for line in listing.read_text("utf-8", "replace").splitlines() if line.strip()]
    problems, read = [], []
    for name in names:
        try:
            read.append(_read_annotation(root, name, problems))
        except (OSError, ValueError) as e:
            problems.append(str(e))
    if class_names is None:
        class_names = sorted({label for _, objects in read for label, _, _ in objects})
    class_names = tuple(class_names)

    examples = []
    for image, objects in read:
        known = []
        for label, box, xml in objects:
            if label in class_names:
                known.append((class_names.index(label), box))
            else:
                problems.append(f"{xml}: unknown class {label!r}, left out; known are {', '.join(class_names)}")
        boxes = np.array([box for _, box in known], "float32").reshape(-1, 4)
        examples.append(Example(image, boxes, np.array([label for label, _ in known], "int64")))
    if not any(len(example.boxes) for example in examples):
        why = f"; the first of {len(problems)} problems: {problems[0]}" if problems else ""
        raise ValueError(f"{listing}: no picture with a usable object{why}")
    return DetectionData(examples, class_names, problems)


def _read_annotation(root, name, problems):
    """(picture, [(label, box, annotation file)]) of one name in the list."""
    xml = root / "Annotations" / f"{name}.xml"
    if not xml.is_file():
        raise ValueError(f"{xml}: missing, picture left out")
    try:
        tree = ElementTree.parse(xml).getroot()
    except (ElementTree.ParseError, LookupError, ValueError) as e:  # the latter two for unknown encodings
        raise ValueError(f"{xml}: not valid XML ({e}), picture left out") from e
    try:
        width, height = (int(tree.find("size").findtext(side)) for side in ("width", "height"))
    except (AttributeError, TypeError, ValueError) as e:
        raise ValueError(f"{xml}: no <size> with a width and a height, picture left out") from e
    image = _picture(root, name, tree.findtext("filename"))
    try:
        size = upright_size(image)
    except OSError as e:
        raise ValueError(f"{e}, left out") from e
    if size != (width, height):
        upright = f"{image.name} is {size[0]}x{size[1]} (upright)"
        raise ValueError(f"{xml}: says {width}x{height}, but {upright}; picture left out")
    objects = []
    for thing in tree.iter("object"):
        label, bounds = " ".join((thing.findtext("name") or "").split()), thing.find("bndbox")
        if not label:
            problems.append(f"{xml}: an object without a name, left out")
            continue
        try:
            box = [float(bounds.findtext(side)) for side in ("xmin", "ymin", "xmax", "ymax")]
        except (AttributeError, TypeError, ValueError):
            box = [np.nan]
        if not np.isfinite(box).all():
            problems.append(f"{xml}: an object {label!r} without xmin, ymin, xmax and ymax in numbers, left out")
            continue
        inside = [*np.clip(box[0::2], 0, width), *np.clip(box[1::2], 0, height)]
        inside = [float(inside[i]) for i in (0, 2, 1, 3)]
        if not (inside[2] > inside[0] and inside[3] > inside[1]):
            problems.append(f"{xml}: box {box} of {label!r} has no area within {width}x{height}, left out")
            continue
        if inside != box:
            problems.append(f"{xml}: box {box} of {label!r} reaches outside {width}x{height}, cut there")
        objects.append((label, inside, xml))
    return image, objects


def _picture(root, name, filename):
    folder = root / "JPEGImages"
    # Its own name first: the one inside an annotation that was copied or renamed is another picture's.
    for candidate in (*(name + suffix for suffix in (".jpg", ".jpeg", ".png", ".bmp")), filename):
        if candidate and (folder / candidate).is_file():
            return folder / candidate
    raise ValueError(f"{folder / name}.jpg: missing, picture left out")
