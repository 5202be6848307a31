"""What `data check` finds: each fault put into a clean data set, and nothing in the clean one."""

import json

import numpy as np
import pytest
from PIL import Image
from soft_images import soft_parts

from cspkeras.training import DetectionData, Example, inspect, read


@pytest.fixture
def parts(tmp_path):
    return soft_parts(tmp_path)


def test_a_clean_data_set(parts):
    found = inspect(parts)
    assert found.passed
    assert not any((found.problems, found.broken, found.equal, found.leaks, found.alike, found.alike_leaks))
    figures = {"images": 8, "width": [64, 64, 64], "height": [48, 48, 48]}
    figures["classes"] = {"cat": {"images": 4}, "dog": {"images": 4}}
    assert found.splits == {"train": figures, "val": figures}
    assert json.loads(json.dumps(found.to_json()))["passed"] is True


def resaved(image):
    return image, {"format": "JPEG", "quality": 60}


FAULTS = {  # where the image train/3 goes, how it is changed, what names it then, whether that is a fault
    "a leak": ("val/2.png", lambda image: (image, {"format": "BMP"}), "leaks", ["train/3.png", "val/2.png"], False),
    "a double": (
        "train/5.png",
        lambda image: (image, {"format": "PNG"}),
        "equal",
        ["train/3.png", "train/5.png"],
        True,
    ),
    "saved again": ("val/2.png", resaved, "alike_leaks", ("train/3.png", "val/2.png"), True),
    "smaller": (
        "train/5.png",
        lambda image: (image.resize((48, 36), Image.Resampling.LANCZOS), {"format": "PNG"}),
        "alike",
        ("train/3.png", "train/5.png"),
        True,
    ),
    "brighter": (
        "val/2.png",
        lambda image: (image.point([min(255, v + 12) for v in range(256)] * 3), {"format": "PNG"}),
        "alike_leaks",
        ("train/3.png", "val/2.png"),
        True,
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_doubles_and_leaks(parts, tmp_path, case):
    place, change, kind, names, passed = FAULTS[case]
    image, options = change(Image.open(tmp_path / "train/3.png"))
    image.save(tmp_path / place, **options)
    found = inspect(parts, threads=2)
    assert getattr(found, kind) == [names] and found.passed == passed
    assert sum(len(getattr(found, name)) for name in ("equal", "leaks", "alike", "alike_leaks", "broken")) == 1
    assert any(all(name in line for name in names) for line in found.lines())


def test_broken_images(parts, tmp_path):
    (tmp_path / "train/3.png").write_bytes((tmp_path / "train/3.png").read_bytes()[:-200])
    (tmp_path / "val/1.png").unlink()
    found = inspect(parts)
    assert not found.passed and [line.split(":")[0] for line in found.broken] == [
        f"{tmp_path}/train/3.png",
        f"{tmp_path}/val/1.png",
    ]
    assert "broken images: 2" in found.lines()


def test_boxes_are_measured(make_voc):
    voc = make_voc(train=2)
    image = np.zeros((200, 300, 3), "uint8")
    boxes = np.float32([[0, 0, 10, 20], [0, 0, 40, 40], [0, 0, 200, 100]])
    data = DetectionData(
        [
            Example(image, boxes, np.int64([0, 0, 2])),
            Example(image + np.uint8(9), np.zeros((0, 4), "float32"), np.zeros(0, "int64")),
        ],
        ("red", "green", "blue"),
    )
    found = inspect({None: data, "voc": read(voc, "train")})
    figures = found.splits["all"]
    assert {name: figures[name] for name in ("images", "boxes", "small", "medium", "large")} == {
        "images": 2,
        "boxes": 3,
        "small": 1,
        "medium": 1,
        "large": 1,
    }
    assert figures["without_objects"] == 1 and figures["most_in_an_image"] == 3
    assert figures["box_width"] == [10, 40, 200] and figures["box_height"] == [20, 40, 100]
    assert figures["classes"]["red"] == {"images": 1, "boxes": 2, "side": [14.1, 27.1, 40]}
    assert figures["classes"]["green"] == {"images": 0, "boxes": 0}
    assert any("1 classes that do not occur: green" in line for line in found.lines())
    assert found.splits["voc"]["boxes"] == 6 and found.passed  # plain images look like nothing


def test_classes_that_differ_between_splits_crowds_and_lines_that_occur_in_both(make_voc):
    voc = make_voc(train=2)
    train, val = read(voc, "train", ("red", "green")), read(voc, "val", ("red", "blue"))
    crowd = np.float32([[0, 0, 9, 9]])
    crowded = DetectionData(
        [Example(train.examples[0].image, crowd, np.int64([0]), None, crowd, np.int64([0]))], ("red",)
    )
    found = inspect({"train": train, "val": val, "crowd": crowded})
    assert "val: has classes that train lacks: blue" in found.problems and not found.passed
    assert len(found.problems) == len(set(found.problems))
    assert any(line.startswith("crowd: 1 images") and line.endswith(", 1 regions of crowds") for line in found.lines())
    many = DetectionData(crowded.examples, tuple(f"class {i} {'x' * 60}" for i in range(30)))
    lines = list(inspect({None: many}).lines())
    assert max(map(len, lines)) < 600 and any(line.endswith(", ...") for line in lines)
