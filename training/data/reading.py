"""`read` and `splits`: data sets of any known format."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from .example_tables import ExampleTable
from .examples import ClassificationData, DetectionData
from .files.archives import is_archive, unpacked
from .files.folder import Folder, split_of
from .files.memory import uncollected
from .format import SPLIT_ORDER
from .images import shown
from .leftovers import leftovers, root_of, suffix_counts
from .readers import FORMATS, coco
from .readers.image_folder import HOLDERS, annotation_beside

NOTE = re.compile(r"(readme|licen[cs]e|notes?|copying|about|citation)\b", re.I)  # a file that is not data
SAME = (("train", "training"), ("val", "valid", "validation"), ("test", "testing"))  # names of one split


def read(
    path: os.PathLike[str] | str,
    split: str | None = None,
    class_names: Sequence[str] | None = None,
    images: os.PathLike[str] | str | None = None,
    format: str | None = None,
) -> DetectionData | ClassificationData:
    """Read a data set, whichever of the known formats it is in.

    Args:
        path: a Pascal VOC folder (also as Roboflow, labelImg, CVAT and Label Studio write it);
            a COCO folder or .json file; a YOLO folder or its .yaml file; a Darknet folder or its .data file; a Create
            ML folder or .json file; a labelme folder; a VGG Image Annotator folder or file; a CVAT folder or .xml file;
            an Open Images folder or .csv file; a CSV folder or .csv file; a KITTI folder; a folder of TFRecords or one
            of them; a folder of classes, a folder of images each; or a set of TensorFlow Datasets (tfds:NAME). A .zip
            file of a folder is unpacked into Keras' folder of data sets.
        split: the part to read, such as "train"; ignored where the data set has no parts. "val", "valid" and
            "validation" are the same.
        class_names: the classes to read; None for those of the data set.
        images: folder of a COCO file's images; None looks where they usually lie.
        format: voc, coco, yolo, darknet, createml, labelme, via, cvat, openimages, csv, kitti, tfrecord, folder or
            tfds; None takes what fits, boxes before classes.

    Returns:
        `DetectionData`, or `ClassificationData` where images have a class and no boxes.

    Raises:
        OSError, ValueError: where nothing can be read; see the format's own function, such as `read_voc`.
        ImportError: where "tfds:" needs tensorflow-datasets.

    Example:
        >>> from cspkeras.training import read
        >>> data = read("bccd", "train")  # doctest: +SKIP
        >>> data.class_names  # doctest: +SKIP
        ('Platelets', 'RBC', 'WBC')
    """
    data_set = DataSet(path, format)
    data = data_set.read(split, class_names, images)
    data.problems.extend(data_set.leftovers([data])[0])
    return data


def splits(path: os.PathLike[str] | str, format: str | None = None) -> list[str]:
    """List the splits of a data set.

    Args:
        path: the data set, as for `read`.
        format: as for `read`.

    Returns:
        The names of its parts: train, val, test, then others; none for a data set without parts.

    Raises:
        OSError: where there is nothing at `path`.
        ValueError: where it is in none of the known formats.
        ImportError: where "tfds:" needs tensorflow-datasets.

    Example:
        >>> from cspkeras.training import splits
        >>> splits("bccd")  # doctest: +SKIP
        ['train', 'val', 'test']
    """
    return DataSet(path, format).splits


def known_formats() -> str:
    """Return the names of the known formats, as a text for help and messages."""
    return _either(known.name for known in FORMATS)


def format_keys() -> list[str]:
    """Return what the known formats are called where one is chosen."""
    return [known.key for known in FORMATS]


class DataSet:
    """A data set at a path.

    Attributes:
        fitting: the `Format`s that it fits, the first of which is read.
        splits: the names of its parts, in their usual order.
    """

    def __init__(self, path, format=None):
        self.path = Path(path)
        self._source = _source(self.path)
        self._chosen, self._fits = None, {}
        if format is not None:
            self._chosen = next((known for known in FORMATS if known.key == format), None)
            if self._chosen is None:
                raise ValueError(f"format {format!r}: is not known; expected {_either(format_keys())}")
            # Where there are annotations, too, only a choice reads the folders' names as classes.
            forced = self._chosen.key == "folder" and isinstance(self._source, Folder)
            if not forced and not self._chosen.matches(self._source, None):
                raise ValueError(f"{self.path}: not a {self._chosen.name}; expected {self._chosen.expected}")
        self.fitting = self._fitting(None)
        self.splits = sorted(self.fitting[0].splits(self._source), key=_order)

    def read(self, split=None, class_names=None, images=None):
        """Read one split, as `read` does, without a look at the files that are left over."""
        known = self._fitting(split)[0]
        split = self.named(split)
        if images and not known.takes_images:
            raise ValueError(f"{self.path}: a {known.name} says itself where its images are; leave {images} out")
        with uncollected():
            data = known.read(self._source, split, class_names, *((images,) if known.takes_images else ()))
        data.problems[:] = map(shown, data.problems)  # a file's name may be of several lines
        return data

    def leftovers(self, parts):
        """Return what none of the parts, a list of data, has used: (lines for what no split can use, other lines)."""
        if not (root := root_of(self._source, parts[0])):
            return [], []
        used, describes = frozenset().union(*(data.files for data in parts)), self.fitting[0].describes
        return tuple([*map(shown, lines)] for lines in leftovers(root, used, describes))

    def seen(self, parts):
        """Return a line that says what was read as parts, {split: data}: format, splits, images, boxes and classes."""
        kind = self.fitting[0].name
        names = ", ".join(split for split in parts if split) or "no splits"
        images = sum(len(data.examples) for data in parts.values())
        boxed = [data for data in parts.values() if isinstance(data, DetectionData)]
        boxes = sum(len(ExampleTable.of(data.examples).boxes) for data in boxed)
        classes = len({name for data in parts.values() for name in data.class_names})
        counted = f"{images} images, " + (f"{boxes} boxes, " if boxed else "") + f"{classes} classes"
        return shown(f"{self.path}: {kind}; {names}; {counted}")

    def choice(self):
        """Return a line that says what was taken where several formats fit, else None."""
        if len(self.fitting) < 2:
            return None
        first, *others = (known.key for known in self.fitting)
        return f"{self.path}: read as {first}; it fits {_either(others)} too, which --format chooses"

    def _fitting(self, split):
        if self._chosen:
            return [self._chosen]
        if split not in self._fits:
            self._fits[split] = self._matching(split)
        return self._fits[split]

    def _matching(self, split):
        fitting = [known for known in FORMATS if known.matches(self._source, split)]
        if not fitting and self.path.suffix.lower() == ".json" and self.path.is_file():
            return [coco.FORMAT]  # whose errors say what the file lacks
        if not fitting:
            raise _unknown(self.path, self._source)
        return fitting

    def named(self, split):
        """Return what the data set calls a split: val is also called valid or validation."""
        known = self._fitting(split)[0]
        there = self.splits if known is self.fitting[0] else known.splits(self._source)
        if split is None or split in there:
            return split
        same = next((names for names in SAME if split.lower() in names), (split.lower(),))
        return next((name for name in there if name.lower() in same), split)


def _source(path):
    """Return what formats are given: a `Folder`, or the path of a file or what is not one."""
    if is_archive(path):
        path = unpacked(path)
    if not path.is_dir():
        if path.exists() and not path.is_file():  # a pipe would wait
            raise ValueError(f"{path}: is neither a file nor a folder; expected a data set")
        return path
    folder = Folder(path)
    os.scandir(path).close()  # one that can't be opened is an error here, and a finding inside a data set
    while len(folder.folders) == 1 and all(map(_is_note, folder.own_shown)):  # archives often hold a folder of the data
        (inner,) = folder.folders
        if inner.path.name.lower() in HOLDERS or split_of([inner.path.name]):
            break
        folder = Folder(inner.path)
    return folder


def _is_note(file):
    return file.suffix.lower() in (".html", ".md", ".pdf") or bool(NOTE.match(file.name))


def _unknown(path, source):
    expected = _either(known.expected for known in FORMATS)
    if not isinstance(source, Folder):
        if not path.exists():
            return FileNotFoundError(f"{path}: missing; expected a data set: a folder or a file")
        return ValueError(f"{path}: no data set; expected {expected}")
    if beside := annotation_beside(source):
        return ValueError(
            f"{path}: {beside} lies beside images, but in none of the known formats, which are {expected}; "
            "--format folder reads the folders' names as classes"
        )
    inner = [str(one) for one in source.folders if any(known.matches(one, None) for known in FORMATS)]
    if inner:
        return ValueError(f"{path}: not one data set, but folders of data sets; give one of them: {', '.join(inner)}")
    found = f" (found {suffix_counts(source.files)})" if source.files else " (it is empty)"
    return ValueError(f"{path}: no data set; expected {expected}{found}")


def _order(name):
    return SPLIT_ORDER.index(name) if name in SPLIT_ORDER else len(SPLIT_ORDER), name


def _either(texts):
    *others, last = texts
    return f"{', '.join(others)}, or {last}" if others else last
