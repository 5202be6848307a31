"""The VGG Image Annotator's files: what it writes, every shape and attribute, and every way in which one is bad."""

import csv
import io
import json

import numpy as np
import pytest
from exports import EXPORTS, TRUTH, check, check_export, check_recognition, exports_of

from cspkeras.training import DetectionData
from cspkeras.training.data.files.folder import Folder
from cspkeras.training.data.readers.via import FORMAT

FILE, LAST = "train/via_region_data.json", "frame_000002.jpg"


def test_no_other_data_set_is_taken_for_it(tmp_path):
    found = check_recognition(FORMAT, tmp_path)
    assert FORMAT.matches(found["via-json"][0] / FILE, None)
    assert not FORMAT.matches(found["via-json"][0] / f"train/{LAST}", None)


@pytest.mark.parametrize("name", exports_of(FORMAT))
def test_what_the_tool_writes(name, tmp_path):
    check_export(FORMAT, name, tmp_path)


@pytest.fixture
def folder(tmp_path):
    EXPORTS["via-json"](tmp_path)
    return tmp_path


def read(folder, class_names=None):
    return FORMAT.read(Folder(folder), "train", class_names)


def change(folder, edit):
    stored = json.loads((folder / FILE).read_text())
    result = edit(stored)
    (folder / FILE).write_bytes(result if isinstance(result, bytes) else json.dumps(result or stored).encode())


def of_region(**changes):
    """A change of the first region of the last image."""

    def edit(stored):
        region = stored[f"{LAST}1234"]["regions"][0]
        region["shape_attributes"].update(changes.get("shape", {}))
        region["region_attributes"].update(changes.get("attributes", {}))

    return edit


def instead(**shape):
    return lambda stored: stored[f"{LAST}1234"]["regions"][0].update(shape_attributes=shape)


def renamed(values):
    """A change of all attributes: `values` is a function of a class."""

    def edit(stored):
        for entry in stored.values():
            for region in entry["regions"]:
                region["region_attributes"] = values(region["region_attributes"]["class"])

    return edit


def version_1(stored):
    for entry in stored.values():
        entry["regions"] = {str(i): region for i, region in enumerate(entry["regions"])}
        entry |= {"fileref": "", "base64_img_data": ""}


def test_a_file_on_its_own_and_images_elsewhere(folder, tmp_path):
    check(FORMAT.read(folder / FILE, None), "train")
    (folder / "train").rename(folder / "elsewhere")
    (folder / "elsewhere/via_region_data.json").rename(folder / "regions.json")
    check(FORMAT.read(folder / "regions.json", None, None, folder / "elsewhere"), "train")
    with pytest.raises(ValueError, match="frame_000000.jpg: missing, image left out"):
        FORMAT.read(folder / "regions.json", None)


