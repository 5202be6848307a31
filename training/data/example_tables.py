"""An image with its objects or its class, and tables that hold many of them in a few arrays."""

import operator
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .images import Pixels, StoredImage, check_size, read_pixels, upright_size


class StatedSize(NamedTuple):
    """The size of an upright image in pixels, as `source` says, or as its header says where that is None."""

    width: int
    height: int
    source: str | None = None


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
        stated: the size that the annotations say, which is compared with the image's when it is decoded; None where
            they say none.

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
    stated: StatedSize | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the upright image in pixels."""
        return self.stated[:2] if self.stated else upright_size(self.image)

    def pixels(self) -> np.ndarray:
        """Decode the image.

        Returns:
            The upright image, (h, w, 3) uint8 RGB.

        Raises:
            OSError: for a missing or broken image, and for one of another size than stated, naming the file.
        """
        return self.read().array

    def read(self, least: int | None = None, window: Callable | None = None, check: bool = False) -> Pixels:
        """Decode the image as `images.read_pixels` does; an OSError, too, where its size is not the one stated."""
        pixels = read_pixels(self.image, least, window, check)
        self.check_size(pixels.size)
        return pixels

    def check_size(self, size: tuple[int, int]) -> None:
        """Raise an OSError where the image's (width, height) is not what its annotations say."""
        if self.stated and self.stated.source:
            check_size(self.image, size, self.stated[:2], self.stated.source, OSError)


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
        return self.read().array

    def read(self, least: int | None = None, window: Callable | None = None, check: bool = False) -> Pixels:
        """Decode the image as `images.read_pixels` does."""
        return read_pixels(self.image, least, window, check)


class Paths(Sequence):
    """A sequence of `Path` that is one array of bytes, as processes can share it, and a tenth of the objects' size."""

    def __init__(self, paths: Iterable[Path]):
        names = [str(path).encode("utf-8", "surrogatepass") for path in paths]
        self.text, self.starts = np.frombuffer(b"".join(names), "uint8"), _starts([*map(len, names)])

    def __len__(self):
        return len(self.starts) - 1

    def __getitem__(self, index):
        index = range(len(self))[index]
        text = self.text[self.starts[index] : self.starts[index + 1]].tobytes()
        return Path(text.decode("utf-8", "surrogatepass"))


class Table(Sequence):
    """A sequence whose items are made when they are asked for; a slice of it is a list.

    Attributes:
        images: of each item, as `Example.image`.
    """

    def __init__(self, images: Iterable):
        images = list(images)
        self.images = Paths(images) if all(isinstance(image, Path) for image in images) else images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self._item(i) for i in range(len(self))[index]]
        return self._item(range(len(self))[operator.index(index)])

    def __add__(self, other):
        return [*self, *other]

    def __radd__(self, other):
        return [*other, *self]

    @abstractmethod
    def _item(self, index): ...


class LabelTable(Table):
    """`LabelledImage`s.

    Attributes:
        labels: (N,) int64.
    """

    def __init__(self, images, labels):
        super().__init__(images)
        self.labels = np.array(labels, "int64")

    @classmethod
    def of(cls, examples):
        """Return the table of a list of `LabelledImage`, or what is one already."""
        return examples if isinstance(examples, cls) else cls([e.image for e in examples], [e.label for e in examples])

    def usable(self, classes):
        """Return whether all labels are below the number of classes."""
        return bool(((self.labels >= 0) & (self.labels < classes)).all())

    def _item(self, index):
        return LabelledImage(self.images[index], int(self.labels[index]))


class ExampleTable(Table):
    """`Example`s; the arrays of one are views of the table's.

    Attributes:
        boxes, labels, areas: as those of `Example`, of all N objects of all images one after the other.
        starts: (images + 1,) where those of an image start, and of the last end.
        crowd_boxes, crowd_labels, crowd_starts: the same of the regions of crowds.
        sizes: (images, 2) width and height in pixels, 0 where they are not known.
        sources: texts that sizes have as `StatedSize.source`.
        told: (images,) which of the sources said the size.
    """

    def __init__(self, images, counts, objects, crowd_counts, crowds, sizes):
        """Of each image `counts` are its objects and `sizes` its (width, height) or `StatedSize`, None where unknown.

        `objects` are (boxes, labels, areas) and `crowds` (boxes, labels) of all images.
        """
        super().__init__(images)
        boxes, labels, areas = objects
        self.boxes, self.labels = np.asarray(boxes, "float32"), np.asarray(labels, "int64")
        self.areas = np.asarray(areas, "float64")
        self.crowd_boxes, self.crowd_labels = np.asarray(crowds[0], "float32"), np.asarray(crowds[1], "int64")
        self.starts, self.crowd_starts = _starts(counts), _starts(crowd_counts)
        self.sizes = np.array([size[:2] if size else (0, 0) for size in sizes], "int32").reshape(-1, 2)
        told = [size[2] if size and len(size) > 2 else None for size in sizes]
        numbers = {source: i for i, source in enumerate(dict.fromkeys(told))}
        self.sources, self.told = tuple(numbers), np.array([numbers[source] for source in told], "int32")

    @classmethod
    def of(cls, examples):
        """Return the table of a list of `Example`, or what is one already."""
        if isinstance(examples, cls):
            return examples
        examples = list(examples)
        areas = [_areas(e.boxes) if e.areas is None else e.areas for e in examples]
        return cls(
            [e.image for e in examples],
            [len(e.boxes) for e in examples],
            (_joined([e.boxes for e in examples], 4), _joined([e.labels for e in examples]), _joined(areas)),
            [len(e.crowd_boxes) for e in examples],
            (_joined([e.crowd_boxes for e in examples], 4), _joined([e.crowd_labels for e in examples])),
            [e.image.shape[1::-1] if isinstance(e.image, np.ndarray) else e.stated for e in examples],
        )

    @property
    def counts(self):
        """(images,) numbers of objects."""
        return np.diff(self.starts)

    def usable(self, classes):
        """Return whether all boxes are finite and all labels are below the number of classes."""
        labels = np.concatenate([self.labels, self.crowd_labels])
        finite = np.isfinite(self.boxes).all() and np.isfinite(self.crowd_boxes).all()
        return bool(finite and ((labels >= 0) & (labels < classes)).all())

    def _item(self, index):
        own = slice(*self.starts[index : index + 2])
        crowd = slice(*self.crowd_starts[index : index + 2])
        width, height = self.sizes[index].tolist()
        return Example(
            self.images[index],
            self.boxes[own],
            self.labels[own],
            self.areas[own],
            self.crowd_boxes[crowd],
            self.crowd_labels[crowd],
            StatedSize(width, height, self.sources[self.told[index]]) if width else None,
        )


def table_of(examples):
    """Return the table of a sequence of `Example` or of `LabelledImage`, one at least: quick to send to processes."""
    return (LabelTable if isinstance(examples[0], LabelledImage) else ExampleTable).of(examples)


def _starts(counts):
    return np.concatenate([[0], np.cumsum(counts, dtype="int64")])


def _areas(boxes):
    return (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)


def _joined(arrays, *width):
    return np.concatenate([np.zeros((0, *width)), *arrays])
