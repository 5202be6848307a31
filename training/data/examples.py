"""What a data set is, for detection and for classification, and `read`, which knows every format."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .images import StoredImage, read_pixels, upright_size

USUAL = ("train", "training", "val", "valid", "validation", "test")  # names of splits, in their order


@dataclass(frozen=True)
class Example:
    """An image with its objects. Boxes are those of the upright image, its EXIF orientation applied.

    Attributes:
        image: path of the image, the (h, w, 3) uint8 RGB array itself, or where in a larger file it lies.
        boxes: (N, 4) float32 x1, y1, x2, y2 in the image's pixels.
        labels: (N,) int64, indices into the class names.
        areas: (N,) square pixels that make an object small, medium or large in the evaluation; None for its box's.
        crowd_boxes: (M, 4) regions of uncounted objects: no part of the training, and in the evaluation neither missed
            nor a place where a detection is false.
        crowd_labels: (M,) their classes.
    """

    image: Path | np.ndarray | StoredImage
    boxes: np.ndarray
    labels: np.ndarray
    areas: np.ndarray | None = None
    crowd_boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), "float32"))
    crowd_labels: np.ndarray = field(default_factory=lambda: np.zeros(0, "int64"))

    @property
    def size(self):
        """(width, height) of the image in pixels, as it stands upright."""
        return upright_size(self.image)

    def pixels(self):
        """The image as an (h, w, 3) uint8 RGB array.

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
    """

    image: Path | np.ndarray | StoredImage
    label: int

    def pixels(self):
        """As `Example.pixels`."""
        return read_pixels(self.image).array


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


@dataclass(frozen=True)
class ClassificationData:
    """Labelled images, the names of their classes, and a line for everything that was left out.

    Raises:
        ValueError: for a label that is no class's.
    """

    examples: list[LabelledImage]
    class_names: tuple[str, ...]
    problems: list[str] = field(default_factory=list)

    def __post_init__(self):
        most = len(self.class_names) - 1
        for i, example in enumerate(self.examples):
            if not 0 <= example.label <= most:
                raise ValueError(f"examples[{i}]: label must be from 0 to {most}. Received: {example.label}")


def fingerprint(data):
    """A text by which two machines tell that they have read the same: classes, and the images' names and labels."""
    known = hashlib.sha256(repr(data.class_names).encode())
    for example in data.examples:
        label = (example.labels, example.boxes) if isinstance(data, DetectionData) else (np.int64(example.label),)
        known.update(getattr(example.image, "name", "").encode())
        for array in label:
            known.update(array.tobytes())
    return known.hexdigest()
