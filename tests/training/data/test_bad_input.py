"""Images and labels of every kind, good and bad, through reading, training, evaluation and the device's script."""

import json

import cv2
import numpy as np
import pytest
from small_data import ANNOTATION, BOX, GOOD, OBJECT, SIZE, TRUNCATED, UNREADABLE, truncated, turned

from cspkeras.tflite.device import detect
from cspkeras.training import DetectionData, Example, evaluate, read_voc, training_batches
from cspkeras.training.evaluation.mistakes import assess


@pytest.fixture
def album(tmp_path):
    """A Pascal VOC folder of all these images, each with an object."""
    writers = {**GOOD, TRUNCATED: truncated, **{name: writer for name, (writer, *_) in UNREADABLE.items()}}
    for part in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (tmp_path / part).mkdir(parents=True)
    for name, write in writers.items():
        write(tmp_path / "JPEGImages" / name)
        width, height, box = (1, 1, (0, 0, 1, 1)) if name == "pixel.png" else (*SIZE, BOX)
        text = ANNOTATION.format(width, height, OBJECT.format("red", *box))
        (tmp_path / "Annotations" / f"{name.split('.')[0]}.xml").write_text(text)
    (tmp_path / "ImageSets/Main/all.txt").write_text("\n".join(name.split(".")[0] for name in writers))
    return tmp_path


def test_reading(album):
    data = read_voc(album, "all")
    assert [example.image.name for example in data.examples] == [*GOOD, TRUNCATED]
    for line, (name, (_, expected, _)) in zip(data.problems, UNREADABLE.items(), strict=True):
        assert line.startswith(f"{album}/JPEGImages/{name}: {expected}") and line.endswith("left out")
    for example in data.examples[:-1]:
        pixels = example.pixels()
        assert pixels.shape == (*example.size[::-1], 3) and pixels.dtype == np.uint8
        x1, y1, x2, y2 = example.boxes[0].astype(int)
        inside = pixels[y1 + 4 : y2 - 4, x1 + 4 : x2 - 4] if x2 > 1 else pixels
        grey = example.image.stem in ("deep", "grey")
        np.testing.assert_allclose(inside, np.broadcast_to([87] * 3 if grey else [220, 30, 30], inside.shape), atol=12)


def test_training(album):
    data, reports = read_voc(album, "all"), []
    batches = training_batches(data, (64, 64), 3, augment={"color": 0.0}, report=reports.append)
    for image, target in batches.take(12).as_numpy_iterator():  # four epochs
        assert np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1
        real = target["labels"] >= 0
        boxes = target["boxes"][real]
        assert (target["labels"][real] == 0).all() and (boxes[:, 2:] > boxes[:, :2]).all()
    (line,) = reports
    assert line.startswith(f"skipped: {album}/JPEGImages/{TRUNCATED}: not a readable image (")


def test_evaluation(album):
    data, reports, seen = read_voc(album, "all"), [], []

    def oracle(images, **_):
        seen.extend(image.shape for image in images)
        assert all(image.dtype == np.uint8 for image in images)
        known = data.examples[len(seen) - len(images) : len(seen)]
        return [{"boxes": e.boxes, "labels": e.labels, "scores": np.ones(1)} for e in known]

    assert evaluate(oracle, data, 3, reports.append)["mAP"] == pytest.approx(1)
    assert seen == [(*example.size[::-1], 3) for example in data.examples[:-1]]
    (line,) = reports
    assert line.startswith(f"skipped: {album}/JPEGImages/{TRUNCATED}: not a readable image (")


@pytest.mark.integration
def test_the_small_detector(album, detector):
    data = read_voc(album, "all", ("red", "green", "blue"))
    measured = evaluate(detector.detect, data, report=lambda line: None)
    assert [row["objects"] for row in measured["per_class"].values()] == [len(GOOD), 0, 0]


class Finder:
    """In place of the device's detector: finds the red object where the images are large enough."""

    labels, times, notes = ("red",), {"inference": 1.0}, ()

    def __init__(self, *_, **__):
        pass

    def prepare(self, image, video):
        assert not video
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
        return image

    def detect(self, image, *_):
        boxes = np.float32([BOX] if image.shape == (*SIZE[::-1], 3) else np.zeros((0, 4)))
        return {"boxes": boxes, "labels": np.zeros(len(boxes), int), "scores": np.ones(len(boxes), "float32")}


