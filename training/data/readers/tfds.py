"""Sets of TensorFlow Datasets, by name."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..annotations import add_object, collect, collect_labels
from ..class_names import clean
from ..examples import ClassificationData, DetectionData
from ..format import Format
from ..images import StoredImage, upright_size
from .tfrecord import parsed, raw_records

PREFIX = "tfds:"


def matches(path, split):
    """Return whether it is "tfds:" and a name."""
    return str(path).startswith(PREFIX)


def splits(path):
    """Return the names of the set's splits; parts of one such as train[:90%] can be read as well."""
    builder = _builder(path)
    builder.download_and_prepare()
    return list(builder.info.splits)


def read_tfds(
    path: os.PathLike[str] | str, split: str, class_names: Sequence[str] | None = None
) -> DetectionData | ClassificationData:
    """Read one split of a set of TensorFlow Datasets, which is downloaded and prepared unless it already is.

    The set must have the features `image` and `objects` (each with `bbox` and `label`), or `image` and `label`.
    Images stay in the prepared files until they are needed.

    Args:
        path: "tfds:" and the set's name, such as "tfds:voc/2007" or "tfds:cifar10:3.0.2".
        split: its name, or a part of it, such as "train[90%:]".
        class_names: the classes to read; None takes all.

    Returns:
        `DetectionData`, or `ClassificationData` where images have a label and no objects.

    Raises:
        ImportError: where tensorflow-datasets is missing.
        ValueError: where there is no such set or split, or it has other features.

    Example:
        >>> from cspkeras.training import read_tfds
        >>> data = read_tfds("tfds:voc/2007", "train")  # doctest: +SKIP
    """
    builder = _builder(path)
    problems: list[str] = []
    images: list[tuple] = []
    listing, features = f"{path}, split {split}", builder.info.features
    if "image" not in features or not {"objects", "label"} & set(features):
        raise ValueError(f"{path}: expected the features image and objects or label, found {', '.join(features)}")
    detection = "objects" in features
    label_feature = features["objects"]["label"] if detection else features["label"]
    names = [clean(name) for name in label_feature.names]
    builder.download_and_prepare()
    try:
        parts = builder.info.splits[split].file_instructions
    except (KeyError, ValueError) as e:
        raise ValueError(f"{path}: has no split {split!r}; there are {', '.join(builder.info.splits)}") from e
    for part in parts:
        file = Path(part.filename)
        if "tfrecord" not in file.name:
            raise ValueError(f"{file}: expected a set that is prepared in the file format tfrecord")
        try:
            for number, (start, record) in enumerate(raw_records(file, part.skip, part.take), part.skip):
                fields = parsed(record)
                image = _image(file, start, record, fields, number)
                try:
                    if detection:
                        size = upright_size(image)
                        images.append((image, size, _objects(fields, image, size, names, problems)))
                    else:
                        images.append((image, _label(fields, image, names)))
                except (OSError, ValueError) as e:
                    problems.append(f"{e}, left out")
        except ValueError as e:
            problems.append(str(e))
    return (collect if detection else collect_labels)(listing, images, class_names or names, problems)


def _builder(path):
    try:
        import tensorflow_datasets as tfds
    except ModuleNotFoundError as e:
        raise ModuleNotFoundError(f"{path}: needs TensorFlow Datasets: pip install 'cspkeras[tfds]'") from e
    try:
        return tfds.builder(str(path).removeprefix(PREFIX))
    except Exception as e:  # tfds has classes of its own for unknown names, configurations and versions
        reason = " ".join(str(e).split())
        raise ValueError(f"{path}: TensorFlow Datasets does not know it ({reason.split('. ')[0]})") from e


def _image(file, start, record, fields, number):
    """Return where in the file the image lies, as the set stores it: undecoded."""
    content = fields["image"][0]
    name = (fields.get("image/filename") or fields.get("filename") or [f"record {number}".encode()])[0].decode()
    return StoredImage(file, start + record.index(content), len(content), name)


def _label(fields, image, names):
    number = fields["label"][0]
    if number not in range(len(names)):  # -1 in test splits whose classes are secret
        raise ValueError(f"{image}: class {number} is not in 0 to {len(names) - 1}")
    return names[number]


def _objects(fields, image, size, names, problems):
    labels, crowds = fields.get("objects/label", []), fields.get("objects/is_crowd", [])
    boxes = np.reshape(fields.get("objects/bbox", []), (-1, 4))[:, [1, 0, 3, 2]] * (size * 2)
    objects = []
    for i, (number, values) in enumerate(zip(labels, boxes, strict=True)):
        if number not in range(len(names)):
            problems.append(f"{image}: class {number} is not in 0 to {len(names) - 1}, left out")
            continue
        crowd = bool(crowds[i]) if crowds else False
        add_object(objects, problems, names[number], values, size, str(image), crowd=crowd)
    return objects


FORMAT = Format("tfds", "set of TensorFlow Datasets (tfds:NAME)", "tfds:NAME", matches, splits, read_tfds)
