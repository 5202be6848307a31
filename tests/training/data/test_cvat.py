"""CVAT's XML files: what it exports, every shape, and every way in which one is bad."""

import re

import numpy as np
import pytest
from exports import ALL, EXPORTS, check, check_recognition, exports_of

from cspkeras.training.data.files.folder import Folder
from cspkeras.training.data.readers.cvat import FORMAT

DOG = re.compile(r'<box label="dog" source="manual" occluded="0" xtl="8.00".*?</box>', re.S)


def test_no_other_data_set_is_taken_for_it(tmp_path):
    found = check_recognition(FORMAT, tmp_path)
    assert FORMAT.matches(found["cvat-images"][0] / "annotations.xml", None)
    assert not FORMAT.matches(found["voc-labelimg"][0] / "frame_000000.xml", None)


@pytest.mark.parametrize("name", exports_of(FORMAT))
def test_what_the_tool_exports(name, tmp_path):
    splits, source = EXPORTS[name](tmp_path), Folder(tmp_path)
    assert sorted(FORMAT.splits(source)) == splits
    for split in splits or [None]:
        data = FORMAT.read(source, split)
        check(data, split)
        assert data.class_names == ("owl", "dog", "cat")  # as the file lists them
        assert FORMAT.read(source, split, ("cat", "owl", "dog")).class_names == ("cat", "owl", "dog")


@pytest.fixture
def folder(tmp_path):
    EXPORTS["cvat-images"](tmp_path)
    return tmp_path


def read(folder):
    return FORMAT.read(Folder(folder), None)


def edit(folder, pattern, replacement, count=1, flags=0):
    path = folder / "annotations.xml"
    text, found = re.subn(pattern, replacement, path.read_text(), count=count, flags=flags)
    assert found
    path.write_text(text)


def shape(folder, text):
    """Put another shape, or several, in the place of a dog's box: 8, 16, 40, 46."""
    edit(folder, DOG, text)


def test_a_file_on_its_own(folder):
    check(FORMAT.read(folder / "annotations.xml", None))
    for image in (folder / "images").iterdir():
        image.rename(folder / image.name.upper())
    check(FORMAT.read(folder / "annotations.xml", None))
    (folder / "annotations.xml").rename(folder / "images/some.xml")
    check(FORMAT.read(folder / "images/some.xml", None, None, folder))


def test_subsets(tmp_path):
    EXPORTS["cvat-project"](tmp_path)
    edit(tmp_path, 'subset="Validation"', 'subset="default"', count=0)
    source = Folder(tmp_path)
    assert FORMAT.splits(source) == ["train", "default"]
    check(FORMAT.read(source, "train"), "train")
    check(FORMAT.read(source, "default"), "valid")
    with pytest.raises(FileNotFoundError, match="has no split 'test'; there are train, default"):
        FORMAT.read(source, "test")
    edit(tmp_path, 'subset="[^"]*"', 'subset="default"', count=0)
    assert not FORMAT.splits(source)
    check(FORMAT.read(source, None))


def test_images_of_two_subsets_with_one_name(tmp_path):
    EXPORTS["cvat-project"](tmp_path)
    (tmp_path / "images/Validation/frame_000004.jpg").rename(tmp_path / "images/Validation/frame_000000.jpg")
    edit(tmp_path, "frame_000004", "frame_000000")
    data = FORMAT.read(Folder(tmp_path), "validation")
    assert [example.image.parent.name for example in data.examples] == ["Validation"] * 2 and not data.problems


SHAPES = {
    "polygon": '<polygon label="dog" points="8.0,20.0;20,16;40,30;30,46.00" z_order="0"></polygon>',
    "polyline": '<polyline label="dog" points="8,46;40,16"></polyline>',
    "ellipse": '<ellipse label="dog" cx="24" cy="31" rx="16" ry="15"/>',
    "turned ellipse": '<ellipse label="dog" cx="24" cy="31" rx="15" ry="16" rotation="90.0"/>',
    "turned box": '<box label="dog" xtl="9" ytl="15" xbr="39" ybr="47" rotation="90"/>',
    "mask": '<mask label="dog" rle="1, 2" left="8" top="16" width="32" height="30"/>',
    "numbers with blanks": '<box label=" dog " xtl=" 8" ytl="16 " xbr="40" ybr="46"/>',
}


@pytest.mark.parametrize("case", SHAPES)
def test_shapes(folder, case):
    shape(folder, SHAPES[case])
    check(read(folder))


def test_a_box_turned_by_less(folder):
    shape(folder, '<box label="dog" xtl="20" ytl="20" xbr="30" ybr="30" rotation="45"/>')
    (example,) = (example for example in read(folder).examples if example.image.stem == "frame_000002")
    half = 5 * 2**0.5
    np.testing.assert_allclose(example.boxes[0], [25 - half, 25 - half, 25 + half, 25 + half], rtol=1e-6)


def test_what_has_no_box_is_counted(folder):
    shape(
        folder,
        '<points label="dog" points="1,2"/><points label="dog" points="1,2"/><tag label="dog"/>'
        '<cuboid label="dog" xtl1="1"/><skeleton label="dog"><points label="x" points="1,2"/></skeleton>',
    )
    data = read(folder)
    expected = "shapes that have no box, left out: 1 cuboid, 2 points, 1 skeleton, 1 tag"
    assert data.problems == [f"{folder}/annotations.xml: {expected}"]
    assert sum(len(example.boxes) for example in data.examples) == 7


