"""Exports as they are found: moved, renamed, nested, mixed with masks and lists; each is read as the tool wrote it."""

import json
import os
import re

import pytest
from export_truth import draw
from exports import EXPORTS, check

from cspkeras.training import read, splits


def replace(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def another_machine(root):
    replace(root / "data.yaml", "train: images/train", "train: /content/ds/images/train")


def windows(root):
    replace(root / "data.yaml", "train: images/train", "train: images\\train")


def lists_of_another_machine(root):
    names = [file.name for file in (root / "images/train").iterdir()]
    (root / "train.txt").write_text("".join(f"/home/u/ds/images/train/{name}\n" for name in sorted(names)))
    replace(root / "data.yaml", "train: images/train", "train: train.txt")


def lists_in_a_folder(root):
    names = [file.name for file in (root / "images/train").iterdir()]
    (root / "lists").mkdir()
    (root / "lists/train.txt").write_text("".join(f"../images/train/{name}\n" for name in sorted(names)))
    replace(root / "data.yaml", "train: images/train", "train: lists/train.txt")


def a_path_around(root):
    replace(root / "data.yaml", "path: ../datasets/animals", f"path: ../{root.name}")


def an_absolute_path(root):
    replace(root / "data.yaml", "path: ../datasets/animals", f"path: {root}")


def a_stray_image(root):
    draw(root / "images/preview.jpg", ())
    (root / "data.yaml").unlink()
    (root / "classes.txt").write_text("cat\ndog\nowl\n")


def masks(root):
    for file in (root / "images").rglob("*.jpg"):
        draw(root / "masks" / file.with_suffix(".png").name, ())


def masks_in_the_split(root):
    for split in ("train", "valid"):
        for file in (root / split / "images").iterdir():
            draw(root / split / "masks" / file.name, ())
    replace(root / "data.yaml", "train: ../train/images", "train: train")


def trimaps(root):
    """Oxford-IIIT Pet's: masks that have the images' names."""
    for file in (root / "JPEGImages").glob("*.jpg"):
        draw(root / "Annotations/trimaps" / file.with_suffix(".png").name, ())
    for file in (root / "ImageSets/Main").iterdir():
        file.unlink()
    for name in ("ImageSets/Main", "ImageSets"):
        (root / name).rmdir()


def verified(root):
    for file in root.glob("*.xml"):
        replace(file, "<annotation>", '<annotation verified="yes">')


def notes_around(root):
    inner = root / "export/v1 (2)/my data"
    inner.mkdir(parents=True)
    for file in list(root.iterdir()):
        if file.name != "export":
            file.rename(inner / file.name)
    (root / "README.md").write_text("notes")
    (root / "export/LICENSE").write_text("free")


def other_tasks(root):
    for split in ("train2017", "val2017"):
        stored = json.loads((root / f"annotations/instances_{split}.json").read_text())
        (root / f"annotations/instances_{split}.json").rename(root / f"annotations/{split}.json")
        for task in ("captions", "person_keypoints"):
            (root / f"annotations/{task}_{split}.json").write_text(json.dumps({**stored, "annotations": []}))


def urls(root):
    replace(root / "result.json", '"images\\\\', '"https://x.org/a%20b/images/')
    replace(root / "result.json", '.jpg"', '.jpg?width=9"')


def upper_case(root):
    for split, name in (("train", "TRAIN"), ("valid", "Validation")):
        (root / split).rename(root / name)


def singular(root):
    for file in root.rglob("*.json"):
        replace(file, '"annotations"', '"annotation"')
        replace(file, '"image"', '"imagefilename"')


def accents(root):
    """An image's name as a Mac has it, and its annotation's as others have it."""
    (root / "images/frame_000000.jpg").rename(root / "images/e\u0301_frame_000000.jpg")
    (root / "labels/frame_000000.txt").rename(root / "labels/\u00e9_frame_000000.txt")


CASES = (
    ("yolo", another_machine),
    ("yolo", windows),
    ("yolo", lists_of_another_machine),
    ("yolo", lists_in_a_folder),
    ("yolo", a_path_around),
    ("yolo", an_absolute_path),
    ("yolo", a_stray_image),
    ("yolo-labelstudio", masks),
    ("yolo-roboflow", masks_in_the_split),
    ("voc", trimaps),
    ("voc-labelimg", verified),
    *((name, notes_around) for name in EXPORTS),
    ("coco-2017", other_tasks),
    ("coco-labelstudio", urls),
    ("voc-roboflow", upper_case),
    ("coco-roboflow", upper_case),
    ("darknet-roboflow", upper_case),
    ("createml-roboflow", singular),
)


@pytest.mark.parametrize("name, change", CASES, ids=lambda value: getattr(value, "__name__", value))
def test_read_as_the_tool_wrote_it(name, change, tmp_path):
    expected = EXPORTS[name](tmp_path / "set")
    change(tmp_path / "set")
    found = splits(tmp_path / "set")
    assert len(found) == len(expected) or change is trimaps
    for split in found or [None]:
        check(read(tmp_path / "set", split), None if split == "default" else split)


def test_accents(tmp_path):
    EXPORTS["yolo-labelstudio"](tmp_path)
    accents(tmp_path)
    data = read(tmp_path)
    assert not data.problems and all(len(example.boxes) for example in data.examples)


def test_lists_of_classes_in_another_order(tmp_path):
    """The nearest list counts; two that differ in one split are refused."""
    for batch, names in (("train", "cat\ndog\nowl\n"), ("val", "owl\ndog\ncat\n")):
        EXPORTS["yolo-labelimg"](tmp_path / "images" / batch)
        (tmp_path / "images" / batch / "classes.txt").write_text(names)
    check(read(tmp_path, "train"))
    assert read(tmp_path, "val").class_names == ("owl", "dog", "cat")
    (tmp_path / "images").rename(tmp_path / "batches")
    (tmp_path / "batches/train").rename(tmp_path / "batches/one")
    (tmp_path / "batches/val").rename(tmp_path / "batches/two")
    with pytest.raises(ValueError, match="classes.txt: names other classes than .*; give both the same names"):
        read(tmp_path / "batches")


def test_images_of_one_name_in_two_splits(tmp_path):
    EXPORTS["coco-2017"](tmp_path)
    for split in ("train", "val"):
        (tmp_path / f"annotations/instances_{split}2017.json").rename(
            tmp_path / f"annotations/{split}_annotations.json"
        )
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / f"{split}2017").rename(tmp_path / f"images/{split}")
        stored = (tmp_path / f"annotations/{split}_annotations.json").read_text()
        for i, file in enumerate(sorted((tmp_path / f"images/{split}").iterdir())):
            stored = stored.replace(file.name, f"{i}.jpg")
            file.rename(file.with_name(f"{i}.jpg"))
        (tmp_path / f"annotations/{split}_annotations.json").write_text(stored)
    draw(tmp_path / "images/0.jpg", ())
    for split, count in (("train", 3), ("val", 2)):
        data = read(tmp_path, split)
        assert [example.image for example in data.examples] == [
            tmp_path / f"images/{split}/{i}.jpg" for i in range(count)
        ]


