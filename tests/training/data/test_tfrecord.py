"""TFRecords: every way in which one is bad."""

import numpy as np
import pytest
import tensorflow as tf

from cspkeras.training import (
    pack,
    read,
    splits,
)


@pytest.fixture
def voc(make_voc):
    return {split: read(make_voc(train=5), split) for split in ("train", "val")}


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def flip(path):
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", (cut, flip))
def test_a_damaged_file_counts_up_to_there(voc, damage, tmp_path):
    first, second = pack({"train": voc["train"]}, tmp_path / "packed", 2)  # of two and three records
    damage(first)
    data = read(tmp_path / "packed", "train")
    assert [example.image.name for example in data.examples] == [f"train{i}.png" for i in (0, 2, 3, 4)]
    assert data.problems == [f"{first}: damaged or cut off after 1 records, which are used"]
    second.unlink()
    data = read(tmp_path / "packed", "train")
    assert len(data.examples) == 1 and f"{tmp_path}/packed: of 2 files 1 are missing, the first is number 1" in (
        data.problems
    )


def test_a_file_that_shrinks_after_it_was_read(voc, tmp_path):
    (path,) = pack({"train": voc["train"]}, tmp_path / "packed", 1)
    data = read(tmp_path / "packed", "train")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(OSError, match="tfrecord: train4.png: not a readable image"):
        data.examples[4].pixels()


def record(**fields):
    """A tf.train.Example of fields whose names have _ for /."""
    image = tf.io.encode_png(np.zeros((48, 64, 3), "uint8")).numpy()
    features = {}
    for name, values in {"image_encoded": [image], **fields}.items():
        kind = {bytes: "bytes_list", float: "float_list", int: "int64_list"}[type((values or [0.0])[0])]
        features[name.replace("_", "/")] = tf.train.Feature(**{kind: {"value": values}})
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def objects(*boxes, **more):
    sides = ("xmin", "ymin", "xmax", "ymax")
    return {f"image_object_bbox_{side}": [box[i] for box in boxes] for i, side in enumerate(sides)} | {
        f"image_object_{name}": value for name, value in more.items()
    }


WHOLE = record(**objects((0.0, 0.0, 0.5, 0.5), class_text=[b"red"], class_label=[1]))
BAD = {
    "no Example": (b"\xff\xff nonsense", "record 1: no tf.train.Example with the expected fields (DecodeError"),
    "no image": (record(image_encoded=[]), "record 1: no tf.train.Example with the expected fields (IndexError"),
    "a broken image": (record(image_encoded=[b"nonsense"]), "record 1: not a readable image (cannot identify"),
    "text for a number": (
        record(**objects((0.0, 0.0, 0.5, 0.5), class_label=[b"red"])),
        "record 1: no tf.train.Example with the expected fields (",
    ),
    "fewer classes than boxes": (
        record(**objects((0.0, 0.0, 0.5, 0.5), (0.1, 0.1, 0.2, 0.2), class_text=[b"red"])),
        "record 1: corners and classes of objects differ in number",
    ),
    "NaN": (
        record(**objects((float("nan"), 0.0, 0.5, 0.5), class_text=[b"red"])),
        "record 1: an object 'red' without four finite numbers",
    ),
    "outside": (
        record(**objects((1.5, 0.0, 1.7, 0.5), class_text=[b"red"])),
        "of 'red' has no area within 64x48, left out",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_record_is_reported(case, tmp_path):
    bad, expected = BAD[case]
    with tf.io.TFRecordWriter(str(tmp_path / "some_train.record-00000-of-00001")) as writer:
        for data in (WHOLE, bad, WHOLE):
            writer.write(data)
    assert splits(tmp_path) == ["train"]
    data = read(tmp_path, "train")
    assert data.class_names == ("red",) and [len(e.boxes) for e in data.examples if len(e.boxes)] == [1, 1]
    (problem,) = data.problems
    assert problem.startswith(f"{tmp_path}/some_train.record-00000-of-00001: ") and expected in problem


def test_names_from_a_label_map(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        writer.write(record(**objects((0.0, 0.0, 0.5, 0.5), (0.5, 0.5, 1.0, 1.0), class_label=[7, 2])))
    assert read(tmp_path / "a.tfrecord").class_names == ("2", "7")
    (tmp_path / "label_map.pbtxt").write_text(
        "item {\n  name: 'n7'\n  id: 7\n  display_name: 'seven'\n}\nitem { id: 2 name: \"two\" }\nitem{id:1 name:'one'}"
    )
    data = read(tmp_path / "a.tfrecord")
    assert data.class_names == ("one", "two", "n7") and data.examples[0].labels.tolist() == [2, 1]
    with pytest.raises(FileNotFoundError, match="has no split 'train'; there are a"):
        read(tmp_path, "train")
    (tmp_path / "label_map.pbtxt").write_text("item { id: 2 }")
    assert read(tmp_path / "a.tfrecord").problems == [f"{tmp_path}/label_map.pbtxt: 1 ids for 0 names, left out"]


def test_nothing_usable(tmp_path):
    (tmp_path / "train.tfrecord").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="split train: no image with a usable object; the first of 1 problems: .*"):
        read(tmp_path, "train")
