"""YOLO's text files: the same data as in a Pascal VOC folder, every layout, and every way in which a line is bad."""

import numpy as np
import pytest
from PIL import Image
from small_data import COLORS

from cspkeras.training import read, read_voc, read_yolo, splits

YAML = "path: .\ntrain: images/train\nval: images/val\nnames: [red, green, blue]\n"
NAMES = ("red", "green", "blue")


def convert(voc, folder):
    """The Pascal VOC folder's images and objects in YOLO's layout."""
    for split in ("train", "val"):
        for part in ("images", "labels"):
            (folder / part / split).mkdir(parents=True)
        data = read_voc(voc, split, NAMES)
        for example in data.examples:
            (folder / "images" / split / example.image.name).write_bytes(example.image.read_bytes())
            (x1, y1, x2, y2), (width, height) = example.boxes.T.astype("float64"), example.size
            columns = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height
            rows = zip(example.labels.tolist(), *(column.tolist() for column in columns), strict=True)
            text = "\n".join(" ".join(map(str, row)) for row in rows)
            (folder / "labels" / split / f"{example.image.stem}.txt").write_text(text)
    (folder / "data.yaml").write_text(YAML)
    return folder


@pytest.fixture
def yolo(make_voc, tmp_path):
    return convert(make_voc(train=3), tmp_path / "yolo")


def put(yolo, text, name="train1"):
    path = yolo / f"labels/train/{name}.txt"
    path.write_text(text)
    return path


def test_the_same_data_in_both_formats(yolo, tmp_path):
    assert splits(yolo) == splits(yolo / "data.yaml") == ["train", "val"]
    for split in ("train", "val"):
        voc = read(tmp_path / "voc", split, NAMES)
        for data in (read(yolo, split), read(yolo / "data.yaml", split)):
            assert data.class_names == NAMES and not data.problems
            for a, b in zip(data.examples, voc.examples, strict=True):
                assert a.image.name == b.image.name and a.pixels().shape[1::-1] == a.size
                np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-4)
                np.testing.assert_array_equal(a.labels, b.labels)
    assert read(yolo, "train", ("blue", "red")).class_names == ("blue", "red")


