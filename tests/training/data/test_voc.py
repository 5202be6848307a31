"""Pascal VOC folders, good ones and every way in which one is bad."""

import numpy as np
import pytest
from PIL import Image
from small_data import ANNOTATION, COLORS, OBJECT

from cspkeras.training import read_voc
from cspkeras.training.data.images import ORIENTATION

SPLITS = {"train": (205, ["BloodImage_00343"]), "val": (87, ["BloodImage_00338"]), "test": (72, [])}


@pytest.mark.parametrize("split", SPLITS)
def test_the_blood_cell_data_set(test_data, split):
    data = read_voc(test_data / "data/bccd", split)
    images, without_area = SPLITS[split]
    assert len(data.examples) == images
    assert data.class_names == ("Platelets", "RBC", "WBC")
    for example in data.examples:
        (width, height), boxes = example.size, example.boxes
        assert boxes.dtype == np.float32 and boxes.shape == (len(example.labels), 4)
        assert (boxes >= 0).all() and (boxes <= [width, height] * 2).all() and (boxes[:, 2:] > boxes[:, :2]).all()
        assert set(example.labels) <= {0, 1, 2}
    assert len(data.problems) == len(without_area)
    for line, name in zip(data.problems, without_area, strict=True):
        assert f"{name}.xml: box [" in line and "of 'RBC' has no area within 640x480, left out" in line


def test_a_clean_folder(make_voc):
    data = read_voc(make_voc(train=3), "train")
    assert data.class_names == tuple(COLORS) and not data.problems
    assert [example.image.name for example in data.examples] == ["train0.png", "train1.png", "train2.png"]
    for example in data.examples:
        pixels = example.pixels()
        assert pixels.dtype == np.uint8 and pixels.shape == (48, 64, 3) and example.size == (64, 48)
        for (x1, y1, x2, y2), label in zip(example.boxes.astype(int), example.labels, strict=True):
            assert (pixels[y1:y2, x1:x2] == COLORS[data.class_names[label]]).all()


def image(content):
    return lambda folder: (folder / "JPEGImages/train1.png").write_bytes(content)


def annotation(text):
    return lambda folder: (folder / "Annotations/train1.xml").write_bytes(
        text if isinstance(text, bytes) else text.encode()
    )


def turned(folder):
    tag = Image.Exif()
    tag[ORIENTATION] = 6
    Image.new("RGB", (64, 48)).save(folder / "JPEGImages/train1.png", exif=tag)