def test_a_split_that_is_missing(tmp_path):
    EXPORTS["yolo"](tmp_path)
    (tmp_path / "images/val").rename(tmp_path / "images/elsewhere")
    assert splits(tmp_path) == ["train", "val"]
    with pytest.raises(ValueError, match="images/val: missing; .* names it as a folder or a list of images"):
        read(tmp_path, "val")


def test_splits_of_classes_in_another_case_and_classes_called_as_splits(tmp_path):
    for place in ("a/Train/cat", "a/Train/dog", "a/Validation/cat", "b/car", "b/train", "c/train/car", "c/train/train"):
        draw(tmp_path / place / "1.jpg", ())
    draw(tmp_path / "a/Train/stray.jpg", ())
    assert splits(tmp_path / "a") == ["Train", "Validation"]
    assert read(tmp_path / "a", "train").class_names == ("cat", "dog")
    assert read(tmp_path / "b").class_names == ("car", "train")
    assert read(tmp_path / "c", "train").class_names == ("car", "train")


def test_several_data_sets(tmp_path):
    for year in (2007, 2012):
        EXPORTS["voc"](tmp_path / f"VOC{year}")
    expected = f"{tmp_path}: not one data set, but folders of data sets; give one of them: {tmp_path}/VOC2007"
    with pytest.raises(ValueError, match=re.escape(expected)):
        read(tmp_path)


@pytest.mark.parametrize("format", ("voc", "coco", "yolo", "darknet", "labelme", "csv", "cvat", "kitti", "folder"))
def test_a_format_that_does_not_fit(format, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "file.bin").touch()
    for path in (tmp_path / "notes", tmp_path / "file.bin"):
        with pytest.raises((OSError, ValueError), match=f"^{path}: ") as caught:
            read(path, "train", format=format)
        assert "\n" not in str(caught.value)


def test_what_is_neither_a_file_nor_a_folder(tmp_path):
    EXPORTS["yolo"](tmp_path)
    os.mkfifo(tmp_path / "images/train/pipe.jpg")
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(ValueError, match="pipe.json: is neither a file nor a folder; expected a data set"):
        read(tmp_path / "pipe.json")
    (tmp_path / "train.txt").write_text("images/train/pipe.jpg\nimages/train/frame_000000.jpg\n/dev/zero\n")
    replace(tmp_path / "data.yaml", "train: images/train", "train: train.txt")
    data = read(tmp_path, "train")
    assert len(data.examples) == 1
    assert any("pipe.jpg: not a readable image (it is not a file), left out" in line for line in data.problems)
    assert any("/dev/zero: not a readable image (it is not a file), left out" in line for line in data.problems)
