"""Images whose names are not UTF-8, or hold control characters: read, trained on, packed, drawn, reported."""

import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from small_data import damaged_middle, scene

from cspkeras.training import ClassificationData, DetectionData, Example, LabelledImage, pack, read, training_batches
from cspkeras.training.data.contact_sheet import write_contact_sheet
from cspkeras.training.data.examples import fingerprint, image_name, readable
from cspkeras.training.data.images import name_bytes, read_pixels, upright_size

NAMES = {  # as bytes, and as they are shown
    b"a\xff.jpg": r"a\udcff.jpg",
    b"two\nlines.jpg": r"two\nlines.jpg",
    b"\x1b[31mred.jpg": r"\x1b[31mred.jpg",
    "größe 猫.jpg".encode(): "größe 猫.jpg",
}
BOX = np.float32([[6, 8, 30, 32]])


@pytest.fixture(params=NAMES, ids=NAMES.values())
def image(request, tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + request.param))
    scene().save(path)
    return path


def detection(*images, name="red"):
    return DetectionData([Example(image, BOX, np.int64([0])) for image in images], (name,))


def test_reading_and_training(image):
    assert upright_size(image) == read_pixels(image).size == scene().size
    plain = {"mosaic": 0.0, "crop": 0.0, "flip": 0.0, "color": 0.0}
    batches = training_batches(detection(image, image), (64, 64), 2, augment=plain)
    ((images, target),) = batches.take(1).as_numpy_iterator()
    assert images.shape == (2, 64, 64, 3) and (target["labels"][:, 0] == 0).all()


def test_the_fingerprint_depends_on_the_name(image):
    other = image.with_name("other.jpg")
    assert len(fingerprint(detection(image))) == 64
    assert fingerprint(detection(image)) != fingerprint(detection(other))
    assert len(fingerprint(detection(image, name="half a pair \ud83d"))) == 64


def test_the_bytes_of_a_name():
    assert [name_bytes(os.fsdecode(name)) for name in NAMES] == list(NAMES)
    assert name_bytes("\ud83d") == "\ud83d".encode("utf-8", "surrogatepass")  # half a pair, as JSON may hold it


@pytest.mark.parametrize("kind", ("boxes", "classes"))
def test_packing_and_reading_back(image, tmp_path, kind):
    labelled = ClassificationData([LabelledImage(image, 0)], ("red",))
    (file,) = pack({"train": detection(image) if kind == "boxes" else labelled}, tmp_path / "packed", 1)
    (record,) = tf.data.TFRecordDataset(str(file))
    feature = {"image/filename": tf.io.FixedLenFeature((), tf.string)}
    assert tf.io.parse_single_example(record, feature)["image/filename"].numpy() == os.fsencode(image.name)
    (found,) = read(tmp_path / "packed", "train").examples
    assert found.image.name == image.name
    np.testing.assert_array_equal(found.pixels(), read_pixels(image).array)
    pack({"train": read(tmp_path / "packed", "train")}, tmp_path / "again", 1)


def test_a_contact_sheet(image, tmp_path):
    data = detection(image, image.with_name("missing" + image.name), name="of\ntwo lines \ud83d")
    labelled = ClassificationData([LabelledImage(image, 0)], ("of\ntwo lines \ud83d",))
    with Image.open(write_contact_sheet(tmp_path / "sheet.png", {image.stem: data, None: labelled})) as sheet:
        assert sheet.width > 240


def test_what_is_reported_is_one_line_that_can_be_printed(image):
    damaged, broken, lines = image.with_name("damaged" + image.name), image.with_name("broken" + image.name), []
    damaged_middle(damaged)
    broken.write_text("no image")
    assert len(list(readable(detection(image, damaged, broken).examples, lines.append))) == 2
    with pytest.raises(OSError) as caught:
        read_pixels(broken)
    for line, name in zip((*lines, str(caught.value)), ("damaged", "broken", "broken"), strict=True):
        assert name + NAMES[os.fsencode(image.name)] in line and line.isprintable()
    assert image_name(LabelledImage(image, 0), 0) == NAMES[os.fsencode(image.name)]


def test_an_error_that_quotes_a_name_is_one_line(tmp_path):
    (tmp_path / "obj.names").write_text("red\n")
    (tmp_path / "obj.data").write_bytes(b"names = obj.names\ntrain = a\xd0\x1e\x11.txt\n")
    scene().save(tmp_path / "a.jpg")
    with pytest.raises(ValueError) as error:
        read(tmp_path, "train")
    assert len(str(error.value).splitlines()) == 1 and r"a\udcd0\x1e\x11.txt: missing" in str(error.value)
