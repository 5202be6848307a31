"""labelme's JSON files: what the tool writes, every shape, and every way in which one is bad."""

import json

import numpy as np
import pytest
from exports import ALL, EXPORTS, TRUTH, check, check_recognition

from cspkeras.training.data.files.folder import Folder
from cspkeras.training.data.readers.labelme import FORMAT

FRAME = "frame_000002"


def test_no_other_data_set_is_taken_for_it(tmp_path):
    found = check_recognition(FORMAT, tmp_path)
    assert not FORMAT.matches(found["labelme"][0] / f"train/{FRAME}.json", None)
    described = {file for path, _ in found.values() for file in Folder(path).files if FORMAT.describes(file)}
    assert {file.name for file in described} == {f"{name}.json" for name in ALL}


@pytest.fixture
def folder(tmp_path):
    EXPORTS["labelme"](tmp_path)
    return tmp_path


def read(folder, split="train", class_names=None):
    return FORMAT.read(Folder(folder), split, class_names)


def change(folder, edit):
    path = folder / f"train/{FRAME}.json"
    stored = json.loads(path.read_text())
    stored = edit(stored) or stored
    path.write_bytes(stored if isinstance(stored, bytes) else json.dumps(stored).encode())


def test_what_the_tool_writes(folder):
    assert sorted(FORMAT.splits(Folder(folder))) == ["train", "valid"]
    for split in TRUTH:
        check(read(folder, split), split)
    assert read(folder, "train", ("owl", "dog", "cat")).class_names == ("owl", "dog", "cat")
    with pytest.raises(FileNotFoundError, match="has no split 'test'; there are train, valid"):
        read(folder, "test")
    for split in TRUTH:
        for file in (folder / split).iterdir():
            file.rename(folder / file.name)
    assert not FORMAT.splits(Folder(folder))
    check(read(folder, "train"))


def test_where_the_images_are(folder):
    for name in TRUTH["train"]:
        (folder / f"train/{name}.jpg").rename(folder / f"train/{name.upper()}.JPG")
    (folder / "train/ann").mkdir()
    for file in (folder / "train").glob("*.json"):
        file.rename(folder / "train/ann" / file.name)
    check(read(folder), "train")


def test_the_name_in_a_file_counts_where_no_image_has_its_own(folder):
    (folder / f"train/{FRAME}.json").rename(folder / "train/other.json")
    check(read(folder), "train")
    stored = json.loads((folder / "train/other.json").read_text()) | {"imagePath": f"..\\train\\{FRAME}.jpg"}
    (folder / "train/other.json").write_text(json.dumps(stored))
    check(read(folder), "train")


ACCEPTED = {
    "numbers as text": lambda stored: stored["shapes"][0].update(points=[["8", "16"], ["40.0", "46"]]),
    "corners in any order": lambda stored: stored["shapes"][0].update(points=[[40, 16], [8, 46]]),
    "four corners": lambda stored: stored["shapes"][0].update(points=[[8, 16], [40, 16], [40, 46], [8, 46]]),
    "no size": lambda stored: [stored.pop(key) for key in ("imageWidth", "imageHeight")][:0],
    "size null": lambda stored: stored.update(imageWidth=None, imageHeight=None),
    "size a text": lambda stored: stored.update(imageWidth="64", imageHeight="48.0"),
    "size no number": lambda stored: stored.update(imageWidth="wide", imageHeight=[]),
    "the image before the shapes": lambda stored: {"imageData": "A" * 2**18, **stored},
    "a byte order mark": lambda stored: b"\xef\xbb\xbf" + json.dumps(stored).encode(),
    "UTF-16": lambda stored: json.dumps(stored).encode("utf-16"),
    "no type of a shape": lambda stored: stored["shapes"][0].pop("shape_type")[:0],
    "a polygon": lambda stored: stored["shapes"][0].update(
        shape_type="polygon", points=[[8, 20], [20, 16], [40, 30], [30, 46]]
    ),
    "a circle": lambda stored: (
        stored["shapes"][0].update(shape_type="circle", points=[[24, 31], [24, 47]])
        or stored["shapes"].append(stored["shapes"].pop(0))
    ),
    "a mask": lambda stored: stored["shapes"][0].update(shape_type="mask", mask="iVBORw0", points=[[8, 16], [40, 46]]),
    "parts of one object": lambda stored: (
        stored["shapes"].append({"label": "dog", "points": [[8, 30], [20, 46]], "group_id": 1, "shape_type": "polygon"})
        or stored["shapes"][0].update(shape_type="polygon", group_id=1, points=[[10, 16], [40, 16], [40, 20]])
    ),
}
CIRCLE = (8, 15, 40, 47)  # instead of the dog's box


@pytest.mark.parametrize("case", ACCEPTED)
def test_all_that_is_accepted(folder, case):
    change(folder, ACCEPTED[case])
    data = read(folder)
    if case == "a circle":
        (example,) = (example for example in data.examples if example.image.stem == FRAME)
        assert CIRCLE in [tuple(box) for box in example.boxes.tolist()] and not data.problems
    else:
        check(data, "train")