LEFT_OUT = {
    "missing image": (
        lambda folder: (folder / "JPEGImages/train1.png").unlink(),
        "JPEGImages/train1.jpg: missing, image left out",
    ),
    "no image": (image(b"nonsense"), "JPEGImages/train1.png: not a readable image"),
    "empty image": (image(b""), "JPEGImages/train1.png: not a readable image"),
    "header broken off": (image(b"\x89PNG\r\n\x1a\n\0\0"), "JPEGImages/train1.png: not a readable image"),
    "size that an EXIF orientation turns": (turned, "train1.xml: says 64x48, but train1.png is 48x64 (upright)"),
    "missing annotation": (
        lambda folder: (folder / "Annotations/train1.xml").unlink(),
        "Annotations/train1.xml: missing, image left out",
    ),
    "empty annotation": (annotation(""), "train1.xml: not valid XML (no element found"),
    "annotation broken off": (annotation("<annotation><size>"), "train1.xml: not valid XML"),
    "annotation no text": (annotation(b"\xff\xfe\0\0"), "train1.xml: not valid XML"),
    "unknown encoding": (
        annotation('<?xml version="1.0" encoding="klingon"?><a/>'),
        "train1.xml: not valid XML (unknown",
    ),
    "no size": (annotation("<annotation/>"), "train1.xml: no <size> with a width and a height"),
    "size without height": (annotation("<a><size><width>64</width></size></a>"), "train1.xml: no <size> with"),
    "size no number": (annotation(ANNOTATION.format("wide", 48, "")), "train1.xml: no <size> with"),
    "contradicting size": (annotation(ANNOTATION.format(640, 480, "")), "says 640x480, but train1.png is 64x48"),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_an_image_is_left_out_and_reported(make_voc, case):
    spoil, expected = LEFT_OUT[case]
    folder = make_voc(train=3)
    spoil(folder)
    data = read_voc(folder, "train")
    assert [example.image.name for example in data.examples] == ["train0.png", "train2.png"]
    (problem,) = data.problems
    assert str(folder) in problem and expected in problem and "left out" in problem and "\n" not in problem


WITHIN = "of 'red' has no area within 64x48, left out"
OBJECTS = {
    "outside": (OBJECT.format("red", 70, 10, 80, 20), WITHIN),
    "above and left": (OBJECT.format("red", -20, -20, 0, 0), WITHIN),
    "no width": (OBJECT.format("red", 10, 10, 10, 20), WITHIN),
    "corners swapped": (OBJECT.format("red", 20, 20, 10, 10), WITHIN),
    "NaN": (OBJECT.format("red", "nan", 10, 20, 20), "an object 'red' without four finite numbers"),
    "infinite": (OBJECT.format("red", 0, 0, "inf", 20), "an object 'red' without four finite numbers"),
    "no number": (OBJECT.format("red", "left", 10, 20, 20), "an object 'red' without four finite numbers"),
    "no bounds": ("<object><name>red</name></object>", "an object 'red' without four finite numbers"),
    "no name": (OBJECT.format("", 10, 10, 20, 20), "an object without a name, left out"),
    "unknown class": (
        OBJECT.format("mauve", 10, 10, 20, 20),
        "unknown class 'mauve', left out; known are blue, green, red",
    ),
}


@pytest.mark.parametrize("case", OBJECTS)
def test_an_object_is_left_out_and_reported(make_voc, case):
    bad, expected = OBJECTS[case]
    folder = make_voc(train=2)
    annotation(ANNOTATION.format(64, 48, bad + OBJECT.format("green", 5, 6, 20, 30)))(folder)
    data = read_voc(folder, "train", tuple(COLORS))
    assert len(data.examples) == 2
    np.testing.assert_array_equal(data.examples[1].boxes, [[5, 6, 20, 30]])
    np.testing.assert_array_equal(data.examples[1].labels, [1])
    (problem,) = data.problems
    assert f"{folder}/Annotations/train1.xml: " in problem and expected in problem


def test_an_unknown_class_is_one_line_however_often_it_occurs(make_voc):
    folder = make_voc(train=3)
    data = read_voc(folder, "train", ("red", "mauve"))
    assert [example.labels.tolist() for example in data.examples] == [[0]] * 3
    assert data.problems == [
        f"{folder}/Annotations/train0.xml: unknown class {name!r}, left out (3 objects, the first here); "
        "known are red, mauve"
        for name in ("blue", "green")
    ]


def test_a_box_that_reaches_outside_is_cut_and_reported(make_voc):
    folder = make_voc(train=2)
    annotation(ANNOTATION.format(64, 48, OBJECT.format("red", -5, 10, 70.5, 20)))(folder)
    data = read_voc(folder, "train")
    np.testing.assert_array_equal(data.examples[1].boxes, [[0, 10, 64, 20]])
    (problem,) = data.problems
    assert "box [-5.0, 10.0, 70.5, 20.0] of 'red' reaches outside 64x48, cut there" in problem


def test_an_image_without_objects_stays(make_voc):
    folder = make_voc(train=2)
    annotation(ANNOTATION.format(64, 48, ""))(folder)
    data = read_voc(folder, "train")
    assert data.examples[1].boxes.shape == (0, 4) and data.examples[1].labels.shape == (0,) and not data.problems


def test_a_class_name_is_one_line(make_voc):
    folder = make_voc(train=2)
    annotation(ANNOTATION.format(64, 48, OBJECT.format("\n dark\n red ", 5, 6, 20, 30)))(folder)
    assert read_voc(folder, "train").class_names == ("blue", "dark red", "green", "red")


def test_the_file_name_in_an_annotation_counts_where_there_is_no_image_of_its_own_name(make_voc):
    folder = make_voc(train=2)
    text = (folder / "Annotations/train1.xml").read_text()
    annotation(text.replace("<size>", "<filename>train0.png</filename><size>"))(folder)
    assert read_voc(folder, "train").examples[1].image.name == "train1.png"
    (folder / "JPEGImages/train1.png").unlink()
    assert read_voc(folder, "train").examples[1].image.name == "train0.png"


@pytest.mark.parametrize(
    "split, listing, error, message",
    (
        (
            "test",
            None,
            FileNotFoundError,
            "ImageSets/Main/test.txt: missing; a Pascal VOC folder lists its test images",
        ),
        ("train", b"", ValueError, "ImageSets/Main/train.txt: no image with a usable object"),
        ("train", b"ghost\n", ValueError, "the first of 1 problems: .*Annotations/ghost.xml: missing"),
        ("train", b"\xff\xfe\n", ValueError, "no image with a usable object; the first of 1 problems: "),
    ),
)
def test_an_unusable_folder(make_voc, split, listing, error, message):
    folder = make_voc(train=1)
    if listing is not None:
        (folder / f"ImageSets/Main/{split}.txt").write_bytes(listing)
    with pytest.raises(error, match=message) as caught:
        read_voc(folder, split)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


def test_no_object_of_the_wanted_classes(make_voc):
    with pytest.raises(ValueError, match=r"train.txt: none of its classes \(blue, green, red\) is among mauve"):
        read_voc(make_voc(train=1), "train", ("mauve",))


def test_an_image_that_breaks_off_after_its_header_shows_when_its_pixels_are_needed(make_voc):
    folder = make_voc(train=1)
    path = folder / "JPEGImages/train0.jpg"
    Image.effect_noise((64, 48), 100).save(path)
    path.write_bytes(path.read_bytes()[:-500])
    (example,) = read_voc(folder, "train").examples
    assert example.image == path
    with pytest.raises(OSError, match="train0.jpg: not a readable image"):
        example.pixels()


def test_names_sizes_and_suffixes_as_people_have_them(make_voc):
    voc = make_voc(train=3)
    expected = read_voc(voc, "train")
    names = {"train0": "my photo (1)", "train1": "odd", "train2": "v1.2"}
    for old, new in names.items():
        (voc / f"JPEGImages/{old}.png").rename(voc / f"JPEGImages/{new}.PNG")
        (voc / f"Annotations/{old}.xml").rename(voc / f"Annotations/{new}.xml")
    text = (voc / "Annotations/odd.xml").read_text()
    (voc / "Annotations/odd.xml").write_text(text.replace("<width>64", "<width>0").replace("<height>48", "<height>0"))
    (voc / "ImageSets/Main/train.txt").write_bytes("\ufeffmy photo (1)\r\nodd  1\r\nv1.2 -1\r\n\r\n".encode())
    data = read_voc(voc, "train")
    assert not data.problems and [example.image.stem for example in data.examples] == list(names.values())
    for a, b in zip(data.examples, expected.examples, strict=True):
        assert a.size == (64, 48)
        np.testing.assert_array_equal(a.boxes, b.boxes)
