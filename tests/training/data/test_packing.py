"""Packing: what is written, read by TensorFlow itself and read back."""

import hashlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from cspkeras.training import (
    ClassificationData,
    DetectionData,
    Example,
    LabelledImage,
    pack,
    read,
    read_coco,
    read_tfrecord,
    splits,
)
from cspkeras.training.data.images import ORIENTATION


@pytest.fixture
def voc(make_voc):
    return {split: read(make_voc(train=5), split) for split in ("train", "val")}


def same(data, expected):
    assert data.class_names == expected.class_names and not data.problems
    for a, b in zip(data.examples, expected.examples, strict=True):
        assert a.image.name == b.image.name and a.image.read_bytes() == b.image.read_bytes()
        assert a.size == b.size
        np.testing.assert_array_equal(a.pixels(), b.pixels())
        for name in ("boxes", "areas", "crowd_boxes"):
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-5, atol=1e-3)
        for name in ("labels", "crowd_labels"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize("count", (1, 2, 9))
def test_there_and_back(voc, count, tmp_path):
    written, reports = pack(voc, tmp_path / "packed", count, report=lambda line: reports.append(line)), []
    assert splits(tmp_path / "packed") == ["train", "val"] and not reports
    assert len(written) == min(count, 5) + min(count, 2)
    assert sorted(file.name for file in (tmp_path / "packed").iterdir()) == sorted(
        ["label_map.pbtxt", *(file.name for file in written)]
    )
    for split in voc:
        same(read(tmp_path / "packed", split), voc[split])
    assert pack(voc, tmp_path / "packed", count) == written  # once more: the same files again


def test_a_part_of_coco_with_its_crowds(test_data, tmp_path):
    data = read_coco(test_data / "data/coco_free/instances.json")
    pack({"val": data}, tmp_path, 4)
    same(read(tmp_path, "val"), data)
    assert sum(len(example.crowd_boxes) for example in read(tmp_path, "val").examples) == 3


def test_as_tensorflows_object_detection_api_reads_it(voc, tmp_path):
    """The fields of tf_example_decoder.py, by TensorFlow's own parser."""
    sides = [f"image/object/bbox/{side}" for side in ("ymin", "xmin", "ymax", "xmax")]
    floats = {name: tf.io.VarLenFeature(tf.float32) for name in (*sides, "image/object/area")}
    spec = {
        **{name: tf.io.FixedLenFeature((), tf.string) for name in ("image/encoded", "image/format", "image/filename")},
        **{name: tf.io.FixedLenFeature((), tf.string) for name in ("image/source_id", "image/key/sha256")},
        **{name: tf.io.FixedLenFeature((), tf.int64) for name in ("image/height", "image/width")},
        **{name: tf.io.VarLenFeature(tf.int64) for name in ("image/object/class/label", "image/object/is_crowd")},
        "image/object/class/text": tf.io.VarLenFeature(tf.string),
        **floats,
    }
    (path,) = pack({"train": voc["train"]}, tmp_path, 1)
    records = [tf.io.parse_single_example(record, spec) for record in tf.data.TFRecordDataset(str(path))]
    for record, example in zip(records, voc["train"].examples, strict=True):
        assert record["image/encoded"].numpy() == example.image.read_bytes()
        assert record["image/format"] == b"png" and record["image/filename"].numpy().decode() == example.image.name
        assert record["image/key/sha256"].numpy().decode() == hashlib.sha256(example.image.read_bytes()).hexdigest()
        assert (record["image/width"], record["image/height"]) == example.size
        y1, x1, y2, x2 = (record[side].values.numpy() for side in sides)
        np.testing.assert_allclose(np.stack([x1, y1, x2, y2], axis=1) * (example.size * 2), example.boxes, rtol=1e-5)
        assert record["image/object/class/label"].values.numpy().tolist() == (example.labels + 1).tolist()
        names = [name.decode() for name in record["image/object/class/text"].values.numpy()]
        assert names == [voc["train"].class_names[label] for label in example.labels]


def test_classification_and_images_of_every_origin(tmp_path):
    turned = Image.Exif()
    turned[ORIENTATION] = 6
    Image.new("RGB", (6, 4), (255, 0, 0)).save(tmp_path / "turned.jpg", exif=turned)
    Image.new("CMYK", (6, 4)).save(tmp_path / "print.jpg")
    images = [tmp_path / "turned.jpg", tmp_path / "print.jpg", np.full((3, 5, 3), 7, "uint8")]
    data = ClassificationData([LabelledImage(image, i % 2) for i, image in enumerate(images)], ('a "b" {c}', "d\\é"))
    pack({"train": data}, tmp_path / "packed", 2)
    found = read(tmp_path / "packed", "train")
    assert isinstance(found, ClassificationData) and found.class_names == data.class_names and not found.problems
    assert [example.label for example in found.examples] == [0, 1, 0]
    assert [example.image.name for example in found.examples] == ["turned.jpg", "print.jpg", "2.png"]
    for a, b in zip(found.examples, data.examples, strict=True):
        np.testing.assert_array_equal(a.pixels(), b.pixels())
    again = pack({"train": found}, tmp_path / "again", 1)  # records of records
    assert [e.image.read_bytes() for e in read_tfrecord(again[0]).examples] == [
        e.image.read_bytes() for e in found.examples
    ]


def test_images_without_objects_and_with_thousands(tmp_path):
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 20, (3000, 2))
    many = np.hstack([corners, corners + rng.uniform(1, 10, (3000, 2))]).astype("float32")
    image = np.zeros((40, 60, 3), "uint8")
    empty = np.zeros((0, 4), "float32")
    examples = [Example(image, boxes, np.zeros(len(boxes), "int64")) for boxes in (empty, many)]
    pack({"train": DetectionData(examples, ("red",))}, tmp_path, 1)
    data = read(tmp_path, "train")
    assert isinstance(data, DetectionData)
    np.testing.assert_allclose(data.examples[1].boxes, many, atol=1e-4)
    assert data.examples[0].boxes.shape == (0, 4)