LAYOUTS = {
    "names by number": (YAML.replace("[red, green, blue]", "{0: red, 1: green, 2: blue}"), ()),
    "no path": (YAML.replace("path: .\n", ""), ()),
    "a path of another machine": (YAML.replace("path: .", "path: /nowhere/else"), ()),
    "a list of images": (YAML.replace("images/train", "train.txt"), ()),
    "several folders": (YAML.replace("images/train", "[images/train, images/more]"), ("images/more: missing; ",)),
    "as Roboflow exports it": (YAML.replace("images/train", "../images/train"), ()),
    "bare": (None, ()),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_layouts(yolo, case):
    text, problems = LAYOUTS[case]
    expected = read(yolo, "train")
    (yolo / "train.txt").write_text("".join(f"./images/train/train{i}.png\n" for i in range(3)))
    (yolo / "classes.txt").write_text("red\ngreen\nblue\n\n")
    (yolo / "data.yaml").unlink()
    if text:
        (yolo / "data.yaml").write_text(text)
    data = read(yolo, "train")
    assert data.class_names == NAMES and [e.image.name for e in data.examples] == [f"train{i}.png" for i in range(3)]
    for a, b in zip(data.examples, expected.examples, strict=True):
        np.testing.assert_array_equal(a.boxes, b.boxes)
    assert len(data.problems) == len(problems)
    assert all(expected in line for line, expected in zip(data.problems, problems, strict=True))
    assert splits(yolo) == ["train", "val"]


def test_a_bare_folder_without_splits(yolo):
    for part in ("images", "labels"):
        for file in (yolo / part / "train").iterdir():
            file.rename(yolo / part / file.name)
        for split in ("train", "val"):
            for file in (yolo / part / split).iterdir():
                file.unlink()
            (yolo / part / split).rmdir()
    (yolo / "data.yaml").unlink()
    (yolo / "classes.txt").write_text("red\ngreen\nblue\n")
    assert splits(yolo) == []
    assert sum(len(example.boxes) for example in read(yolo).examples) == 9


def test_a_polygon_becomes_the_box_around_it(yolo):
    put(yolo, "1 0.5 0.25 0.75 0.5 0.25 0.75\n0 .25 .5 .5 .5\n")
    example = read(yolo, "train").examples[1]
    np.testing.assert_allclose(example.boxes, [[16, 12, 48, 36], [0, 12, 32, 36]])
    np.testing.assert_array_equal(example.labels, [1, 0])


def test_key_points_after_a_box(yolo):
    (yolo / "data.yaml").write_text(YAML + "kpt_shape: [2, 3]\n")
    put(yolo, "1 .5 .5 .5 .5 .4 .4 2 .6 .6 2\n")
    np.testing.assert_allclose(read(yolo, "train").examples[1].boxes, [[16, 12, 48, 36]])


@pytest.mark.parametrize("text", ("", "\n \n", None))
def test_an_image_without_objects(yolo, text):
    path = put(yolo, text or "")
    if text is None:
        path.unlink()
    data = read(yolo, "train")
    assert data.examples[1].boxes.shape == (0, 4) and len(data.examples) == 3 and not data.problems


LINES = {
    "NaN": ("1 nan .5 .1 .1", "an object 'green' without four finite numbers"),
    "infinite": ("1 .5 .5 inf .1", "an object 'green' without four finite numbers"),
    "class NaN": ("nan .5 .5 .1 .1", "class nan is not in 0 to 2, left out"),
    "class out of range": ("3 .5 .5 .1 .1", "class 3 is not in 0 to 2, left out"),
    "class below zero": ("-1 .5 .5 .1 .1", "class -1 is not in 0 to 2, left out"),
    "half a class": ("0.5 .5 .5 .1 .1", "class 0.5 is not in 0 to 2, left out"),
    "too few numbers": ("1 .5 .5 .1", "3 numbers after the class, expected 4 or a polygon's, left out"),
    "odd polygon": ("1 .5 .5 .1 .1 .2 .2 .3", "7 numbers after the class, expected 4 or a polygon's, left out"),
    "class alone": ("1", "0 numbers after the class"),
    "words": ("red .5 .5 .1 .1", "'red .5 .5 .1 .1' is not all numbers, left out"),
    "commas": ("1,.5,.5,.1,.1", "is not all numbers, left out"),
    "no width": ("1 .5 .5 0 .1", "of 'green' has no area within 64x48, left out"),
    "width below zero": ("1 .5 .5 -.2 .1", "of 'green' has no area within 64x48, left out"),
    "in pixels": ("1 320 240 40 40", "of 'green' has no area within 64x48, left out"),
    "a polygon on a line": ("1 .1 .1 .2 .1 .3 .1", "of 'green' has no area within 64x48, left out"),
}


@pytest.mark.parametrize("case", LINES)
def test_an_object_is_left_out_and_reported_with_file_and_line(yolo, case):
    line, expected = LINES[case]
    path = put(yolo, f"0 .5 .5 .5 .5\n\n{line}\n")
    data = read(yolo, "train")
    np.testing.assert_allclose(data.examples[1].boxes, [[16, 12, 48, 36]])
    (problem,) = data.problems
    assert problem.startswith(f"{path}:3: ") and expected in problem


def test_a_box_that_reaches_outside_is_cut_and_reported(yolo):
    path = put(yolo, "2 1 .5 .5 .5\n")
    data = read(yolo, "train")
    np.testing.assert_allclose(data.examples[1].boxes, [[48, 12, 64, 36]])
    assert data.problems == [f"{path}:1: box [48.0, 12.0, 80.0, 36.0] of 'blue' reaches outside 64x48, cut there"]


def test_thousands_of_boxes_and_bytes_that_are_no_text(yolo):
    rng = np.random.default_rng(0)
    rows = rng.uniform(0.3, 0.6, (3000, 4))
    path = put(yolo, "".join(f"{i % 3} {' '.join(map(str, row))}\n" for i, row in enumerate(rows)))
    data = read(yolo, "train")
    assert len(data.examples[1].boxes) == 3000 and not data.problems
    path.write_bytes(b"\xff\xfe\x00\x01\n0 .5 .5 .5 .5\n")
    data = read(yolo, "train")
    assert len(data.examples[1].boxes) == 1 and data.problems[0].startswith(f"{path}:1: ")


def test_broken_images_are_left_out(yolo):
    (yolo / "images/train/train1.png").write_bytes(b"nonsense")
    Image.new("RGB", (1, 1)).save(yolo / "images/train/train2.png")
    data = read(yolo, "train")
    assert [example.image.name for example in data.examples] == ["train0.png", "train2.png"]
    assert data.examples[1].size == (1, 1) and len(data.examples[1].boxes) == len(COLORS)
    (problem,) = data.problems
    assert problem.startswith(f"{yolo}/images/train/train1.png: not a readable image (") and "left out" in problem


@pytest.mark.parametrize(
    "text, split, error, message",
    (
        ("names: [red]\nval: images/val\n", "train", FileNotFoundError, "yolo: has no split 'train'; there are val"),
        ("train: images/train\n", "train", ValueError, "data.yaml: not a YOLO data set; expected YAML with train, val"),
        ("names: red\n", "train", ValueError, "data.yaml: not a YOLO data set; .*names: 'red'"),
        ("names: {1: red}\n", "train", ValueError, "data.yaml: not a YOLO data set"),
        ("- 1\n", "train", ValueError, "data.yaml: not a YOLO data set"),
        ("", "train", ValueError, "data.yaml: not a YOLO data set"),
        ("names: [\n", "train", ValueError, "data.yaml:2: not valid YAML"),
        (f"names: [red]\ntrain: {'a' * 5000}\n", "train", ValueError, "no image with a usable object; .*: missing; "),
        ("names: [red]\ntrain: gone\n", "train", ValueError, "no image with a usable object; .*gone: missing; "),
    ),
)
def test_an_unusable_data_set(yolo, text, split, error, message):
    (yolo / "data.yaml").write_text(text)
    with pytest.raises(error, match=message) as caught:
        read_yolo(yolo, split)
    assert str(yolo) in str(caught.value) and "\n" not in str(caught.value)


def test_labels_wherever_they_lie(yolo):
    """In Labels, as .TXT, beside the images, and below a folder that is called images as well."""
    expected = read(yolo, "train")
    (yolo / "labels").rename(yolo / "Labels")
    (yolo / "Labels/train/train0.txt").rename(yolo / "Labels/train/train0.TXT")
    (yolo / "Labels/train/train1.txt").rename(yolo / "images/train/train1.txt")
    (yolo.parent / "images").mkdir()
    moved = yolo.rename(yolo.parent / "images/set")
    data = read(moved, "train")
    assert not data.problems
    for a, b in zip(data.examples, expected.examples, strict=True):
        np.testing.assert_array_equal(a.boxes, b.boxes)


def test_labels_without_an_image_and_images_of_unknown_kinds(yolo):
    (yolo / "images/train/train0.png").rename(yolo / "images/train/train0.heic")
    data = read(yolo, "train")
    assert len(data.examples) == 2
    assert data.problems == [
        f"{yolo}/images/train/train0.heic: an image of a kind that can't be read (.heic); save it as JPEG or PNG",
        f"{yolo}/labels/train/train0.txt: an annotation without an image, left out",
    ]


def test_names_that_differ_from_their_number(yolo):
    (yolo / "data.yaml").write_text(YAML.replace("[red, green, blue]", "[no, yes, no]") + "nc: 2\n")
    data = read(yolo, "train")
    assert data.class_names == ("no", "yes") and set(data.examples[0].labels) == {0, 1}
    assert data.problems == [
        f"{yolo}/data.yaml: says nc: 2, but has 3 names, which are used",
        f"{yolo}/data.yaml: classes 0 and 2 are both called 'no', read as one",
    ]
