"""CSV tables: what the tools write, every delimiter and name of a column, and every way in which a line is bad."""

import csv

import numpy as np
import pytest
from exports import ALL, EXPORTS, TRUTH, check, check_export, check_recognition, exports_of

from cspkeras.training import DetectionData
from cspkeras.training.data.files.folder import Folder
from cspkeras.training.data.readers.csv_table import FORMAT

HEADER = ["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"]


def test_no_other_data_set_is_taken_for_it(tmp_path):
    found = check_recognition(FORMAT, tmp_path)
    assert FORMAT.matches(found["csv-retinanet"][0] / "train.csv", None)
    assert not FORMAT.matches(found["csv-retinanet"][0] / "classes.csv", None)
    assert not FORMAT.matches(tmp_path / "none.csv", None)


@pytest.mark.parametrize("name", exports_of(FORMAT))
def test_what_the_tools_write(name, tmp_path):
    check_export(FORMAT, name, tmp_path)


@pytest.fixture
def folder(tmp_path):
    """Images in a folder, without a table."""
    EXPORTS["yolo-labelstudio"](tmp_path)
    return tmp_path


def rows(header=HEADER):
    """The truth with columns in this order."""
    found = []
    for name, objects in ALL.items():
        for label, (x1, y1, x2, y2) in objects:
            values = dict(filename=f"{name}.jpg", width=64, height=48, xmin=x1, ymin=y1, xmax=x2, ymax=y2)
            found.append([str((values | {"class": label}).get(key, "")) for key in header])
    return found


def read(folder, table, delimiter=",", encoding="utf-8", end="\r\n"):
    """Read a table of rows or as a text."""
    path = folder / "table.csv"
    if isinstance(table, str):
        path.write_text(table, encoding, newline="")
    else:
        with open(path, "w", encoding=encoding, newline="") as file:
            csv.writer(file, delimiter=delimiter, lineterminator=end).writerows(table)
    return FORMAT.read(Folder(folder), None)


