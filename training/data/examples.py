"""Data sets for detection and classification: images with boxes or with a label, and the names of the classes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from .example_tables import Example as Example  # for others
from .example_tables import ExampleTable, LabelTable
from .example_tables import LabelledImage as LabelledImage
from .images import damage_line, name_bytes, shown


@dataclass(frozen=True)
class DetectionData:
    """A data set for detection.

    Attributes:
        examples: the images with their objects: a list, or as the readers have it a sequence that makes each when it
            is asked for.
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

    examples: Sequence[Example]
    class_names: tuple[str, ...]
    problems: list[str] = field(default_factory=list)
    files: frozenset[Path] = frozenset()

    def __post_init__(self):
        last = len(self.class_names) - 1
        if isinstance(self.examples, ExampleTable) and self.examples.usable(last + 1):
            return
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
        examples: the images with their labels, as `DetectionData.examples`.
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

    examples: Sequence[LabelledImage]
    class_names: tuple[str, ...]
    problems: list[str] = field(default_factory=list)
    files: frozenset[Path] = frozenset()

    def __post_init__(self):
        last = len(self.class_names) - 1
        if isinstance(self.examples, LabelTable) and self.examples.usable(last + 1):
            return
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
            pixels = example.read()
        except OSError as e:
            report(f"skipped: {e}")
            continue
        if pixels.damage:
            report(damage_line(example.image, pixels.damage))
        yield example, pixels.array


def sampled(data, count, seed=0):
    """Return data of `count` of the images, drawn by a seed and left in their order; all where there are no more."""
    total = len(data.examples)
    return data if count >= total else _chosen(data, np.random.default_rng(seed).permutation(total)[:count])


def divided(data, seed=0):
    """Return two parts of data of two images or more: four fifths of the images, drawn by a seed, and the others."""
    order = np.random.default_rng(seed).permutation(len(data.examples))
    cut = min(len(order) - 1, -(-4 * len(order) // 5))
    return _chosen(data, order[:cut]), _chosen(data, order[cut:])


def _chosen(data, indices):
    return replace(data, examples=[data.examples[i] for i in sorted(indices.tolist())])


def fingerprint(data):
    """Return a text that is the same on two machines if they have read the same classes, image names and labels."""
    known = hashlib.sha256(repr(data.class_names).encode())
    if isinstance(data, DetectionData):
        table = ExampleTable.of(data.examples)
        columns = table.starts, table.labels, table.boxes
    else:
        table = LabelTable.of(data.examples)
        columns = (table.labels,)
    for image in table.images:
        known.update(name_bytes(getattr(image, "name", "")))
        known.update(b"\n")
    for column in columns:
        known.update(np.ascontiguousarray(column))
    return known.hexdigest()