ACCEPTED = {
    "version 1": version_1,
    "numbers as text": of_region(shape={"x": "8", "y": "16", "width": "32.0", "height": "30"}),
    "a byte order mark": lambda stored: b"\xef\xbb\xbf" + json.dumps(stored).encode(),
    "a polygon": instead(name="polygon", all_points_x=[8, 40, "20"], all_points_y=[20, 16, "46"]),
    "a polyline": instead(name="polyline", all_points_x=[8, 40], all_points_y=[46, 16]),
    "an ellipse": instead(name="ellipse", cx=24, cy=31, rx=16, ry=15),
    "a turned ellipse": instead(name="ellipse", cx=24, cy=31, rx=15, ry=16, theta=np.pi / 2),
    "another name of the class": renamed(lambda label: {"Type": label, "colour": "red"}),
    "one attribute of any name": renamed(lambda label: {"Tier": label}),
    "check boxes": renamed(lambda label: {"class": {"fox": False, label: True}, "tame": "yes"}),
    "a name of another system": lambda stored: stored[f"{LAST}1234"].update(filename=f"C:\\images\\{LAST.upper()}"),
    "another suffix": lambda stored: stored[f"{LAST}1234"].update(filename="frame_000002.png"),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_all_that_is_accepted(folder, case):
    change(folder, ACCEPTED[case])
    check(read(folder), "train")


def test_a_circle(folder):
    change(folder, instead(name="circle", cx=20, cy=20, r=5))
    np.testing.assert_array_equal(read(folder).examples[2].boxes[0], [15, 15, 25, 25])


def test_without_attributes_all_are_objects(folder):
    change(folder, renamed(lambda label: {}))
    data = read(folder)
    assert data.class_names == ("object",) and sum(len(example.boxes) for example in data.examples) == 5
    assert data.problems == [
        f"{folder / FILE}: no region has an attribute that could be its class, all are read as 'object'"
    ]


def test_several_attributes_of_which_none_is_called_so(folder):
    change(folder, renamed(lambda label: {"colour": "red", "breed": label}))
    with pytest.raises(ValueError, match="which attribute is the class. Call one 'class'; there are colour, breed"):
        read(folder)


LEFT_OUT = {  # the change, the line of `problems`, how many objects stay of 5
    "a point": (instead(name="point", cx=5, cy=5), f"regions[0] of {LAST}: a point has no area, left out", 4),
    "an unknown shape": (instead(name="cloud"), "an object 'dog' without four finite numbers for its box", 4),
    "no name of the shape": (instead(x=1, y=2, width=3, height=4), "'dog' without four finite numbers", 4),
    "no shape": (instead(), "an object 'dog' without four finite numbers", 4),
    "no width": (instead(name="rect", x=1, y=2, height=4), "'dog' without four finite numbers", 4),
    "NaN": (of_region(shape={"x": float("nan")}), "'dog' without four finite numbers", 4),
    "NaN in a polygon": (
        instead(name="polygon", all_points_x=[1, float("nan"), 9], all_points_y=[1, 5, 9]),
        "'dog' without four finite numbers",
        4,
    ),
    "empty polygon": (instead(name="polygon", all_points_x=[], all_points_y=[]), "without four finite numbers", 4),
    "huge": (of_region(shape={"x": 10**400}), "'dog' without four finite numbers", 4),
    "negative width": (of_region(shape={"width": -5}), "of 'dog' has no area within 64x48, left out", 4),
    "over the edge": (of_region(shape={"width": 500}), "of 'dog' reaches outside 64x48, cut there", 5),
    "no class": (of_region(attributes={"class": ""}), f"regions[0] of {LAST}: an object without a name, left out", 4),
    "class null": (of_region(attributes={"class": None}), "an object without a name, left out", 4),
    "no box checked": (of_region(attributes={"class": {"dog": False}}), "an object without a name, left out", 4),
    "two boxes checked": (
        of_region(attributes={"class": {"dog": True, "wolf": True}}),
        "has several classes (dog, wolf), read as the first",
        5,
    ),
    "region a text": (
        lambda stored: stored[f"{LAST}1234"]["regions"].append("dog"),
        "regions[2]: has no shape_attributes and region_attributes, left out",
        5,
    ),
    "attributes a list": (
        lambda stored: stored[f"{LAST}1234"]["regions"][0].update(region_attributes=[]),
        "regions[0]: has no shape_attributes and region_attributes, left out",
        4,
    ),
    "regions a text": (lambda stored: stored[f"{LAST}1234"].update(regions="x"), "is not an image with a filename", 3),
    "no filename": (lambda stored: stored[f"{LAST}1234"].pop("filename")[:0], "is not an image with a filename", 3),
    "entry null": (lambda stored: stored.update(x=None), '["x"]: is not an image with a filename and regions', 5),
    "no such image": (lambda stored: stored[f"{LAST}1234"].update(filename="a.jpg"), "a.jpg: missing, image left", 3),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_is_left_out_is_reported(folder, case):
    edit, expected, objects = LEFT_OUT[case]
    change(folder, edit)
    data = read(folder)
    (line,) = data.problems
    assert line.startswith(str(folder)) and expected in line and "\n" not in line
    assert sum(len(example.boxes) for example in data.examples) == objects


@pytest.mark.parametrize(
    "content, message",
    (
        (b'{"_via_settings": {', "not valid JSON"),
        (b'{"_via_img_metadata": []}', "no file of the VGG Image Annotator; expected an object with an entry for each"),
        (b'{"_via_settings": {}}', "no image with a usable object; .* first of 1 problems: .* is not an image with"),
    ),
)
def test_unusable_files(folder, content, message):
    (folder / FILE).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read(folder)
    assert str(caught.value).startswith(str(folder / FILE)) and "\n" not in str(caught.value)


def test_two_files_of_the_same_images(folder):
    (folder / "train/project.json").write_bytes((folder / FILE).read_bytes())
    with pytest.raises(ValueError, match="is another file of the same data; give the path of the one to read"):
        read(folder)


RECT = '{"name":"rect","x":8,"y":16,"width":32,"height":30}'
ROWS = {  # a line of a CSV export -> the line of `problems`
    "shape no JSON": (["frame_000000.jpg", 1, "{}", 1, 0, "{", "{}"], "has no filename and two JSON texts"),
    "shape a list": (["frame_000000.jpg", 1, "{}", 1, 0, "[]", "{}"], "has no filename and two JSON texts"),
    "shape nested": (["frame_000000.jpg", 1, "{}", 1, 0, "[" * 100_000, "{}"], "has no filename and two JSON texts"),
    "too short": (["frame_000000.jpg", 1, "{}"], "has no filename and two JSON texts"),
    "too long": (["frame_000000.jpg", 1, "{}", 1, 0, "x" * 200_000, "{}"], "not valid CSV (field larger than"),
    "no filename": (["", 1, "{}", 1, 0, RECT, '{"class":"dog"}'], "names no image, left out"),
    "no class": (["frame_000000.jpg", 1, "{}", 1, 0, RECT, "{}"], "of frame_000000.jpg: an object without a name"),
    "no image": (["\0.jpg", 1, "{}", 1, 0, RECT, '{"class":"dog"}'], ".jpg: missing, image left out"),
}


@pytest.mark.parametrize("case", ROWS)
def test_lines_of_a_table_that_are_left_out(tmp_path, case):
    row, expected = ROWS[case]
    EXPORTS["via-csv"](tmp_path)
    line = io.StringIO()
    csv.writer(line).writerow(row)
    with open(tmp_path / "via_export_csv.csv", "a", newline="") as file:
        file.write(line.getvalue())
    data = FORMAT.read(Folder(tmp_path), None)
    (problem,) = data.problems
    assert expected in problem and (case == "no image" or problem.startswith(f"{tmp_path}/via_export_csv.csv:10"))
    data.problems.clear()
    check(data)


def test_a_table_of_version_1_and_images_without_regions(tmp_path):
    EXPORTS["via-csv"](tmp_path)
    path = tmp_path / "via_export_csv.csv"
    (tmp_path / "empty.jpg").write_bytes((tmp_path / LAST).read_bytes())
    text = f"\ufeff#{path.read_text()}empty.jpg,1,{{}},0,0,{{}},{{}}\n\n"
    path.write_bytes(text.replace("\r\n", "\n").replace("\n", "\r\n").encode())
    data = FORMAT.read(Folder(tmp_path), None)
    assert data.examples[-1].image.name == "empty.jpg" and not len(data.examples[-1].boxes)
    check(DetectionData(data.examples[:-1], data.class_names, data.problems))
    assert TRUTH["train"].keys() < {example.image.stem for example in data.examples}
