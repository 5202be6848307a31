"""COCO's JSON files: read as they are, measured as COCO measures, and every way in which one is bad."""

import contextlib
import io
import json
import re

import numpy as np
import pytest
from faster_coco_eval import COCO, COCOeval_faster
from small_data import COLORS

from cspkeras.training import read, read_coco, read_voc
from cspkeras.training.evaluation.detection import SUMMARY, coco_metrics

FILE = "data/coco_free/instances.json"


def test_a_part_of_coco(test_data):
    data, stored = read(test_data / FILE), json.loads((test_data / FILE).read_text())
    assert not data.problems and len(data.examples) == 33
    assert data.class_names == tuple(category["name"] for category in stored["categories"])
    assert sum(len(e.boxes) for e in data.examples) == 243 and sum(len(e.crowd_boxes) for e in data.examples) == 3
    for example in data.examples:
        assert example.pixels().shape[1::-1] == example.size
        assert len(example.boxes) == len(example.labels) == len(example.areas)


def imagined(stored, seed=0):
    """COCO results for a COCO file: its boxes moved, some lost, some of another class, some nowhere; crowds crowded."""
    rng, results = np.random.default_rng(seed), []
    categories = [category["id"] for category in stored["categories"]]
    for annotation in stored["annotations"]:
        x, y, w, h = annotation["bbox"]
        for _ in range(4 if annotation["iscrowd"] else rng.integers(0, 3)):
            if annotation["iscrowd"]:
                box = [x + w * rng.random() / 2, y + h * rng.random() / 2, w / 2, h / 2]
            else:
                box = [x, y, w, h] + rng.normal(0, 0.08, 4) * [w, h, w, h]
            category = annotation["category_id"] if rng.random() < 0.8 else rng.choice(categories)
            results.append(
                dict(
                    image_id=annotation["image_id"],
                    category_id=int(category),
                    bbox=np.float32(box).tolist(),
                    score=float(rng.random()),
                )
            )
    return results