IMAGE = "frame_000002.jpg"
LEFT_OUT = {
    "no label": ('<box xtl="1" ytl="2" xbr="3" ybr="4"/>', f"image[4].box[0] of {IMAGE}: an object without a name"),
    "no number": ('<box label="dog" xtl="1" ytl="2" xbr="3"/>', "an object 'dog' without four finite numbers"),
    "a text": ('<box label="dog" xtl="1" ytl="2" xbr="3" ybr="low"/>', "an object 'dog' without four finite"),
    "NaN": ('<box label="dog" xtl="1" ytl="2" xbr="3" ybr="nan"/>', "an object 'dog' without four finite"),
    "rotation a text": ('<box label="dog" xtl="1" ytl="2" xbr="3" ybr="4" rotation="x"/>', "without four finite"),
    "rotation infinite": ('<box label="dog" xtl="1" ytl="2" xbr="3" ybr="4" rotation="inf"/>', "without four finite"),
    "no points": ('<polygon label="dog"/>', "an object 'dog' without four finite numbers"),
    "odd points": ('<polygon label="dog" points="1,2;3"/>', "an object 'dog' without four finite numbers"),
    "NaN in points": ('<polygon label="dog" points="1,2;nan,3;5,6"/>', "an object 'dog' without four finite numbers"),
    "unknown shape": ('<cloud label="dog"/>', f"image[4].cloud[0] of {IMAGE}: an object 'dog' without four finite"),
    "corners swapped": ('<box label="dog" xtl="9" ytl="9" xbr="3" ybr="4"/>', "of 'dog' has no area within 64x48"),
    "over the edge": ('<box label="dog" xtl="9" ytl="9" xbr="99" ybr="40"/>', "of 'dog' reaches outside 64x48, cut"),
    "unknown class": ('<box label="fox" xtl="1" ytl="2" xbr="3" ybr="4"/>', "unknown class 'fox', left out; known are"),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_is_left_out_is_reported(folder, case):
    text, expected = LEFT_OUT[case]
    shape(folder, text)
    data = read(folder)
    (line,) = data.problems
    assert line.startswith(f"{folder}/annotations.xml: image[4].") and expected in line and "\n" not in line
    assert sum(len(example.boxes) for example in data.examples) == (8 if case == "over the edge" else 7)


@pytest.mark.parametrize(
    "pattern, replacement, expected",
    (
        ('name="frame_000002.jpg" ', "", "image[4]: an image without a name, left out"),
        ('name="frame_000002.jpg"', 'name="a.jpg"', "a.jpg: missing, image left out"),
        ('frame_000002.jpg" width="64"', 'frame_000002.jpg" width="640"', "says 640x48, but frame_000002.jpg is 64x48"),
    ),
)
def test_images_that_are_left_out(folder, pattern, replacement, expected):
    edit(folder, pattern, replacement)
    data = read(folder)
    (line,) = data.problems
    assert expected in line and str(folder) in line and len(data.examples) == len(ALL) - 1


def test_sizes_that_are_not_known_and_names_without_a_suffix(folder):
    edit(folder, 'width="64" height="48"', 'width="" height="0"', count=0)
    edit(folder, r"(frame_\d+)\.jpg", r"\1", count=0)
    check(read(folder))


def test_classes_without_a_list_and_of_other_shapes(folder):
    edit(folder, "(?<=<type>)any(?=</type></label></labels>)", "skeleton")
    data = read(folder)
    assert data.class_names == ("owl", "dog")
    edit(folder, "<labels>.*?</labels>", "")
    assert read(folder).class_names == ("cat", "dog", "owl")


@pytest.fixture
def video(tmp_path):
    EXPORTS["cvat-video"](tmp_path)
    return tmp_path


def test_frames_of_a_video(video):
    for image in (video / "images").iterdir():
        image.rename(image.with_name(image.name.lower().replace(".png", ".bmp")))
    check(FORMAT.read(video / "annotations.xml", None))
    (video / "images/frame_000005.bmp").write_bytes((video / "images/frame_000004.bmp").read_bytes())
    data = read(video)
    assert [len(example.boxes) for example in data.examples] == [2, 1, 2, 2, 1, 0]
    (video / "images/frame_000004.bmp").unlink()
    (line,) = read(video).problems
    assert line.endswith("frame_000004: missing, image left out")


@pytest.mark.parametrize(
    "frame, expected",
    (("", "a shape without a frame"), ("-1", "a shape without a frame"), ("9" * 9, "999999999: missing, image left")),
)
def test_frames_that_are_none(video, frame, expected):
    edit(video, 'frame="1"', f'frame="{frame}"', count=0)
    found = read(video).problems
    assert all(expected in line and str(video) in line for line in found) and found


BAD = {
    "empty": (b"", None),
    "broken off": (b"<annotations><version>1.1", "not valid XML"),
    "unknown encoding": (b'<?xml version="1.0" encoding="klingon"?><annotations><meta/>', "not valid XML"),
    "nothing in it": (b"<annotations><meta/></annotations>", "no image with a usable object; found no image"),
    "VOC's": (b"<annotation><object/></annotation>", None),
}


@pytest.mark.parametrize("case", BAD)
def test_unusable_files(folder, case):
    content, message = BAD[case]
    path = folder / "annotations.xml"
    path.write_bytes(content)
    assert FORMAT.matches(Folder(folder), None) == bool(message) and not FORMAT.splits(Folder(folder))
    with pytest.raises((OSError, ValueError), match=message or "has no files of this format") as caught:
        read(folder)
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
