"""Open Images' CSV files: what is distributed and downloaded, mostly a part of it, and every way in which it is bad."""

import shutil

import pytest
from exports import EXPORTS, check, check_export, check_recognition, exports_of

from cspkeras.training.data.files.folder import Folder
from cspkeras.training.data.readers.open_images import FORMAT

FILE = "train-annotations-bbox.csv"
CAT = "/m/01yrx"


def test_no_other_data_set_is_taken_for_it(tmp_path):
    found = check_recognition(FORMAT, tmp_path)
    assert FORMAT.matches(found["openimages"][0] / FILE, None)
    assert not FORMAT.matches(found["openimages"][0] / "class-descriptions-boxable.csv", None)


@pytest.mark.parametrize("name", exports_of(FORMAT))
def test_what_is_downloaded(name, tmp_path):
    check_export(FORMAT, name, tmp_path)


@pytest.fixture
def folder(tmp_path):
    EXPORTS["openimages"](tmp_path)
    return tmp_path


def read(folder, class_names=None):
    return FORMAT.read(Folder(folder), "train", class_names)


def append(folder, text):
    path = folder / FILE
    path.write_text(path.read_text() + text)


def test_a_file_on_its_own(folder):
    check(FORMAT.read(folder / FILE, None), "train")
    (folder / "csv").mkdir()
    (folder / FILE).rename(folder / "csv" / FILE)
    (folder / "class-descriptions-boxable.csv").rename(folder / "csv/oidv7-class-descriptions.csv")
    check(FORMAT.read(folder / "csv" / FILE, None), "train")
    (folder / "train").rename(folder / "elsewhere")
    check(FORMAT.read(folder / "csv" / FILE, None, None, folder / "elsewhere"), "train")


def test_as_the_toolkit_lays_it_out(folder):
    """An image is in the folder of each of its classes, beside the toolkit's own text files."""
    for label in ("Dog", "Owl"):
        (folder / "OID/Dataset/train" / label / "Label").mkdir(parents=True)
        for image in (folder / "train").iterdir():
            shutil.copy(image, folder / "OID/Dataset/train" / label / image.name.upper())
            (folder / "OID/Dataset/train" / label / f"Label/{image.stem}.txt").write_text(f"{label} 1 2 3 4\n")
    shutil.rmtree(folder / "train")
    (folder / "OID/csv_folder").mkdir()
    for file in folder.glob("*.csv"):
        file.rename(folder / "OID/csv_folder" / file.name)
    check(read(folder), "train")


def test_names_of_the_classes(folder):
    path = folder / "class-descriptions-boxable.csv"
    path.write_text(f"\ufeffLabelName,DisplayName\n{path.read_text()}")
    check(read(folder), "train")
    path.write_text('/m/01yrx,"cat, tame"\n/m/0bt9lr,\n/m/09d5_\n')
    assert read(folder).class_names == ("/m/09d5_", "/m/0bt9lr", "cat, tame")
    path.unlink()
    assert read(folder).class_names == ("/m/01yrx", "/m/09d5_", "/m/0bt9lr")


def test_a_part_of_the_images_and_groups_of_objects(folder):
    append(folder, "".join(f"absent{i % 3},xclick,{CAT},1,0.1,0.2,0.3,0.4,0,0,0,0,0\n" for i in range(7)))
    append(folder, f"frame_000000,xclick,{CAT},1,0.5,1,0.5,1,0,0,1,0,0\n")
    data = read(folder)
    assert data.problems == [
        f"{folder / FILE}: 7 boxes of 3 images that aren't there (the first is 'absent0'), left out"
    ]
    example = data.examples[0]
    assert example.crowd_boxes.tolist() == [[32, 24, 64, 48]] and len(example.boxes) == 2
    data.problems.clear()
    check(data, "train")


def line(**changes):
    values = dict(
        ImageID="frame_000000", Source="x", LabelName=CAT, Confidence=1, XMin=0.1, XMax=0.2, YMin=0.3, YMax=0.4
    )
    return ",".join(map(str, {**values, **changes}.values())) + ",0,0,0,0,0\n"


LEFT_OUT = {
    "a text": (line(XMin="left"), "of frame_000000.jpg: an object 'cat' without four finite numbers for its box"),
    "nothing": (line(YMax=""), "an object 'cat' without four finite numbers"),
    "NaN": (line(YMax="nan"), "an object 'cat' without four finite numbers"),
    "no area": (line(XMax=0.1), "of 'cat' has no area within 64x48, left out"),
    "no class": (line(LabelName=""), "an object without a name, left out"),
    "too short": ("frame_000000,x,/m/01yrx\n", "3 fields, expected 13, left out"),
    "too long a field": (
        line(Source="x" * 200_000),
        "not valid CSV (field larger than field limit (131072)), left out",
    ),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_is_left_out_is_reported(folder, case):
    text, expected = LEFT_OUT[case]
    append(folder, text)
    data = read(folder)
    (problem,) = data.problems
    assert problem.startswith(f"{folder / FILE}:7") and expected in problem
    data.problems.clear()
    check(data, "train")


def test_over_the_edge_and_broken_images(folder):
    append(folder, line(XMax=1.2))
    (folder / "train/frame_000002.jpg").write_text("no image")
    cut, broken = sorted(read(folder).problems, key=lambda text: "not a readable" in text)
    assert "of 'cat' reaches outside 64x48, cut there" in cut
    assert broken.startswith(f"{folder}/train/frame_000002.jpg: not a readable image") and broken.endswith("left out")


def test_other_order_and_fewer_columns(folder):
    append(folder, "")
    rows = [row.split(",") for row in (folder / FILE).read_text().splitlines()]
    order = [6, 7, 4, 5, 2, 0]  # YMin, YMax, XMin, XMax, LabelName, ImageID
    (folder / FILE).write_text("".join(";".join(row[i] for i in order) + "\r\n" for row in rows), newline="")
    check(read(folder), "train")


def test_a_column_that_stands_twice(folder):
    rows = (folder / FILE).read_text().splitlines()
    (folder / FILE).write_text("".join(f"{row},{row.split(',')[-3]}\n" for row in rows))
    check(read(folder), "train")
    append(folder, line())
    (problem,) = read(folder).problems
    assert problem.endswith("13 fields, expected 14, left out")


def test_nothing_usable(folder):
    shutil.rmtree(folder / "train")
    with pytest.raises(ValueError, match="no image with a usable object; .* 5 boxes of 3 images that aren't there"):
        read(folder)
    with pytest.raises(ValueError, match="no image with a usable object; .* 5 boxes of 3 images that aren't there"):
        FORMAT.read(folder / FILE, None)
    with pytest.raises(FileNotFoundError, match="has no split 'test'; there are train, validation"):
        FORMAT.read(Folder(folder), "test")
    (folder / f"oidv6-{FILE}").write_bytes((folder / FILE).read_bytes())
    with pytest.raises(ValueError, match="is another file of the same data; give the path of the one to read"):
        read(folder)