ORDER = ["class", "ymax", "xmin", "filename", "xmax", "note", "ymin"]
ACCEPTED = {  # header, rows, arguments
    "another order, no size": (ORDER, rows(ORDER), {}),
    "capitals and blanks": (["Filename", "WIDTH", " Height", "Class", "XMin ", "Y Min", "x_max", "Y-Max"], rows(), {}),
    "VoTT": (["image", "width", "height", "label", "xmin", "ymin", "xmax", "ymax"], rows(), {}),
    "x1 to y2": (["image_path", "width", "height", "class_name", "x1", "y1", "x2", "y2"], rows(), {}),
    "semicolons": (HEADER, rows(), {"delimiter": ";"}),
    "tabulators": (HEADER, rows(), {"delimiter": "\t"}),
    "an index without a name": (["", *HEADER], [[str(i), *row] for i, row in enumerate(rows())], {"delimiter": "\t"}),
    "a byte order mark": (HEADER, rows(), {"encoding": "utf-8-sig"}),
    "UTF-16": (HEADER, rows(), {"encoding": "utf-16"}),
    "line ends of UNIX": (HEADER, rows(), {"end": "\n"}),
    "line ends of old Macs": (HEADER, rows(), {"end": "\r"}),
    "empty lines": (HEADER, [[], *rows(), [], ["", ""]], {}),
    "blanks and fractions": (HEADER, [[f" {field} " for field in row[:-1]] + [f"{row[-1]}.0"] for row in rows()], {}),
    "no known size": (HEADER, [[row[0], "", "0", *row[3:]] for row in rows()], {}),
    "paths of another system": (HEADER, [[f"D:\\x\\{row[0].upper()}", *row[1:]] for row in rows()], {}),
    "another suffix": (HEADER, [[row[0].replace("jpg", "png"), *row[1:]] for row in rows()], {}),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_all_that_is_accepted(folder, case):
    header, table, arguments = ACCEPTED[case]
    check(read(folder, [header, *table], **arguments))


def test_names_with_delimiters_and_odd_letters(folder):
    table = [HEADER, *rows()]
    for i, name in enumerate(('a "b", c;.jpg', "Ωμέγα.jpg", "a\nb.jpg")):
        (folder / "images" / name).write_bytes((folder / "images/frame_000000.jpg").read_bytes())
        table.append([name, 64, 48, f"class, {i}", 1, 2, 3, 4])
    data = read(folder, table)
    assert not data.problems and len(data.examples) == 8
    assert data.class_names == ("cat", "class, 0", "class, 1", "class, 2", "dog", "owl")


def test_parts_of_the_image_are_noticed(folder):
    table = [[*row[:4], *np.divide([float(field) for field in row[4:]], (64, 48, 64, 48)).tolist()] for row in rows()]
    data = read(folder, [HEADER, *table])
    (line,) = data.problems
    assert line == f"{folder}/table.csv: no number of a box is above 1, read as parts of the image"
    data.problems.clear()
    check(data)


def test_images_without_objects(folder):
    (folder / "images/empty.jpg").write_bytes((folder / "images/frame_000000.jpg").read_bytes())
    for header, empty in ((HEADER, ["empty.jpg", *[""] * 7]), (None, ["images/empty.jpg", *[""] * 5])):
        table = [header, *rows()] if header else [[row[0], *row[4:], row[3]] for row in rows()]
        for place in (1, len(table)):
            data = read(folder, [*table[:place], empty, *table[place:]])
            (without,) = (example for example in data.examples if example.image.name == "empty.jpg")
            assert not len(without.boxes)
            others = [example for example in data.examples if example.image != without.image]
            check(DetectionData(others, data.class_names, data.problems))


def test_one_name_in_two_splits(tmp_path):
    for split in TRUTH:
        path = tmp_path / f"{split}_labels.csv"
        for i, (name, objects) in enumerate(TRUTH[split].items()):
            EXPORTS["yolo"](tmp_path / "aside") if not (tmp_path / "aside").exists() else None
            image = next((tmp_path / "aside").rglob(f"{name}.jpg"))
            (tmp_path / "data/images" / split).mkdir(parents=True, exist_ok=True)
            image.rename(tmp_path / "data/images" / split / f"{i}.jpg")
            lines = "".join(f"{i}.jpg,{label},{','.join(map(str, box))}\n" for label, box in objects)
            path.write_text((path.read_text() if i else "image,label,x1,y1,x2,y2\n") + lines)
    source = Folder(tmp_path)
    assert sorted(FORMAT.splits(source)) == ["train", "valid"]
    for split, images in TRUTH.items():
        data = FORMAT.read(source, split)
        assert not data.problems
        assert [example.image.parent.name for example in data.examples] == [split] * len(images)
        assert [len(example.boxes) for example in data.examples] == list(map(len, images.values()))


GOOD = ["frame_000000.jpg", "64", "48", "dog", "1", "2", "3", "4"]


def field(**changes):
    return [str(changes.get(key, value)) for key, value in zip(HEADER, GOOD, strict=True)]


LEFT_OUT = {
    "no box": (field(xmin="", ymin="", xmax="", ymax=""), "an object 'dog' without four finite numbers for its box"),
    "a number is missing": (field(ymin=""), "of frame_000000.jpg: an object 'dog' without four finite numbers"),
    "a text": (field(xmax="right"), "an object 'dog' without four finite numbers"),
    "a comma for a point": (field(xmax="3,5"), "an object 'dog' without four finite numbers"),
    "NaN": (field(xmax="nan"), "an object 'dog' without four finite numbers"),
    "infinite": (field(xmax="1e999"), "an object 'dog' without four finite numbers"),
    "too short": (GOOD[:6], "an object 'dog' without four finite numbers"),
    "no class": (field(**{"class": " "}), "of frame_000000.jpg: an object without a name, left out"),
    "no image": (field(filename=""), "names no image, left out"),
    "no area": (field(xmax=1), "box [1.0, 2.0, 1.0, 4.0] of 'dog' has no area within 64x48, left out"),
    "outside": (field(xmin=70, xmax=80), "of 'dog' has no area within 64x48, left out"),
    "a field too long": (field(**{"class": "x" * 200_000}), "not valid CSV (field larger than field limit (131072))"),
    "another image": (field(filename="a.jpg"), "a.jpg: missing, image left out"),
    "a line break in a name": (field(filename="a\nb  c.jpg"), "/images/a b c.jpg: missing, image left out"),
    "NUL in a name": (field(filename="a\0.jpg"), ".jpg: missing, image left out"),
    "the same object": (["frame_000000.jpg", "64", "48", "cat", "4", "6", "24", "30"], "the same object again"),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_is_left_out_is_reported(folder, case):
    row, expected = LEFT_OUT[case]
    data = read(folder, [HEADER, *rows(), row])
    (line,) = data.problems
    assert expected in line and str(folder) in line and "\n" not in line
    assert line.startswith(f"{folder}/table.csv:10") or "image left out" in line
    data.problems.clear()
    check(data)


def test_an_image_of_another_size(folder):
    data = read(folder, [HEADER, *([row[0], 640 if "0004" in row[0] else 64, *row[2:]] for row in rows())])
    (line,) = data.problems
    assert line == f"{folder}/table.csv:9: says 640x48, but frame_000004.jpg is 64x48 (upright); image left out"
    assert len(data.examples) == 4


@pytest.mark.parametrize(
    "text",
    (
        "",
        "\n\n",
        "\0",
        "a,b\n",
        "filename,class,xmin,ymin,xmax\n",
        "a.jpg,1,2,3,x,dog\n",
        "a.txt,1,2,3,4,dog\n",
        '"' * 9,
    ),
)
def test_other_tables_are_none(folder, text):
    (folder / "table.csv").write_text(text)
    assert not FORMAT.matches(Folder(folder), None) and not FORMAT.matches(folder / "table.csv", None)
    with pytest.raises(ValueError, match="has no files of this format"):
        FORMAT.read(folder / "table.csv", None)


def test_nothing_usable(folder):
    with pytest.raises(ValueError, match="table.csv: no image with a usable object; found no image"):
        read(folder, [HEADER])
    with pytest.raises(ValueError, match="the first of 1 problems: .*table.csv:2: not valid CSV"):
        read(folder, [HEADER, [*GOOD[:-1], '"' + "x" * 200_000]])
    with pytest.raises(ValueError, match="none of its classes .dog. is among cat"):
        read(folder, [HEADER, GOOD])
        FORMAT.read(Folder(folder), None, ("cat",))
