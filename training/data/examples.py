"""Data sets for detection and classification: images with boxes or with a label, and the names of the classes."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .images import StoredImage, damage_line, name_bytes, read_pixels, shown, upright_size


@dataclass(frozen=True)
class Example:
    """An image with its objects. Boxes are those of the upright image, its EXIF orientation applied.

    Attributes:
        image: path of the image, the (h, w, 3) uint8 RGB array itself, or its place in a larger file.
        boxes: (N, 4) float32 x1, y1, x2, y2 in the image's pixels.
        labels: (N,) int64, indices into the class names.
        areas: (N,) square pixels by which the evaluation takes an object as small, medium or large; None for the area
            of its box.
        crowd_boxes: (M, 4) regions of uncounted objects: not trained on, and in the evaluation neither missed nor a
            place where a detection is false.
        crowd_labels: (M,) their classes.

    Example:
        >>> import numpy as np
        >>> from cspkeras.training import Example
        >>> image = np.zeros((48, 64, 3), "uint8")
        >>> example = Example(image, boxes=np.float32([[8, 8, 24, 32]]), labels=np.int64([0]))
        >>> example.size
        (64, 48)
    """

    image: Path | np.ndarray | StoredImage
    boxes: np.ndarray
    labels: np.ndarray
    areas: np.ndarray | None = None
    crowd_boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), "float32"))
    crowd_labels: np.ndarray = field(default_factory=lambda: np.zeros(0, "int64"))

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the upright image in pixels."""
        return upright_size(self.image)

    def pixels(self) -> np.ndarray:
        """Decode the image.

        Returns:
            The upright image, (h, w, 3) uint8 RGB.

        Raises:
            OSError: for a missing or broken image, naming the file.
        """
        return read_pixels(self.image).array


@dataclass(frozen=True)
class LabelledImage:
    """An image with its class.

    Attributes:
        image: as `Example.image`.
        label: index into the class names.

    Example:
        >>> import numpy as np
        >>> from cspkeras.training import LabelledImage
        >>> labelled = LabelledImage(np.zeros((48, 64, 3), "uint8"), label=0)
        >>> labelled.pixels().shape
        (48, 64, 3)
    """

    image: Path | np.ndarray | StoredImage
    label: int

    def pixels(self) -> np.ndarray:
        """Decode the image; see `Example.pixels`."""
        return read_pixels(self.image).array


@dataclass(frozen=True)
class DetectionData:
    """A data set for detection.

    Attributes:
        examples: the images with their objects.
        class_names: the names that labels are indices into.
        problems: a line for everything that was left out or changed when the data set was read.
        files: the files that were read, and those that a line of `problems` names.

    Raises:
        ValueError: for boxes that are not finite numbers (N, 4), and labels without a class.

    Example:
        >>> import numpy as np
        >>> from cspkeras.training import DetectionData, Example
        >>> example = Example(np.zeros((48, 64, 3), "uint8"), np.float32([[8, 8, 24, 32]]), np.int64([1]))
        >>> data = DetectionData([example], ("cat", "dog"))
        >>> data.class_names[data.examples[0].labels[0]]
        'dog'
    """

    examples: list[Example]
    class_names: tuple[str, ...]
    problems: list[str] = field(default_factory=list)
    files: frozenset[Path] = frozenset()

    def __post_init__(self):
        last = len(self.class_names) - 1
        for i, example in enumerate(self.examples):
            for boxes, labels in ((example.boxes, example.labels), (example.crowd_boxes, example.crowd_labels)):
                if boxes.shape != (len(labels), 4) or not np.isfinite(boxes).all():
                    raise ValueError(
                        f"examples[{i}]: boxes must be finite numbers ({len(labels)}, 4). Received: {boxes}"
                    )
                if len(labels) and not (labels.min() >= 0 and labels.max() <= last):
                    raise ValueError(f"examples[{i}]: labels must be from 0 to {last}. Received: {labels}")


@dataclass(frozen=True)
class ClassificationData:
    """A data set for classification.

    Attributes:
        examples: the images with their labels.
        class_names: the names that labels are indices into.
        problems: a line for everything that was left out when the data set was read.
        files: as `DetectionData.files`.

    Raises:
        ValueError: for a label without a class.

    Example:
        >>> import numpy as np
        >>> from cspkeras.training import ClassificationData, LabelledImage
        >>> data = ClassificationData([LabelledImage(np.zeros((48, 64, 3), "uint8"), 1)], ("cat", "dog"))
        >>> len(data.examples)
        1
    """

    examples: list[LabelledImage]
    class_names: tuple[str, ...]
    problems: list[str] = field(default_factory=list)
    files: frozenset[Path] = frozenset()

    def __post_init__(self):
        last = len(self.class_names) - 1
        for i, example in enumerate(self.examples):
            if not 0 <= example.label <= last:
                raise ValueError(f"examples[{i}]: label must be from 0 to {last}. Received: {example.label}")


def image_name(example, number):
    """Return the file name of an example's image, as text that can be printed, or its number where it has none."""
    return f"image {number}" if isinstance(example.image, np.ndarray) else shown(example.image.name)


def readable(examples, report):
    """Yield each example whose image can be read, and its pixels; `report` the others, and those that are damaged."""
    for example in examples:
        try:
            pixels = read_pixels(example.image)
        except OSError as e:
            report(f"skipped: {e}")
            continue
        if pixels.damage:
            report(damage_line(example.image, pixels.damage))
        yield example, pixels.array


def fingerprint(data):
    """Return a text that is the same on two machines if they have read the same classes, image names and labels."""
    known = hashlib.sha256(repr(data.class_names).encode())
    for example in data.examples:
        label = (example.labels, example.boxes) if isinstance(data, DetectionData) else (np.int64(example.label),)
        known.update(name_bytes(getattr(example.image, "name", "")))
        for array in label:
            known.update(array.tobytes())
    return known.hexdigest()
