"""What makes large sets quick and small: numbers converted together, sizes checked when images are decoded, tables."""

import copy
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from made_coco import made_coco
from PIL import Image
from small_data import SIZE, scene, turned

from cspkeras.training import (
    ClassificationData,
    DetectionData,
    Example,
    LabelledImage,
    inspect,
    pack,
    read,
    training_batches,
)
from cspkeras.training.data.anchors import object_shapes
from cspkeras.training.data.annotations import ROUNDING, cut_boxes, usable_box
from cspkeras.training.data.example_tables import ExampleTable
from cspkeras.training.data.examples import fingerprint
from cspkeras.training.data.files import coco_lists, image_header
from cspkeras.training.data.images import upright_size
from cspkeras.training.data.readers import coco


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A made-up COCO file of a few images, its content, and the folder of its images."""
    path, images = made_coco(tmp_path_factory.mktemp("made"), 12, 90, seed=1)
    return path, json.loads(path.read_text()), images


ODD = (
    {"bbox": ["1", " 2 ", "1_0", 8]},
    {"bbox": [1, None, 3, 4]},
    {"bbox": [1, 2, 3]},
    {"bbox": [[1], [2], [3], [4]]},
    {"bbox": "1234"},
    {"bbox": {"x": 1}},
    {"bbox": 5},
    {"bbox": None},
    {"bbox": []},
    {"bbox": [True, 2, 8, 9]},
    {"bbox": [10**400, 2, 3, 4]},
    {"bbox": [-5, -5, 5000, 5000]},
    {"bbox": [5, 5, 0, 5]},
    {"bbox": [-0.04, 1, 20, 20]},
    {"bbox": None, "segmentation": {"counts": [1], "size": [1, 2]}},
    {"bbox": None, "segmentation": [[1, 2, "9", 4, 5, 30]]},
    {"area": "large"},
    {"area": "77"},
    {"area": None},
    {"area": -3},
    {"area": 10**400},
    {"iscrowd": "1"},
    {"iscrowd": 2},
    {"iscrowd": [1]},
    {"iscrowd": None},
    {"image_id": "1"},
    {"image_id": 1.0},
    {"image_id": True},
    {"image_id": 999},
    {"image_id": None},
    {"category_id": "3"},
    {"category_id": 10**30},
    {"category_id": {}},
)


def written(tmp_path, made, spoil):
    """Write a made-up file anew, its content spoiled; return the folder of its images, too."""
    stored = copy.deepcopy(made[1])
    text = spoil(stored)
    (tmp_path / "some.json").write_bytes(text if isinstance(text, bytes) else json.dumps(stored).encode())
    return tmp_path / "some.json", made[2]


def with_odd_ones(stored):
    for i, changes in enumerate(ODD):
        stored["annotations"][2 * i].update(changes)


def same(data, other):
    assert data.problems == other.problems and data.class_names == other.class_names and data.files == other.files
    for a, b in zip(data.examples, other.examples, strict=True):
        assert (a.image, a.size) == (b.image, b.size)
        for name in ("boxes", "labels", "areas", "crowd_boxes", "crowd_labels"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize(
    "spoil",
    (
        lambda stored: None,
        with_odd_ones,
        lambda stored: b"\xef\xbb\xbf" + json.dumps(stored).encode(),
        lambda stored: json.dumps(stored).encode("utf-16"),
        lambda stored: stored["annotations"].extend(["x", None, 3, [], {}]),
        lambda stored: stored["images"].extend(["x", {"id": 1}, {"file_name": "a.jpg"}]),
        lambda stored: stored["annotations"][0].update(bbox=[1, float("nan"), 3, float("inf")]),
        lambda stored: stored["categories"].append({"id": 99, "name": "\ud800 half a pair"}),
    ),
)
def test_together_or_one_by_one_with_or_without_the_quick_parser(tmp_path, made, monkeypatch, spoil):
    path, images = written(tmp_path, made, spoil)
    found = {}
    for name, changes in {
        "quick": [],
        "json": [(coco_lists, "msgspec", None)],
        "one by one": [(coco, "AT_ONCE", 1)],
        "all one by one": [(coco, "_many_corners", refuse), (coco, "_many_areas", refuse)],
    }.items():
        with monkeypatch.context() as patch:
            for change in changes:
                patch.setattr(*change)
            found[name] = read(path, images=images)
    for other in found.values():
        same(found["quick"], other)
    assert found["quick"].problems or spoil is not with_odd_ones


def refuse(rows):
    raise ValueError


def test_boxes_cut_together_are_those_cut_one_by_one():
    rng = np.random.default_rng(0)
    boxes = rng.choice([-1e308, -3, -ROUNDING, 0, 5, 39.97, 40, 40.04, 60.1, np.inf, np.nan], (4000, 4))
    sizes = rng.choice([40, 60], (4000, 2))
    inside, fits = cut_boxes(boxes, sizes)
    for box, size, cut, fit in zip(boxes.tolist(), sizes.tolist(), inside.tolist(), fits.tolist(), strict=True):
        one, problem = usable_box(box, "a", size)
        assert fit == (problem is None)
        if one:
            assert one == cut
    assert 0 < fits.sum() < 4000


def test_the_masks_of_boxes_are_not_parsed(made):
    annotation = coco_lists.load(made[0]).annotations[0]
    assert type(annotation.segmentation).__name__ == "Raw"
    assert coco_lists.polygons(annotation) == made[1]["annotations"][0]["segmentation"]


@pytest.fixture
def lying(tmp_path, make_voc):
    """A COCO file that says a wrong size of the first of four images; its path and the line that tells it."""
    voc = read(make_voc(train=4), "train")
    images = [
        {"id": i, "file_name": str(e.image), "width": 64 if i else 640, "height": 48}
        for i, e in enumerate(voc.examples)
    ]
    annotations = [{"image_id": i, "category_id": 1, "bbox": [5, 5, 20, 20]} for i in range(4)]
    stored = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "a"}]}
    path = tmp_path / "lying.json"
    path.write_text(json.dumps(stored))
    return path, f"{path}: says 640x48, but train0.png is 64x48 (upright); image left out"


def test_a_size_is_checked_when_the_image_is_decoded(lying, tmp_path, monkeypatch):
    path, line = lying
    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", lambda *args, **options: pytest.fail(f"opens {args}"))
        patch.setattr(Image, "open", lambda *args: pytest.fail(f"opens {args}"))
        data = coco.read_coco(path)
        assert [example.size for example in data.examples] == [(640, 48)] + [(64, 48)] * 3
        assert object_shapes(data, (48, 64)).shape == (4, 2)
    assert not data.problems
    for use in (data.examples[0].pixels, lambda: data.examples[0].read(window=lambda size: (0, 0, 8, 8))):
        with pytest.raises(OSError, match=f"^{re.escape(line)}$"):
            use()
    assert data.examples[1].pixels().shape == (48, 64, 3)
    reports = []
    batches = training_batches(data, (64, 64), 2, report=reports.append)
    assert len(list(batches.take(6))) == 6 and reports == [f"skipped: {line}"]
    assert inspect({None: data}).broken == [line]
    lines = []
    pack({"train": data}, tmp_path / "packed", 1, lines.append)
    assert lines == [f"{line}, left out"] and len(read(tmp_path / "packed", "train").examples) == 3


def test_a_turned_image_and_the_size_before_it_is_turned(tmp_path):
    turned(tmp_path / "a.jpg", 6)  # stored on its side; 60x40 upright
    scene().save(tmp_path / "b.jpg")
    for said, fits in ((SIZE, True), (SIZE[::-1], False)):
        images = [dict(id=i, file_name=name, width=said[0], height=said[1]) for i, name in enumerate(("a.jpg",))]
        stored = dict(images=images, annotations=[dict(image_id=0, category_id=0, bbox=[6, 8, 24, 24])])
        (tmp_path / "a.json").write_text(json.dumps(stored | dict(categories=[dict(id=0, name="red")])))
        (example,) = read(tmp_path / "a.json").examples
        if fits:
            assert example.pixels()[20, 18].tolist() == pytest.approx([220, 30, 30], abs=12)
        else:
            with pytest.raises(OSError, match=r"says 40x60, but a.jpg is 60x40 \(upright\)"):
                example.pixels()


def test_a_table_is_as_a_list_and_takes_little(tmp_path):
    path, images = made_coco(tmp_path, 60, 900)
    data = read(path, images=images)
    table, listed = data.examples, list(data.examples)
    again = DetectionData(listed, data.class_names, data.problems, data.files)
    same(data, again)
    assert fingerprint(data) == fingerprint(again)
    assert (
        len(table[3:9:2]) == 3 and table[-1].image == listed[-1].image and table[np.int64(2)].image == listed[2].image
    )
    assert len(table + listed) == len(listed + table) == 120
    for index in (60, -61):
        with pytest.raises(IndexError):
            table[index]
    same(DetectionData(ExampleTable.of(listed), data.class_names, data.problems, data.files), data)
    pickled = pickle.loads(pickle.dumps(table))
    same(DetectionData(pickled, data.class_names, data.problems, data.files), data)
    bytes_of = sum(getattr(table, name).nbytes for name in ("boxes", "labels", "areas"))
    assert bytes_of == 32 * len(table.boxes)
    assert len(pickle.dumps(table)) < 34 * len(table.boxes) + 60 * (len(str(images)) + 60)
    assert table.images.text.nbytes == sum(len(str(example.image)) for example in listed)
    odd = Path("\ud800\udcff.jpg")
    surrogates = ExampleTable.of([Example(odd, np.zeros((0, 4)), np.zeros(0, int))])
    assert surrogates[0].image == odd


@pytest.mark.parametrize("kind", ("detection", "classification"))
def test_fingerprints_tell_names_labels_and_classes_apart(tmp_path, kind):
    def of(names=("a.jpg", "b.jpg"), labels=(0, 1), classes=("x", "y"), x=8.0):
        paths = [tmp_path / name for name in names]
        if kind == "classification":
            return fingerprint(ClassificationData([*map(LabelledImage, paths, labels)], classes))
        box = np.float32([[0, 0, x, 8]])
        examples = [Example(path, box, np.int64([label])) for path, label in zip(paths, labels, strict=True)]
        return fingerprint(DetectionData(examples, classes))

    others = [of(names=("a.jpg", "c.jpg")), of(labels=(1, 1)), of(classes=("x", "z")), of(names=("b.jpg", "a.jpg"))]
    others += [of(x=9.0)] if kind == "detection" else []
    assert of() == of() and len({of(), *others}) == 1 + len(others)


def plain(path, **options):
    Image.new("RGB", (31, 17), (90, 90, 90)).save(path, **options)


HEADERS = {  # whether the first bytes alone tell
    "a.jpg": (plain, True),
    "progressive.jpg": (lambda path: plain(path, progressive=True), True),
    "profile.jpg": (lambda path: plain(path, icc_profile=b"profile" * 40), True),
    "grey.jpg": (lambda path: Image.new("L", (31, 17)).save(path), True),
    "print.jpg": (lambda path: Image.new("CMYK", (31, 17)).save(path), False),
    "turned.jpg": (turned, False),
    "xmp.jpg": (lambda path: plain(path, xmp=b"<x/>"), False),
    "cut.jpg": (lambda path: (plain(path), path.write_bytes(path.read_bytes()[:300])), False),
    "a.png": (plain, True),
    "exif.png": (turned, False),
    "cut.png": (lambda path: (plain(path), path.write_bytes(path.read_bytes()[:-9])), False),
    "a.bmp": (plain, False),
    "empty.jpg": (lambda path: path.touch(), False),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_size_by_the_first_bytes_is_pillows(tmp_path, monkeypatch, name):
    write, tells = HEADERS[name]
    write(tmp_path / name)
    size = image_header.plain_size(tmp_path / name)
    assert (size is not None) == tells
    monkeypatch.setattr("cspkeras.training.data.images.plain_size", lambda *_: None)
    try:
        expected = upright_size(tmp_path / name)
    except OSError:
        expected = None
    assert size in (expected, None)
    inner = (tmp_path / name).read_bytes()
    (tmp_path / "larger").write_bytes(b"before" + inner + b"after")
    assert image_header.plain_size(tmp_path / "larger", 6, len(inner)) == size
