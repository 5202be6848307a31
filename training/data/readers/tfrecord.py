"""TFRecords of tf.train.Examples, with the names that TensorFlow's object detection API gives their fields."""

import itertools
import json
import os
import re
from collections.abc import Sequence
from operator import index
from pathlib import Path

import numpy as np

from ....limits import IMAGE
from ....progress import followed
from ..annotations import add_object, collect, collect_labels
from ..class_names import clean
from ..examples import ClassificationData, DetectionData
from ..files.folder import Folder, part_of, split_of
from ..files.text import read_text
from ..format import SPLIT_ORDER, Format
from ..images import StoredImage, upright_size

LABEL_MAP = "label_map.pbtxt"  # the classes' numbers and names, in the folder of the records
FILE = re.compile(r"(?P<stem>.+?)(\.tfrecords?|\.record)?(-(?P<index>\d+)-of-(?P<count>\d+))?(\.tfrecords?|\.record)?")
RECORD = re.compile(r"\.(tfrecords?|record)\b")
HEADER, FRAME = 12, 16  # bytes before a record's data, and before and after it
TOKEN = re.compile(r"\bid\s*:\s*(\d+)|\bname\s*:\s*(\"(?:[^\"\\]|\\.)*\"|'[^']*')|(item)\s*\{")


def shards(source):
    """Return {split: files in the order of their numbers} of a folder of TFRecords, or {None: [path]} of one file."""
    if not isinstance(source, Folder) and not Path(source).is_dir():
        path = Path(source)
        return {None: [path]} if RECORD.search(path.name) and path.is_file() else {}
    folder, found = Folder.of(source), {}
    inner = [(part.path.name, part) for part in folder.folders if split_of([part.path.name])]  # as Roboflow has them
    for split, part in [(None, folder), *inner]:
        for file in part.own_shown:
            if RECORD.search(file.name):
                found.setdefault(split or _split(file), []).append(file)
    return found


def matches(source, split):
    """Return whether it is a TFRecord file, or a folder with any."""
    return bool(shards(source))


def splits(source):
    """Return the splits in the files' names: "train" for train-00000-of-00004.tfrecord and for voc_train.record."""
    return [split for split in shards(source) if split]


def read_tfrecord(
    path: os.PathLike[str] | str, split: str | None = None, class_names: Sequence[str] | None = None
) -> DetectionData | ClassificationData:
    """Read one split of a folder of TFRecords, or one file; images stay in the files until they are needed.

    Read are image/encoded, image/filename, image/object/bbox/{xmin,ymin,xmax,ymax} in parts of the upright image,
    image/object/class/{text,label}, image/object/{area,is_crowd}; for classification image/class/{text,label}. Names
    of classes come from their text, else from label_map.pbtxt in their folder. What can't be used is left out and
    reported in `problems`: a file that breaks off or is damaged counts up to there.

    Args:
        path: the folder, or a file.
        split: what the files are named after; ignored for a file.
        class_names: the classes to read; None takes those of label_map.pbtxt, else all that occur, by their numbers.

    Returns:
        `DetectionData`, or `ClassificationData` where no record has fields of objects.

    Raises:
        FileNotFoundError: where the split has no files.
        ValueError: where nothing usable is left, or none of its classes is known.

    Example:
        >>> from cspkeras.training import read_tfrecord
        >>> data = read_tfrecord("packed", "train")  # doctest: +SKIP
    """
    found, problems = shards(path), []
    split, shard_files = part_of(found, split, path)
    listing = f"{path}, split {split}" if split else path
    maps = _label_maps(shard_files[0].parent)
    names, seen = _label_map(maps[0], problems) if maps else {}, {}
    problems += _missing(shard_files)
    files = {*shard_files, *maps}
    detections, labelled = [], []
    for file in shard_files:
        for source, start, record in followed(_records(file, problems), f"{file}: records"):
            try:
                fields = parsed(record)
                content = fields["image/encoded"][0]
                name = os.fsdecode(fields.get("image/filename", [b""])[0]) or source.rpartition(": ")[2]
                image = StoredImage(file, start + record.index(content), len(content), name)
                label = _names(fields, "image/class/", names, seen)
                if label and "image/object/bbox/xmin" not in fields:
                    labelled.append((image, label[0]))
                else:
                    size = upright_size(image)
                    detections.append((image, size, _objects(fields, source, size, names, seen, problems)))
            except OSError as e:
                problems.append(f"{e}, left out")
            except Exception as e:  # whatever damaged bytes make protobuf raise, and fields of other kinds
                what = f"{type(e).__name__}: {' '.join(str(e).split())}"
                problems.append(f"{source}: no tf.train.Example with the expected fields ({what}), left out")
    if class_names is None:
        class_names = [*names.values()] or sorted(seen, key=lambda name: (seen[name], name))
    if labelled and not any(objects for *_, objects in detections):
        problems += [f"{image}: no class, image left out" for image, *_ in detections]
        return collect_labels(listing, labelled, class_names, problems, files)
    problems += [f"{image}: no fields of objects, image left out" for image, _ in labelled]
    return collect(listing, detections, class_names, problems, files)


