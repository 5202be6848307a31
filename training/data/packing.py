"""Pack data sets into TFRecords: the original image files, in a few large files instead of many small ones."""

import errno
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ...files import replacing
from .examples import ClassificationData, DetectionData, Example
from .images import image_file, name_bytes, upright_size
from .readers.tfrecord import LABEL_MAP, shards


def pack(
    parts: Mapping[str, DetectionData | ClassificationData],
    folder: os.PathLike[str] | str,
    count: int,
    report: Callable[[str], object] = print,
) -> list[Path]:
    """Write splits as TFRecords that `read`, TensorFlow's object detection API and tf.data understand.

    Image files are copied unchanged, never encoded again (arrays become PNG files). Each TFRecord file is written under
    another name and then renamed. An image whose header can't be read is left out and reported.

    Args:
        parts: {split: `DetectionData` or `ClassificationData`}, all with the same classes.
        folder: the folder to write <split>-00000-of-<count>.tfrecord and label_map.pbtxt into; the numbers of the
            latter begin at 1.
        count: files per split; no more than it has images.
        report: called with a line for each image that is left out.

    Returns:
        The paths of the TFRecord files.

    Raises:
        FileExistsError: where the folder holds other files of a split, which would remain.
        OSError: where the folder can't be written.
        ValueError: where the classes of the splits differ.

    Example:
        >>> from cspkeras.training import pack, read
        >>> data = read("bccd", "train")  # doctest: +SKIP
        >>> pack({"train": data}, "packed", count=2)  # doctest: +SKIP
        [PosixPath('packed/train-00000-of-00002.tfrecord'), PosixPath('packed/train-00001-of-00002.tfrecord')]
    """
    folder = Path(folder)
    names = next(iter(parts.values())).class_names
    if any(data.class_names != names for data in parts.values()):
        raise ValueError(f"the classes of the splits must be the same. Received: {', '.join(parts)}")
    plan = {}
    for split, data in parts.items():
        files = min(count, len(data.examples))
        bounds = np.linspace(0, len(data.examples), files + 1).astype(int).tolist()
        for i in range(files):
            plan[folder / f"{split}-{i:05}-of-{files:05}.tfrecord"] = data, range(bounds[i], bounds[i + 1])
    for split in parts:
        others = [file for file in shards(folder).get(split, []) if file not in plan]
        if others:
            raise FileExistsError(
                f"{others[0]}: is of the same split and would stay; remove it, or name another folder"
            )
    with replacing(folder / LABEL_MAP) as aside:
        rows = (f"item {{\n  id: {i}\n  name: {json.dumps(name)}\n}}\n" for i, name in enumerate(names, start=1))
        aside.write_text("".join(rows), "utf-8")
    for path, (data, numbers) in plan.items():
        with replacing(path) as aside, _writer(aside) as writer:
            for i in numbers:
                try:
                    fields = _fields(data.examples[i], data, i)
                except OSError as e:
                    report(f"{e}, left out")
                    continue
                writer.write(_record(fields))
    return list(plan)


@contextmanager
def _writer(path):
    """Yield TensorFlow's writer of a file; on a full disk raise what Python does."""
    import tensorflow as tf

    try:
        with tf.io.TFRecordWriter(str(path)) as writer:
            yield writer
    except tf.errors.ResourceExhaustedError as e:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from e


def _fields(example, data, number):
    """Return {name of a field: its values} of an example, named as in TensorFlow's object detection API."""
    content, kind = image_file(example.image)
    width, height = upright_size(example.image)
    if isinstance(example, Example):
        example.check_size((width, height))
    name = f"{number}.png" if isinstance(example.image, np.ndarray) else example.image.name
    fields = {
        "image/encoded": [content],
        "image/format": [kind],
        "image/filename": [name],
        "image/source_id": [name],
        "image/key/sha256": [hashlib.sha256(content).hexdigest()],
        "image/width": [width],
        "image/height": [height],
    }
    if isinstance(data, ClassificationData):
        return fields | {
            "image/class/label": [int(example.label) + 1],
            "image/class/text": [data.class_names[example.label]],
        }
    boxes = np.concatenate([example.boxes, example.crowd_boxes])
    labels = np.concatenate([example.labels, example.crowd_labels])
    extent = boxes[:, 2:] - boxes[:, :2]
    areas = extent.prod(axis=1)
    if example.areas is not None:
        areas[: len(example.areas)] = example.areas
    x1, y1, x2, y2 = (boxes / np.float32([width, height] * 2)).T.tolist()
    return fields | {
        "image/object/bbox/xmin": x1,
        "image/object/bbox/ymin": y1,
        "image/object/bbox/xmax": x2,
        "image/object/bbox/ymax": y2,
        "image/object/class/label": (labels + 1).tolist(),
        "image/object/class/text": [data.class_names[label] for label in labels],
        "image/object/area": areas.tolist(),
        "image/object/is_crowd": [0] * len(example.boxes) + [1] * len(example.crowd_boxes),
    }


def _record(fields):
    import tensorflow as tf

    features = {}
    for name, values in fields.items():
        if name.endswith(("xmin", "ymin", "xmax", "ymax", "area")):
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
        elif name.endswith(("width", "height", "label", "is_crowd")):
            features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        else:
            texts = [value if isinstance(value, bytes) else name_bytes(value) for value in values]
            features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=texts))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)
