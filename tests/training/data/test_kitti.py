"""KITTI's text files: the layouts, and every way in which a line is bad."""

import pytest
from exports import EXPORTS, TRUTH, check, check_export, check_recognition, exports_of

from cspkeras.training.data.files.folder import Folder
from cspkeras.training.data.readers.kitti import FORMAT

LABELS = "training/label_2/frame_000000.txt"
REST = "1.65 1.67 3.64 -0.65 1.71 46.70 -1.59"


def test_no_other_data_set_is_taken_for_it(tmp_path):
    found = check_recognition(FORMAT, tmp_path)
    assert not FORMAT.matches(found["kitti"][0] / LABELS, None)
    described = {file for path, _ in found.values() for file in Folder(path).files if FORMAT.describes(file)}
    assert len(described) == 3 + 5 + 5 and all(file.parent.name.startswith("label") for file in described)


@pytest.mark.parametrize("name", exports_of(FORMAT))
def test_what_is_distributed_and_written(name, tmp_path):
    check_export(FORMAT, name, tmp_path)


@pytest.fixture
def folder(tmp_path):
    EXPORTS["kitti"](tmp_path)
    return tmp_path


def read(folder):
    return FORMAT.read(Folder(folder), "training")


def append(folder, text):
    path = folder / LABELS
    path.write_text(path.read_text() + text)


def test_the_left_image_is_taken_whatever_its_case(folder):
    for image in (folder / "training/image_2").iterdir():
        image.rename(image.with_name(image.name.upper()))
    data = read(folder)
    assert {example.image.parent.name for example in data.examples} == {"image_2"}
    check(data, "train")


def test_scores_marks_and_line_ends(folder):
    for file in (folder / "training/label_2").iterdir():
        lines = [f"{line} 0.95" for line in file.read_text().splitlines()]
        file.write_bytes(("\ufeff" + "\r\n".join([*lines, "", "  "])).encode())
    check(read(folder), "train")


def test_an_image_without_objects_has_an_empty_file_or_one_of_regions(folder):
    (folder / LABELS).write_text("")
    (folder / "training/label_2/frame_000001.txt").write_text(
        f"DontCare -1 -1 -10 1 2 30 40 {REST}\nDontCare -1 -1 -10 5 6 30 40 -1 -1 -1 -1000 -1000 -1000 -10\n"
    )
    (folder / "training/label_2/readme.txt").write_text("Made by hand.\n")
    data = read(folder)
    assert [len(example.boxes) for example in data.examples] == [0, 0, 2]
    assert data.problems == [
        f"{folder}/training/label_2/frame_000001.txt:1: 2 DontCare regions, the first here, left out"
    ]


def test_names_with_blanks(folder):
    append(folder, f"Person sitting 0.00 0 -1.57 1 2 30 40 {REST}\n")
    data = read(folder)
    assert data.class_names == ("Person sitting", "cat", "dog", "owl") and not data.problems


LEFT_OUT = {
    "too few": (f"dog 0.00 0 -1.57 1 2 30 {REST}", "is not a class and 14 or 15 numbers, left out"),
    "a text": (f"dog 0.00 0 -1.57 1 two 30 40 {REST}", "is not a class and 14 or 15 numbers, left out"),
    "no class": (f"0.00 0 -1.57 1 2 30 40 {REST}", "is not a class and 14 or 15 numbers, left out"),
    "YOLO": ("0 0.5 0.5 0.1 0.1", "'0 0.5 0.5 0.1 0.1' is not a class and 14 or 15 numbers, left out"),
    "long": ("9" * 10**5, "is not a class and 14 or 15 numbers, left out"),
    "many": ("9 " * 10**5, "is not a class and 14 or 15 numbers, left out"),
    "NaN": (f"dog 0.00 0 -1.57 nan 2 30 40 {REST}", "an object 'dog' without four finite numbers for its box"),
    "infinite": (f"dog 0.00 0 -1.57 1 2 30 1e999 {REST}", "an object 'dog' without four finite numbers"),
    "no area": (f"dog 0.00 0 -1.57 1 2 1 40 {REST}", "of 'dog' has no area within 64x48, left out"),
    "outside": (f"dog 0.00 0 -1.57 70 2 90 40 {REST}", "of 'dog' has no area within 64x48, left out"),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_is_left_out_is_reported(folder, case):
    text, expected = LEFT_OUT[case]
    append(folder, f"{text}\n")
    data = read(folder)
    (line,) = data.problems
    assert line.startswith(f"{folder / LABELS}:3: ") and expected in line and len(line) < 400
    data.problems.clear()
    check(data, "train")


def test_images_that_are_missing_or_broken(folder):
    for eye in (2, 3):
        (folder / f"training/image_{eye}/frame_000000.png").unlink()
        (folder / f"training/image_{eye}/frame_000001.png").write_text("no image")
    missing, broken = read(folder).problems
    assert missing == f"{folder}/training/label_2/frame_000000.png: missing, image left out"
    assert broken.startswith(f"{folder}/training/image_2/frame_000001.png: not a readable image")


def test_unusable_folders(folder):
    with pytest.raises(FileNotFoundError, match="has no split 'train'; there are training"):
        FORMAT.read(Folder(folder), "train")
    with pytest.raises(ValueError, match="has no files of this format"):
        FORMAT.read(folder / LABELS, None)
    for name in TRUTH["train"]:
        (folder / f"training/label_2/{name}.txt").write_text(f"DontCare -1 -1 -10 1 2 30 40 {REST}\n")
    with pytest.raises(ValueError, match="no image with a usable object; found 3 images without one; .* 3 DontCare"):
        read(folder)
