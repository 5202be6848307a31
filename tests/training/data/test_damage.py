"""Images that are damaged but can be decoded: what is said of them, and that it is said once."""

import io
import re

import cv2
import numpy as np
import pytest
from PIL import Image
from small_data import damaged_middle, scene

from cspkeras.training import (
    ClassificationData,
    DetectionData,
    Example,
    LabelledImage,
    classification_batches,
    evaluate,
    evaluation_batches,
    training_batches,
)
from cspkeras.training.data.images import decode, read_pixels

BOX = np.float32([[6, 8, 30, 32]])
NOISE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), "uint8")


def jpeg(image, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def with_end(data):
    """The first half of a JPEG, and the mark of its end."""
    return data[: len(data) // 2] + b"\xff\xd9"


def deep(largest, colours=False):
    """A PNG of 16 bits per value, of 0 to `largest`."""
    values = np.linspace(0, largest, 60).astype("uint16").reshape(6, 10)
    if colours:  # which Pillow does not write
        return cv2.imencode(".png", np.dstack([values] * 3))[1].tobytes()
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("options", ({}, {"progressive": True}, {"subsampling": 0}))
@pytest.mark.parametrize("mode", ("RGB", "L", "CMYK"))
def test_a_jpeg_that_is_cut_off_and_closed(mode, options):
    whole = jpeg(Image.fromarray(NOISE).convert(mode), **options)
    assert decode(whole).damage is None
    found = decode(with_end(whole))
    assert re.match("Corrupt JPEG data: premature end of data segment|Premature end of JPEG file", found.damage)
    assert found.array.shape == (48, 64, 3)


def test_the_pixels_of_a_damaged_jpeg_are_those_of_opencv():
    data = with_end(jpeg(Image.fromarray(NOISE)))
    for least, flag in ((None, cv2.IMREAD_COLOR), (24, cv2.IMREAD_REDUCED_COLOR_2), (12, cv2.IMREAD_REDUCED_COLOR_4)):
        expected = cv2.imdecode(np.frombuffer(data, np.uint8), flag)[..., ::-1]
        found = decode(data, least)
        np.testing.assert_array_equal(found.array, expected)
        assert found.damage


def test_damage_outside_a_part_is_found_where_it_is_asked_for():
    data = with_end(jpeg(Image.fromarray(NOISE)))
    parts = [decode(data, window=lambda size: (0, 0, 9, 9), check=check) for check in (False, True)]
    assert parts[0].array.shape == parts[1].array.shape == (10, 10, 3)
    assert [part.damage for part in parts] == [None, decode(data).damage]


def test_what_loses_no_pixel_is_no_damage():
    whole = jpeg(scene())
    phone = whole.replace(b"\x00\x3f\x00", b"\x00\x00\x00", 1)  # as some phones end the header of the pixels
    revision = whole.replace(b"JFIF\0\x01\x01", b"JFIF\0\x07\x01", 1)
    for data in (phone, revision, whole + b"appended"):
        assert data != whole
        found = decode(data)
        assert found.damage is None
        np.testing.assert_array_equal(found.array, decode(whole).array)


@pytest.mark.parametrize("colours", (False, True))
@pytest.mark.parametrize(
    "largest, used", ((255, 8), (256, 10), (1023, 10), (4095, 12), (16383, 14), (16384, 0), (65535, 0), (0, 0))
)
def test_sixteen_bits_of_which_few_are_used(colours, largest, used):
    said = f"16 bits per value, of which {used} are used: {'dark' if used == 14 else 'nearly black'}"
    expected = said if used and not (colours and largest < 256) else None  # of colours Pillow drops the lower 8
    found = decode(deep(largest, colours))
    assert found.damage == expected
    assert found.array.max() == pytest.approx(largest / 257, abs=1)


def test_eight_bits_are_enough(tmp_path):
    for mode in ("L", "RGB", "P", "1", "F"):
        Image.new(mode, (4, 3)).save(tmp_path / "a.tif")
        assert read_pixels(tmp_path / "a.tif").damage is None


@pytest.mark.parametrize(
    "case, damage",
    (
        ("m05_truncated_with_eoi", "Corrupt JPEG data: premature end of data segment"),
        ("m06_12bit", "16 bits per value, of which 12 are used: nearly black"),
        ("m08_damaged_middle", "Corrupt JPEG data: premature end of data segment"),
    ),
)
def test_damaged_data_sets(test_data, case, damage):
    images = sorted((test_data / "cases/data" / case).rglob("*.[jp][pn]g"))
    assert len(images) > 4
    assert {read_pixels(image).damage for image in images} == {damage}


@pytest.fixture
def album(tmp_path):
    """Two images of which the first is damaged, and the line that says so."""
    damaged_middle(tmp_path / "damaged.jpg")
    scene().save(tmp_path / "whole.jpg")
    line = (
        f"{tmp_path}/damaged.jpg: damaged ({read_pixels(tmp_path / 'damaged.jpg').damage}), what is left of it is used"
    )
    return [tmp_path / "damaged.jpg", tmp_path / "whole.jpg"], line


@pytest.mark.parametrize("mosaic", (0.0, 1.0))
def test_training_a_detector_says_it_once(album, mosaic):
    images, line = album
    data, reports = DetectionData([Example(image, BOX, np.int64([0])) for image in images], ("red",)), []
    batches = training_batches(data, (64, 64), 2, augment={"mosaic": mosaic}, report=reports.append)
    assert len(list(batches.take(6))) == 6
    assert reports == [line]


def test_training_a_classifier_says_it_once(album):
    images, line = album
    data, reports = ClassificationData([LabelledImage(image, 0) for image in images], ("red", "blue")), []
    assert len(list(classification_batches(data, (32, 32), 2, report=reports.append).take(6))) == 6
    assert reports == [line]
    batches, reports[:] = evaluation_batches(data, (32, 32), 2, report=reports.append), []
    assert [len(image) for image, _ in (*batches, *batches)] == [2, 2]  # the damaged one is used
    assert reports == [line]


def test_evaluating_a_detector_says_it(album):
    images, line = album
    data, reports = DetectionData([Example(image, BOX, np.int64([0])) for image in images], ("red",)), []
    found = {"boxes": BOX, "labels": np.int64([0]), "scores": np.ones(1)}
    assert evaluate(lambda images, **_: [found] * len(images), data, report=reports.append)["mAP"] == pytest.approx(1)
    assert reports == [line]