def test_the_devices_script(album, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(detect, "Detector", Finder)
    files = [album / "JPEGImages" / name for name in (*UNREADABLE, *GOOD, TRUNCATED)]
    output = tmp_path / "out"
    assert detect.main(["some.tflite", *map(str, files), "--output", str(output)]) == 0
    captured = capsys.readouterr()
    *skipped, broken, speed = captured.err.splitlines()
    for line, (name, (*_, expected)) in zip(skipped, UNREADABLE.items(), strict=True):
        assert line.startswith(f"{album}/JPEGImages/{name}: skipped: {expected}")
    assert broken.startswith(f"{album}/JPEGImages/{TRUNCATED}: skipped: ")
    assert speed.endswith("median ms: inference 1.0")
    assert captured.out.splitlines()[-1].startswith(f"images: {len(GOOD)}, skipped: {len(UNREADABLE) + 1}")
    records = json.loads((output / "detections.json").read_text())
    assert [(r["width"], r["height"], len(r["detections"])) for r in records] == [
        (1, 1, 0) if name == "pixel.png" else (*SIZE, 1) for name in GOOD
    ]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_are_those_of_the_upright_image_as_opencv_reads_it(tmp_path, orientation):
    path = tmp_path / "a.jpg"
    turned(path, orientation)
    pixels = Example(path, None, None).pixels()
    np.testing.assert_allclose(pixels, cv2.imread(str(path))[..., ::-1], atol=4)
    red = np.argwhere(pixels[..., 0] > pixels[..., 1].astype(int) + 100)
    np.testing.assert_allclose([*red.min(0)[::-1], *(red.max(0)[::-1] + 1)], BOX, atol=1)


def test_an_annotation_cut_off_in_the_middle(album):
    xml = album / "Annotations/whole.xml"
    xml.write_text(xml.read_text()[: len(xml.read_text()) // 2])
    data = read_voc(album, "all")
    assert data.problems[0].startswith(f"{xml}: not valid XML (") and data.problems[0].endswith("image left out")
    assert [example.image.name for example in data.examples] == [*list(GOOD)[1:], TRUNCATED]


@pytest.mark.integration
def test_thousands_of_boxes_in_one_image(album):
    rng, count = np.random.default_rng(0), 3000
    corners = rng.uniform(0, 30, (count, 2))
    boxes = np.hstack([corners, corners + rng.uniform(2, 10, (count, 2))])
    text = ANNOTATION.format(*SIZE, "".join(OBJECT.format("red", *box) for box in boxes))
    (album / "Annotations/whole.xml").write_text(text)
    example = read_voc(album, "all").examples[0]
    np.testing.assert_allclose(example.boxes, boxes, rtol=1e-6)
    data = DetectionData([example], ("red",))
    plain = {"mosaic": 0.0, "crop": 0.0, "flip": 0.0, "color": 0.0}
    ((_, target),) = training_batches(data, (64, 96), 1, augment=plain).take(1).as_numpy_iterator()
    assert (target["labels"] == 0).sum() == count

    def oracle(images, **_):
        return [{"boxes": example.boxes, "labels": example.labels, "scores": np.ones(count)}]

    assessment = assess(oracle, data)
    assert assessment.matrix.tolist() == [[count, 0], [0, 0]]
    assert assessment.metrics["AR_100"] == pytest.approx(100 / count, abs=1e-3)  # COCO looks at a hundred


def test_images_without_objects(album):
    empty = DetectionData([Example(np.zeros((40, 60, 3), "uint8"), np.zeros((0, 4)), np.zeros(0, int))] * 2, ("red",))
    batches = training_batches(empty, (64, 64), 2).take(2).as_numpy_iterator()
    assert all((target["labels"] == -1).all() for _, target in batches)
    found = {"boxes": np.zeros((0, 4)), "labels": np.zeros(0, int), "scores": np.zeros(0)}
    assert evaluate(lambda images, **_: [found] * 2, empty)["mAP"] == 0