def test_rectangles_of_a_group_are_objects_of_their_own(folder):
    def group(stored):
        stored["shapes"][0]["group_id"] = 1
        stored["shapes"].append(stored["shapes"][0] | {"points": [[1, 1], [5, 5]]})

    change(folder, group)
    data = read(folder)
    assert sum(len(example.boxes) for example in data.examples) == 6 and not data.problems


def shape(**changes):
    return lambda stored: stored["shapes"][0].update(changes)


LEFT_OUT = {  # the change, the line of `problems`, how many objects stay of 5
    "a line": (shape(shape_type="line"), "shapes[0]: a line has no area, left out", 4),
    "a point": (shape(shape_type="point", points=[[1, 2]]), "shapes[0]: a point has no area, left out", 4),
    "a linestrip": (shape(shape_type="linestrip"), "shapes[0]: a linestrip has no area, left out", 4),
    "no label": (shape(label=None), f"shapes[0] of {FRAME}.jpg: an object without a name, left out", 4),
    "an empty label": (shape(label=" "), "an object without a name, left out", 4),
    "label a list": (shape(label=["dog"]), "an object without a name, left out", 4),
    "no points": (shape(points=None), "an object 'dog' without four finite numbers for its box, left out", 4),
    "empty points": (shape(points=[]), "an object 'dog' without four finite numbers", 4),
    "points of three numbers": (shape(points=[[1, 2, 3], [4, 5, 6]]), "'dog' without four finite numbers", 4),
    "points ragged": (shape(points=[[1, 2], [4]]), "'dog' without four finite numbers", 4),
    "points texts": (shape(points=[["a", "b"], ["c", "d"]]), "'dog' without four finite numbers", 4),
    "NaN": (shape(shape_type="polygon", points=[[1, 2], [float("nan"), 3], [9, 9]]), "without four finite", 4),
    "huge": (shape(points=[[1, 2], [10**400, 3]]), "'dog' without four finite numbers", 4),
    "a circle of three points": (shape(shape_type="circle", points=[[1, 2]] * 3), "without four finite numbers", 4),
    "a single point": (shape(points=[[8, 16]]), "box [8.0, 16.0, 8.0, 16.0] of 'dog' has no area within 64x48", 4),
    "outside": (shape(points=[[70, 16], [80, 20]]), "of 'dog' has no area within 64x48, left out", 4),
    "over the edge": (shape(points=[[50, 16], [80, 20]]), "of 'dog' reaches outside 64x48, cut there", 5),
    "shape a text": (lambda stored: stored["shapes"].append("dog"), "shapes[2]: is not a shape, left out", 5),
    "shapes null": (lambda stored: stored.update(shapes=None), "has no list of shapes, image left out", 3),
    "another size": (
        lambda stored: stored.update(imageWidth=640, imageHeight=480),
        f"says 640x480, but {FRAME}.jpg is 64x48 (upright); image left out",
        3,
    ),
    "broken off": (lambda stored: json.dumps(stored).encode()[:-9], "not valid JSON", 3),
    "nested": (lambda stored: b'{"shapes": ' + b"[" * 100_000, "not valid JSON", 3),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_is_left_out_is_reported(folder, case):
    edit, expected, objects = LEFT_OUT[case]
    change(folder, edit)
    if case == "shapes null":  # it would not be recognized, but for the image in it
        change(folder, lambda stored: stored.update(imageData="A"))
    data = read(folder)
    (line,) = data.problems
    assert line.startswith(f"{folder}/train/{FRAME}.json: ") and expected in line and "\n" not in line
    assert sum(len(example.boxes) for example in data.examples) == objects
    assert len(data.examples) == (2 if objects == 3 else 3)


def test_images_that_are_missing_or_broken(folder):
    (folder / f"train/{FRAME}.jpg").unlink()
    (folder / "train/frame_000001.jpg").write_text("no image")
    lines = read(folder).problems
    assert [line.split(": ")[0] for line in lines] == [
        f"{folder}/train/frame_000001.jpg",
        f"{folder}/train/{FRAME}.jpg",
    ]
    assert "not a readable image" in lines[0] and lines[1].endswith("missing, image left out")


def test_a_line_break_in_a_name(folder):
    change(folder, lambda stored: stored.update(imagePath="a\nb.jpg"))
    (folder / f"train/{FRAME}.jpg").unlink()
    assert read(folder).problems == [f"{folder}/train/a b.jpg: missing, image left out"]


def test_an_image_without_objects_stays_and_numbers_are_names(folder):
    change(folder, lambda stored: stored.update(shapes=[]))
    data = read(folder)
    assert len(data.examples) == 3 and data.examples[2].boxes.shape == (0, 4) and not data.problems
    change(folder, lambda stored: stored.update(shapes=[{"label": 7, "points": [[1, 2], [5, 6]]}]))
    data = read(folder)
    assert data.class_names == ("7", "cat", "dog", "owl")
    np.testing.assert_array_equal(data.examples[2].boxes, [[1, 2, 5, 6]])


def test_nothing_usable(folder):
    for file in (folder / "train").glob("*.jpg"):
        file.unlink()
    with pytest.raises(ValueError, match="split train: no image with a usable object; .* of 3 problems: .*: missing"):
        read(folder)
    with pytest.raises(ValueError, match="has no files of this format"):
        FORMAT.read(folder / f"train/{FRAME}.json", "train", None)
