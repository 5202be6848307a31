"""Which format a data set is in."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from .examples import USUAL
from .readers import coco, image_folder, tfds, tfrecord, voc, yolo


class Format(NamedTuple):
    """How one format is read.

    Attributes:
        read: of (path, split, class_names, images), as `data.read`.
        splits: of (path): the names of its parts.
    """

    read: Callable
    splits: Callable


def format_of(path, split=None):
    """The `Format` of a data set.

    Args:
        path, split: as `data.read`; the split decides where a folder holds several formats.

    Raises:
        OSError: where there is nothing.
        ValueError: where it is none of those that are known.
    """
    if tfds.is_name(path):
        return _without_images(path, tfds.read_tfds, tfds.splits, "a set of TensorFlow Datasets")
    path = Path(path)
    instances = path / "annotations" / f"instances_{split}.json"
    lists = (path / "ImageSets").is_dir()
    if path.suffix.lower() == ".json":
        return Format(lambda _, split, *rest: coco.read_coco(path, *rest), lambda _: [])
    if not path.exists():
        raise FileNotFoundError(f"{path}: missing; expected a data set: a folder or a file")
    if instances.is_file() or (coco.splits(path) and not lists):
        return Format(_coco_folder, lambda _: coco.splits(path))
    for found, read, splits, name in (
        (lists, voc.read_voc, voc.splits, "a Pascal VOC folder"),
        (yolo.is_yolo(path), yolo.read_yolo, yolo.splits, "a YOLO folder"),
        (tfrecord.shards(path), tfrecord.read_tfrecord, tfrecord.splits, "a folder of TFRecords"),
        (
            image_folder.is_image_folder(path),
            image_folder.read_image_folder,
            image_folder.splits,
            "a folder of classes",
        ),
    ):
        if found:
            return _without_images(path, read, splits, name)
    raise ValueError(
        f"{path}: no data set; expected ImageSets/Main (Pascal VOC), annotations/instances_*.json (COCO), data.yaml or "
        "images and classes.txt (YOLO), .tfrecord files, or a folder of images for each class"
    )


def _coco_folder(path, split, class_names, images):
    instances = Path(path) / "annotations" / f"instances_{split}.json"
    if not instances.is_file():
        raise FileNotFoundError(f"{instances}: missing; a COCO folder lists its {split} images there")
    return coco.read_coco(instances, class_names, images)


def _without_images(path, read, splits, name):
    def checked(_, split, class_names, images):
        if images:
            raise ValueError(f"{path}: {name} says itself where its images are; {images} is for COCO's files")
        return read(path, split, class_names)

    return Format(checked, lambda _: splits(path))


def read(path, split=None, class_names=None, images=None):
    """Read a data set in whichever of the known formats it is.

    Args:
        path: a Pascal VOC folder; a COCO .json file, or a folder with annotations/instances_<split>.json as COCO
            distributes it; a YOLO folder or its data.yaml; TFRecord files, a folder of them or one; a folder with a
            folder of images for each class; or "tfds:NAME", a set of TensorFlow Datasets.
        split: which part, such as "train"; a file is one part as a whole.
        class_names: the classes to read; None takes those of the data set.
        images: folder of a COCO file's images; None looks where they usually lie.

    Returns:
        `DetectionData`, or `ClassificationData` where images have a class and no boxes.

    Raises:
        OSError, ValueError: where nothing can be read, as the format's reader says.
        ImportError: where "tfds:" needs tensorflow-datasets.
    """
    from .reading import format_of

    return format_of(path, split).read(path, split, class_names, images)


def splits(path):
    """The names of a data set's parts, in the order train, val, test, others; none for what is one part as a whole.

    Args, Raises: as `read`.
    """
    from .reading import format_of

    names = format_of(path).splits(path)
    return sorted(names, key=lambda name: (USUAL.index(name) if name in USUAL else len(USUAL), name))