def raw_records(file, skip=0, take=-1):
    """Yield (byte where its data begins, data) of each record in a TFRecord file, its check sums verified.

    `skip` and `take` are the first record to yield, and how many; -1 for all. A ValueError says after how many records
    the file is damaged or breaks off.
    """
    import tensorflow as tf

    start, number, failed, size = HEADER, 0, None, file.stat().st_size
    count, more = _whole_records(file, size)
    try:
        for record in tf.data.TFRecordDataset(str(file)).take(count).as_numpy_iterator():
            if skip <= number and (take < 0 or number < skip + take):
                yield start, record
            start, number = start + len(record) + FRAME, number + 1
    except tf.errors.OpError as e:  # DataLossError, mostly
        failed = e
    if not failed:
        IMAGE.check(more, f"{file}: record {number}")
    if failed or start - HEADER != size:
        raise ValueError(f"{file}: damaged or cut off after {number} records, which are used") from failed


def _whole_records(file, size):
    """Return how many records may be read, and how many bytes the next one has, 0 where it isn't whole.

    TensorFlow makes room for what a header claims, and dies where there is none.
    """
    place = count = 0
    with open(file, "rb") as content:
        while len(header := content.read(HEADER)) == HEADER:
            claimed = int.from_bytes(header[:8], "little")
            place += claimed + FRAME
            if place > size:
                break
            if claimed > IMAGE.most:
                return count, claimed
            content.seek(place)
            count += 1
    return count, 0


def parsed(record):
    """Return {name of a field: list of its values} of a serialized tf.train.Example."""
    import tensorflow as tf

    fields = tf.train.Example.FromString(record).features.feature
    kinds = {name: field.WhichOneof("kind") for name, field in fields.items()}
    return {name: list(getattr(fields[name], kind).value) if kind else [] for name, kind in kinds.items()}


def _records(file, problems):
    try:
        for number, (start, record) in enumerate(raw_records(file)):
            yield f"{file}: record {number}", start, record
    except ValueError as e:
        problems.append(str(e))


def _split(file):
    stem = FILE.fullmatch(file.name)["stem"]
    last = re.split(r"[-_.]", stem)[-1]
    return last if last in SPLIT_ORDER else stem


def _missing(files):
    """Return a line where the files' names say that there are more of them."""
    numbered = [match for file in files if (match := FILE.fullmatch(file.name))["count"]]
    counts = {int(match["count"]) for match in numbered}
    there = {int(match["index"]) for match in numbered}
    folder = files[0].parent
    if len(counts) > 1:
        return [f"{folder}: {files[0].name} belongs to {min(counts)} files, others to {max(counts)}; all are read"]
    count = max(counts, default=0)
    if not (lost := count - sum(number < count for number in there)):
        return []
    first = next(number for number in itertools.count() if number not in there)
    return [f"{folder}: of {count} files {lost} are missing, the first is number {first}"]


def _label_maps(folder):
    """Return the label maps in a folder, label_map.pbtxt first."""
    others = [file for file in Folder(folder).own_shown if file.name.lower().endswith(LABEL_MAP)]
    return sorted(others, key=lambda file: (file.name != LABEL_MAP, file.name))


def _label_map(path, problems):
    """Return {number: name} of a label map in protobuf's text form; {} where it can't be read."""
    try:
        text = read_text(path, "replace")
    except OSError as e:
        problems.append(f"{path}: can't be read ({e}), left out")
        return {}
    numbers, names = [], []
    for number, name, _ in TOKEN.findall(text):
        if number and len(number) < 19:
            numbers.append(int(number))
        elif name:
            names.append(clean(_unquoted(name)))
    if len(numbers) != len(names):
        problems.append(f"{path}: {len(numbers)} ids for {len(names)} names, left out")
        return {}
    return dict(sorted(zip(numbers, names, strict=True)))


def _unquoted(text):
    try:
        return json.loads(text) if text[0] == '"' else text[1:-1]
    except ValueError:  # an escape that protobuf knows and JSON does not
        return text[1:-1]


def _names(fields, prefix, names, seen):
    """Return the names of the classes in text and label under a prefix; `seen` keeps the number of each."""
    texts, numbers = fields.get(f"{prefix}text", []), [index(number) for number in fields.get(f"{prefix}label", [])]
    if len(texts) != len(numbers) and numbers and texts:
        raise ValueError(f"{prefix}text and {prefix}label differ in length")
    found = [_text(text) for text in texts] or [names.get(number, str(number)) for number in numbers]
    for name, number in zip(found, numbers or [0] * len(found), strict=True):
        seen.setdefault(name, number)
    return found


def _objects(fields, source, size, names, seen, problems):
    sides = [fields.get(f"image/object/bbox/{side}", []) for side in ("xmin", "ymin", "xmax", "ymax")]
    try:
        labels = _names(fields, "image/object/class/", names, seen)
        boxes = np.array(sides, "float64").T.reshape(-1, 4) * (size * 2)
        rows = list(zip(labels, boxes, strict=True))
    except ValueError:
        problems.append(f"{source}: corners and classes of objects differ in number, its objects left out")
        return []
    areas, crowds = (fields.get(f"image/object/{name}", []) for name in ("area", "is_crowd"))
    objects = []
    for i, (label, values) in enumerate(rows):
        area = float(areas[i]) if i < len(areas) and np.isfinite(areas[i]) and areas[i] > 0 else None
        crowd = bool(crowds[i]) if i < len(crowds) else False
        add_object(objects, problems, label, values, size, source, area, crowd)
    return objects


def _text(value):
    return clean(value.decode("utf-8", "replace"))


FORMAT = Format("tfrecord", "folder of TFRecords", ".tfrecord files", matches, splits, read_tfrecord)
