"""The images of every kind of test_bad_input, good and bad, in the other formats: read, reported and trained on."""

import numpy as np
import pytest
from small_data import BOX, GOOD, SIZE, TRUNCATED, UNREADABLE, truncated

from cspkeras.training import evaluate, inspect, pack, read, training_batches

HEADERLESS = [name for name in UNREADABLE if name != "missing.jpg"]


def boxes_of(name):
    return ((1, 1), (0, 0, 1, 1)) if name == "pixel.png" else (SIZE, BOX)


@pytest.fixture
def yolo(tmp_path):
    """A bare YOLO folder of all these images, each with an object."""
    for part in ("images/all", "labels/all"):
        (tmp_path / "yolo" / part).mkdir(parents=True)
    (tmp_path / "yolo/classes.txt").write_text("red\n")
    for name, write in {**GOOD, TRUNCATED: truncated, **{name: UNREADABLE[name][0] for name in HEADERLESS}}.items():
        write(tmp_path / "yolo/images/all" / name)
        (width, height), (x1, y1, x2, y2) = boxes_of(name)
        box = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height
        (tmp_path / "yolo/labels/all" / f"{name.split('.')[0]}.txt").write_text(f"0 {' '.join(map(str, box))}\n")
    return tmp_path / "yolo"


@pytest.fixture(params=("yolo", "tfrecord"))
def data(request, yolo):
    data = read(yolo, "all")
    if request.param == "yolo":
        for line, name in zip(data.problems, sorted(HEADERLESS), strict=True):
            assert line.startswith(f"{yolo}/images/all/{name}: not a readable image (") and line.endswith("left out")
        return data
    pack({"all": data}, yolo / "packed", 3)
    packed = read(yolo / "packed", "all")
    assert not packed.problems
    return packed


def test_reading(data):
    assert [example.image.name for example in data.examples] == sorted([*GOOD, TRUNCATED])
    for example in data.examples:
        size, box = boxes_of(example.image.name)
        np.testing.assert_allclose(example.boxes, [box], atol=1e-4)
        assert example.size == size
        if example.image.name != TRUNCATED:
            assert example.pixels().shape == (*size[::-1], 3) and example.pixels().dtype == np.uint8


def test_training(data):
    reports = []
    for image, target in training_batches(data, (64, 64), 3, report=reports.append).take(9).as_numpy_iterator():
        assert np.isfinite(image).all() and (target["labels"] <= 0).all()
    (line,) = reports
    assert line.startswith("skipped: ") and f"{TRUNCATED}: not a readable image (" in line


def test_evaluation(data):
    reports, waiting = [], [example for example in data.examples if example.image.name != TRUNCATED]

    def oracle(images, **_):
        known = [waiting.pop(0) for _ in images]
        return [{"boxes": e.boxes, "labels": e.labels, "scores": np.ones(1)} for e in known]

    assert evaluate(oracle, data, 3, reports.append)["mAP"] == pytest.approx(1)
    assert len(reports) == 1 and TRUNCATED in reports[0]


def test_inspection(data):
    found = inspect({"all": data})
    (line,) = found.broken
    assert f"{TRUNCATED}: not a readable image (" in line and not found.passed
    assert found.splits["all"]["width"] == [1, 60, 60]
    assert ["all/deep.png", "all/grey.png"] in found.equal and ("all/turned.jpg", "all/whole.jpg") in found.alike


def test_classification(tmp_path):
    names = {**GOOD, TRUNCATED: truncated, **{name: UNREADABLE[name][0] for name in HEADERLESS}}
    (tmp_path / "train/red").mkdir(parents=True)
    for name, write in names.items():
        write(tmp_path / "train/red" / name)
    data = read(tmp_path, "train")
    assert len(data.examples) == len(names)
    broken = [line.split(": not a readable")[0] for line in inspect({"train": data}).broken]
    assert broken == [f"{tmp_path}/train/red/{name}" for name in sorted([TRUNCATED, *HEADERLESS])]
    reports = []
    pack({"train": data}, tmp_path / "packed", 2, reports.append)
    packed = read(tmp_path / "packed", "train")
    assert len(reports) == len(HEADERLESS) and len(packed.examples) == len(GOOD) + 1
    whole = [example for example in data.examples if example.image.name in GOOD]
    for a, b in zip([e for e in packed.examples if e.image.name in GOOD], whole, strict=True):
        np.testing.assert_array_equal(a.pixels(), b.pixels())