def test_it_is_measured_as_coco_measures(test_data):
    data, stored = read_coco(test_data / FILE), json.loads((test_data / FILE).read_text())
    results = imagined(stored)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(test_data / FILE))
        judge = COCOeval_faster(truth, truth.loadRes(results), "bbox")
        judge.run()
    assert min(judge.stats[:6]) > 0.1 and max(judge.stats[:6]) < 0.9

    index = {category["id"]: data.class_names.index(category["name"]) for category in stored["categories"]}
    found = []
    for entry in stored["images"]:
        own = [result for result in results if result["image_id"] == entry["id"]]
        boxes = np.array([result["bbox"] for result in own]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = [index[result["category_id"]] for result in own]
        found.append({"boxes": boxes, "labels": labels, "scores": [result["score"] for result in own]})
    measured = coco_metrics(data.examples, found, data.class_names)
    np.testing.assert_allclose([measured[name] for name in SUMMARY], judge.stats[:12], atol=1e-6)
    of_classes = judge.eval["precision"][..., 0, -1].mean(axis=(0, 1))  # -1 where a class does not occur
    got = [row["AP"] for row in measured["per_class"].values()]
    np.testing.assert_allclose(np.nan_to_num(got, nan=-1), of_classes, atol=1e-6)


@pytest.fixture
def make_coco(make_voc):
    """`make_voc`'s training images as a COCO file beside its JPEGImages: a function of changes to it, the path."""

    def make(change=lambda stored: None, train=2):
        folder = make_voc(train=train)
        data, annotations, images = read_voc(folder, "train"), [], []
        for i, example in enumerate(data.examples):
            name, (width, height) = f"JPEGImages/{example.image.name}", example.size
            images.append(dict(id=10 + i, file_name=name, width=width, height=height))
            for (x1, y1, x2, y2), label in zip(example.boxes.tolist(), example.labels.tolist(), strict=True):
                box = [x1, y1, x2 - x1, y2 - y1]
                annotations.append(dict(image_id=10 + i, category_id=7 - label, bbox=box, area=9.5, iscrowd=0))
        categories = [dict(id=7 - i, name=name) for i, name in enumerate(COLORS)]
        stored = dict(images=images, annotations=annotations, categories=categories)
        stored = change(stored) or stored
        path = folder / "some.json"
        path.write_text(stored if isinstance(stored, str) else json.dumps(stored))
        return path

    return make


def same(data, other):
    for a, b in zip(data.examples, other.examples, strict=True):
        assert a.image == b.image
        np.testing.assert_array_equal(a.boxes, b.boxes)
        assert [data.class_names[i] for i in a.labels] == [other.class_names[i] for i in b.labels]


def test_the_same_data_in_both_formats(make_coco):
    path = make_coco()
    voc = read(path.parent, "train")
    data = read(path)
    assert data.class_names == ("red", "green", "blue")  # in the order of their numbers
    same(data, voc)
    assert all((example.areas == 9.5).all() for example in data.examples)
    assert read(path, class_names=tuple(COLORS)).class_names == tuple(COLORS)


@pytest.mark.parametrize("place", (".", "images", "elsewhere", "coco", "coco/images"))
def test_where_the_images_are(make_coco, tmp_path, place):
    path = make_coco(lambda stored: [entry.update(file_name=entry["file_name"][11:]) for entry in stored["images"]][:0])
    voc, new = read(path.parent, "train"), tmp_path / "new"
    target = new / {"coco": "val2017", "coco/images": "images/val2017"}.get(place, place)
    listing = new / ("annotations/instances_val2017.json" if "coco" in place else "a.json")
    for folder in (target, listing.parent):
        folder.mkdir(parents=True, exist_ok=True)
    for example in voc.examples:
        (target / example.image.name).write_bytes(example.image.read_bytes())
    path.rename(listing)
    images = target if place == "elsewhere" else None
    data = read(new, "val2017") if "coco" in place else read(listing, images=images)
    assert [example.image for example in data.examples] == [target / e.image.name for e in voc.examples]
    (target / "train1.png").unlink()
    (line,) = (read(new, "val2017") if "coco" in place else read(listing, images=images)).problems
    assert line == f"{target / 'train1.png'}: missing, image left out"
    if "coco" in place:
        expected = f"{new}: has no split 'dev'; there are val2017"
        with pytest.raises(FileNotFoundError, match=re.escape(expected)):
            read(new, "dev")


def put(key, i, **changes):
    return lambda stored: stored[key][i].update(changes)


def drop(key, i, name):
    return lambda stored: stored[key][i].pop(name) and None


BAD = {  # change -> the one line of `problems`, the number of images and of objects that stay (of 2 and 6)
    "image missing": (put("images", 1, file_name="a.png"), "/a.png: missing, image left out", 1, 3),
    "image without a name": (drop("images", 1, "file_name"), "images[1] without an id and a file_name", 1, 3),
    "image's name a number": (put("images", 1, file_name=3), "images[1] without an id and a file_name", 1, 3),
    "two of one id": (put("images", 1, id=10), "images[1] has the id of another (10), left out", 1, 3),
    "size no number": (put("images", 0, width="wide"), "says widex48, but train0.png is 64x48 (upright)", 1, 3),
    "unlisted image": (
        put("annotations", 0, image_id=99),
        "annotations[0] of an image that is not listed (99)",
        2,
        5,
    ),
    "id out of range": (
        put("annotations", 0, category_id=99),
        "annotations[0] without an image_id and a",
        2,
        5,
    ),
    "negative id": (put("annotations", 0, category_id=-1), "annotations[0] without an image_id and a", 2, 5),
    "id a list": (put("annotations", 0, image_id=[1]), "annotations[0] without an image_id and a", 2, 5),
    "no category": (drop("annotations", 0, "category_id"), "annotations[0] without an image_id and a", 2, 5),
    "no box": (
        drop("annotations", 0, "bbox"),
        "annotations[0] of train0.png: an object 'blue' without",
        2,
        5,
    ),
    "three numbers": (put("annotations", 0, bbox=[1, 2, 3]), "an object 'blue' without four finite numbers", 2, 5),
    "NaN": (put("annotations", 0, bbox=[1, 2, float("nan"), 4]), "an object 'blue' without four finite numbers", 2, 5),
    "infinite": (put("annotations", 0, bbox=[1, 2, float("inf"), 4]), "an object 'blue' without four finite", 2, 5),
    "huge": (put("annotations", 0, bbox=[10**400, 2, 3, 4]), "an object 'blue' without four finite numbers", 2, 5),
    "text": (put("annotations", 0, bbox=[1, "left", 3, 4]), "an object 'blue' without four finite numbers", 2, 5),
    "no area": (
        put("annotations", 0, bbox=[1, 2, 0, 4]),
        "box [1.0, 2.0, 1.0, 6.0] of 'blue' has no area",
        2,
        5,
    ),
    "negative width": (put("annotations", 0, bbox=[9, 2, -5, 4]), "of 'blue' has no area within 64x48", 2, 5),
    "outside": (put("annotations", 0, bbox=[70, 2, 5, 4]), "of 'blue' has no area within 64x48", 2, 5),
    "over the edge": (put("annotations", 0, bbox=[50, 2, 20, 4]), "of 'blue' reaches outside 64x48, cut there", 2, 6),
    "annotation a text": (lambda stored: stored["annotations"].append("x"), "annotations[6] without an image_id", 2, 6),
    "infinite category": (
        lambda stored: stored["categories"].append({"id": float("inf"), "name": "x"}),
        "categories[3] without an id and a name, left out",
        2,
        6,
    ),
    "nameless category": (
        lambda stored: stored["categories"].append({"id": 3}),
        "categories[3] without an id and a name, left out",
        2,
        6,
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_left_out_is_reported(make_coco, case):
    change, expected, images, objects = BAD[case]
    path = make_coco(change)
    if case == "two of one id":  # the second image's objects are then of none that is listed
        data = read(path)
        assert expected in data.problems[0] and len(data.examples) == 1
        assert all("of an image that is not listed (11)" in line for line in data.problems[1:])
        return
    data = read(path)
    assert (len(data.examples), sum(len(e.boxes) for e in data.examples)) == (images, objects)
    relevant = [line for line in data.problems if "not listed (11)" not in line]
    assert expected in relevant[0] and len(relevant) == 1 and str(path.parent) in relevant[0]
    assert "\n" not in relevant[0]


def test_rounded_boxes_and_missing_sizes_are_no_problem(make_coco):
    def change(stored):
        stored["annotations"][0]["bbox"] = [-0.01, 2, 64.03, 4]
        stored["annotations"][1]["area"] = "large"
        for entry in stored["images"]:
            del entry["width"], entry["height"]

    data = read(make_coco(change))
    assert not data.problems
    np.testing.assert_allclose(data.examples[0].boxes[0], [0, 2, 64, 6], atol=1e-5)
    assert data.examples[0].areas[1] == np.prod(np.diff(data.examples[0].boxes[1].reshape(2, 2), axis=0))


def as_texts(stored):
    """All numbers as texts, as some converters write them."""
    for entry in stored["images"]:
        entry.update({key: str(entry[key]) for key in ("id", "width", "height")})
    for entry in stored["annotations"]:
        entry.update({key: str(entry[key]) for key in ("image_id", "category_id", "iscrowd", "area")})
        entry["bbox"] = [str(value) for value in entry["bbox"]]


def as_polygons(stored):
    for entry in stored["annotations"]:
        x, y, w, h = entry.pop("bbox")
        entry["segmentation"] = [[x, y, x + w, y], [x + w, y + h, x + w / 2, y + h / 2]]


SAME = {
    "numbers as texts": as_texts,
    "one place a text": lambda stored: [
        entry.update(image_id=str(entry["image_id"])) for entry in stored["annotations"]
    ][:0],
    "fractions": lambda stored: [entry.update(id=float(entry["id"])) for entry in stored["images"]][:0],
    "a mark first": lambda stored: "\ufeff" + json.dumps(stored),
    "polygons": as_polygons,
    "size zero": lambda stored: [entry.update(width=0, height=0) for entry in stored["images"]][:0],
    "other suffixes": lambda stored: [
        entry.update(file_name=entry["file_name"][:-3] + "JPG") for entry in stored["images"]
    ][:0],
    "Windows' paths": lambda stored: [
        entry.update(file_name=entry["file_name"].replace("/", "\\")) for entry in stored["images"]
    ][:0],
    "category without a name's blanks": lambda stored: put("categories", 0, name=" blue\n")(stored),
}


@pytest.mark.parametrize("case", SAME)
def test_what_is_written_in_another_way(make_coco, case):
    expected = read(make_coco())
    data = read(make_coco(SAME[case]))
    assert not data.problems and data.class_names == expected.class_names
    same(data, expected)


def test_categories_that_are_told_or_refused(make_coco):
    def change(stored):
        stored["categories"] += [{"id": 7, "name": "mauve"}, {"id": 8, "name": "red"}]
        stored["annotations"].append(dict(stored["annotations"][0]))

    data = read(make_coco(change))
    assert data.class_names == ("red", "green", "blue")
    assert [line.split(": ", 1)[1] for line in data.problems] == [
        "categories[3] (mauve) has the id of another (7), left out",
        "categories[4] is called 'red' as another, read as one",
        "annotations[6] of train0.png: the same object again, left out",
    ]
    with pytest.raises(ValueError, match=r"some.json: the name of categories\[1\] is empty, expected a text"):
        read(make_coco(put("categories", 1, name=" ")))


def test_crowds_alone(make_coco):
    path = make_coco(lambda stored: [entry.update(iscrowd="1") for entry in stored["annotations"]][:0])
    with pytest.raises(ValueError, match=r"usable object; found 2 images with 6 regions of a crowd \(iscrowd\)"):
        read(path)


def test_crowds_are_kept_apart(make_coco):
    (example, _) = read(make_coco(put("annotations", 1, iscrowd=1))).examples
    assert len(example.boxes) == len(example.labels) == len(example.areas) == 2
    assert len(example.crowd_boxes) == len(example.crowd_labels) == 1


@pytest.mark.parametrize(
    "change, error, message",
    (
        (lambda stored: " ", ValueError, "some.json: not valid JSON"),
        (lambda stored: '{"images": [', ValueError, "some.json: not valid JSON"),
        (lambda stored: "[" * 100_000, ValueError, "some.json: not valid JSON"),
        (lambda stored: "[]", ValueError, "no COCO file; expected an object with the lists images, annotations, cat"),
        (lambda stored: '{"images": {}}', ValueError, "no COCO file; expected an object with the lists"),
        (lambda stored: {**stored, "annotations": []}, ValueError, "some.json: no image with a usable object"),
        (
            lambda stored: {**stored, "images": []},
            ValueError,
            "the first of 6 problems: .*an image that is not listed",
        ),
    ),
)
def test_unusable_files(make_coco, change, error, message):
    path = make_coco(change)
    with pytest.raises(error, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_other_classes_and_missing_files(make_coco, tmp_path):
    path = make_coco()
    with pytest.raises(ValueError, match=r"some.json: none of its classes \(blue, green, red\) is among dog"):
        read(path, class_names=("dog",))
    data = read(path, class_names=("dog", "red"))
    assert [example.labels.tolist() for example in data.examples] == [[1], [1]]
    assert [line.split(": ", 2)[2] for line in data.problems] == [
        f"unknown class {name!r}, left out (2 objects, the first here); known are dog, red"
        for name in ("blue", "green")
    ]
    with pytest.raises(FileNotFoundError, match="none.json: missing; expected a data set"):
        read(tmp_path / "none.json")
    with pytest.raises(FileNotFoundError, match="nowhere: missing; expected the folder of the images of"):
        read(path, images=tmp_path / "nowhere")
    with pytest.raises(ValueError, match="voc: a Pascal VOC folder says itself where its images are; "):
        read(path.parent, "train", images=tmp_path)