def test_an_image_that_cannot_be_read_is_not_packed(voc, tmp_path):
    path = voc["train"].examples[1].image
    path.write_bytes(b"nonsense")
    reports = []
    pack({"train": voc["train"]}, tmp_path / "packed", 2, reports.append)
    assert len(read(tmp_path / "packed", "train").examples) == 4
    (line,) = reports
    assert line.startswith(f"{path}: not a readable image (cannot identify") and line.endswith(", left out")


def test_packing_that_would_mix(voc, tmp_path):
    pack({"train": voc["train"]}, tmp_path, 2)
    with pytest.raises(FileExistsError, match="train-00000-of-00002.tfrecord: is of the same split and would stay"):
        pack({"train": voc["train"]}, tmp_path, 3)
    other = DetectionData(voc["val"].examples, ("a", "b", "c"))
    with pytest.raises(ValueError, match="the classes of the splits must be the same. Received: train, val"):
        pack({"train": voc["train"], "val": other}, tmp_path / "new", 1)
    assert not (tmp_path / "new").exists()


def test_an_interrupted_packing_leaves_whole_files(voc, tmp_path, monkeypatch):
    calls = []

    def interrupt(image):
        calls.append(image)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return image.read_bytes(), "png"

    monkeypatch.setattr("cspkeras.training.data.packing.image_file", interrupt)
    with pytest.raises(KeyboardInterrupt):
        pack({"train": voc["train"]}, tmp_path / "packed", 2)
    assert sorted(file.name for file in (tmp_path / "packed").iterdir()) == [
        "label_map.pbtxt",
        "train-00000-of-00002.tfrecord",
    ]
    monkeypatch.undo()
    pack({"train": voc["train"]}, tmp_path / "packed", 2)
    same(read(tmp_path / "packed", "train"), voc["train"])
