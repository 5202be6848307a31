"""What `data check` finds: each fault put into a clean data set, and nothing in the clean one."""

import json

import numpy as np
import pytest
from PIL import Image

from cspkeras.training import ClassificationData, DetectionData, Example, LabelledImage, inspect, read
from cspkeras.training.data.contact_sheet import GAP, LINE, SIDE, write_contact_sheet
from cspkeras.training.data.look_alikes import equals, fingerprint, look_alikes


def scene(seed, size=(48, 64)):
    """An image of large soft shapes, unlike that of any other seed."""
    small = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), "uint8")
    return np.asarray(Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC))


@pytest.fixture
def parts(tmp_path):
    """Two splits of classified image files, none like another."""
    made = {}
    for k, split in enumerate(("train", "val")):
        (tmp_path / split).mkdir()
        paths = [tmp_path / split / f"{i}.png" for i in range(8)]
        for i, path in enumerate(paths):
            Image.fromarray(scene(10 * k + i)).save(path)
        made[split] = ClassificationData([LabelledImage(p, i % 2) for i, p in enumerate(paths)], ("cat", "dog"))
    return made


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


def test_broken_pictures(parts, tmp_path):
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


def test_pictures_that_show_nothing_are_like_no_other():
    plain = [np.full((20 + i, 30, 3), 50 * i, "uint8") for i in range(4)] + [np.zeros((1, 1, 3), "uint8")]
    prints = [fingerprint(pixels) for pixels in (*plain, plain[2])]
    assert look_alikes(prints, [0] * 6) == [] and equals(prints) == [[2, 5]]
    assert look_alikes([], []) == [] and equals([]) == []
    assert fingerprint(np.zeros((2, 3, 3), "uint8")).digest != fingerprint(np.zeros((3, 2, 3), "uint8")).digest


def test_look_alikes_are_found_among_many():
    images = [scene(i) for i in range(400)]
    noise = np.random.default_rng(0).normal(0, 4, (400, 48, 64, 3))
    noisy = [np.uint8((image + n).clip(0, 255)) for image, n in zip(images, noise, strict=True)]
    found = look_alikes([fingerprint(image) for image in images + noisy], [0] * 400 + [1] * 400)
    assert all(j - i == 400 for i, j in found) and len(found) > 390


def test_a_contact_sheet(parts, tmp_path, make_voc):
    voc = read(make_voc(train=2), "train")
    (tmp_path / "val/0.png").write_bytes(b"nonsense")
    sheet = Image.open(write_contact_sheet(tmp_path / "out/sheet.png", {"voc": voc, **parts}, 9))
    assert sheet.size == (GAP + 6 * (SIDE + GAP), GAP + 2 * (SIDE + LINE + GAP)) and sheet.format == "PNG"
    pixels = np.asarray(sheet)
    scale, top = SIDE / 64, GAP + SIDE - 180  # 64 x 48 pixels as 240 x 180, at the frame's foot
    for box, label in zip(voc.examples[0].boxes, voc.examples[0].labels, strict=True):
        x, y = (box[:2] + box[2:]) / 2 * scale
        inside = pixels[int(top + y), int(GAP + x)]
        np.testing.assert_allclose(inside, voc.examples[0].pixels()[tuple(int(v / scale) for v in (y, x))], atol=2)
        edge = pixels[int(top + round(box[3] * scale)) - 1, int(GAP + x)]
        assert abs(edge.astype(int) - inside).max() > 30, label
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out/sheet.png"]
