"""Sets of TensorFlow Datasets: a stand-in for the package, its files as the package writes them."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from cspkeras.training import ClassificationData, read, splits

IMAGES = [np.random.default_rng(i).integers(0, 256, (40, 60, 3), "uint8") for i in range(6)]


def record(i, **fields):
    features = {"image": tf.train.Feature(bytes_list={"value": [tf.io.encode_png(IMAGES[i]).numpy()]})}
    for name, values in fields.items():
        kind = {bytes: "bytes_list", float: "float_list", int: "int64_list"}[type((values or [0.0])[0])]
        features[name.replace("__", "/")] = tf.train.Feature(**{kind: {"value": values}})
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


class Builder:
    """What a tfds.core.DatasetBuilder shows of itself."""

    def __init__(self, folder, features, records):
        self.path, self.prepared = folder / "toy-train.tfrecord-00000-of-00001", False
        with tf.io.TFRecordWriter(str(self.path)) as writer:
            for content in records:
                writer.write(content)
        split = SimpleNamespace(file_instructions=[SimpleNamespace(filename=str(self.path), skip=0, take=-1)])
        part = SimpleNamespace(file_instructions=[SimpleNamespace(filename=str(self.path), skip=2, take=3)])
        known = {"train": split, "train[2:5]": part}
        self.info = SimpleNamespace(features=features, splits=known)

    def download_and_prepare(self):
        self.prepared = True


@pytest.fixture
def tfds(monkeypatch, tmp_path):
    """A function that makes the stand-in know the set "toy"."""
    made = {}

    def builder(name):
        if name not in made:
            raise ValueError(f"Dataset {name} not found. Available datasets:\n - abc\n - def")
        return made[name]

    def add(features, records):
        made["toy/small"] = Builder(tmp_path, features, records)
        return made["toy/small"]

    monkeypatch.setitem(sys.modules, "tensorflow_datasets", SimpleNamespace(builder=builder))
    return add


NAMES = SimpleNamespace(names=["red cell", "blue"])


def test_classification(tfds):
    builder = tfds({"image": None, "label": NAMES}, [record(i, label=[i % 2]) for i in range(6)])
    assert splits("tfds:toy/small")[0] == "train" and builder.prepared
    data = read("tfds:toy/small", "train")
    assert isinstance(data, ClassificationData) and data.class_names == ("red cell", "blue") and not data.problems
    assert [example.label for example in data.examples] == [0, 1] * 3
    for example, pixels in zip(data.examples, IMAGES, strict=True):
        assert example.image.file == builder.path
        np.testing.assert_array_equal(example.pixels(), pixels)
    part = read("tfds:toy/small", "train[2:5]", ("blue", "red cell"))
    assert [example.label for example in part.examples] == [1, 0, 1]
    np.testing.assert_array_equal(part.examples[0].pixels(), IMAGES[2])


def test_detection(tfds):
    boxes = [0.1, 0.2, 0.5, 0.6, 0.0, 0.0, float("nan"), 1.0, 0.0, 0.0, 0.5, 0.5]  # each ymin, xmin, ymax, xmax
    named = {"image__filename": [b"one.jpg"], "objects__bbox": boxes, "objects__label": [1, 0, -1]}
    records = [record(0, **named), record(1, objects__bbox=[], objects__label=[])]
    crowd = record(2, objects__bbox=[0.0, 0.0, 1.0, 1.0], objects__label=[0], objects__is_crowd=[1])
    builder = tfds({"image": None, "objects": {"bbox": None, "label": NAMES}}, [*records, crowd])
    data = read("tfds:toy/small", "train")
    first, empty, crowded = data.examples
    np.testing.assert_allclose(first.boxes, [[12, 4, 36, 20]], rtol=1e-5)
    assert first.labels.tolist() == [1] and first.image.name == "one.jpg"
    assert not len(empty.boxes) and not len(crowded.boxes) and crowded.crowd_boxes.tolist() == [[0, 0, 60, 40]]
    assert data.problems == [
        f"{builder.path}: one.jpg: an object 'red cell' without four finite numbers for its box, left out",
        f"{builder.path}: one.jpg: class -1 is not in 0 to 1, left out",
    ]


def test_a_split_whose_classes_are_secret(tfds):
    builder = tfds({"image": None, "label": NAMES}, [record(i, label=[-i]) for i in range(2)])
    data = read("tfds:toy/small", "train")
    assert [example.label for example in data.examples] == [0]
    assert data.problems == [f"{builder.path}: record 1: class -1 is not in 0 to 1, left out"]


def test_what_cannot_be_read(tfds, monkeypatch):
    with pytest.raises(ValueError, match=r"^tfds:nothing: TensorFlow Datasets does not know it \(.* not found\)$"):
        read("tfds:nothing", "train")
    builder = tfds({"image": None, "label": NAMES}, [record(i, label=[0]) for i in range(3)])
    with pytest.raises(ValueError, match=r"tfds:toy/small: has no split 'val'; there are train"):
        read("tfds:toy/small", "val")
    builder.path.write_bytes(builder.path.read_bytes()[:-9])
    data = read("tfds:toy/small", "train")
    assert len(data.examples) == 2
    assert data.problems == [f"{builder.path}: damaged or cut off after 2 records, which are used"]
    builder.info.features = {"text": None}
    with pytest.raises(ValueError, match="expected the features image and objects or label, found text"):
        read("tfds:toy/small", "train")
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError):
        read("tfds:toy/small", "train")
