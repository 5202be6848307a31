"""Folders of images for classification."""

import pytest
from PIL import Image

from cspkeras.training import ClassificationData, read, splits

COLORS = {"cat": (200, 20, 20), "dog": (20, 20, 200)}


@pytest.fixture
def folder(tmp_path):
    for split, count in (("train", 3), ("val", 1)):
        for name, color in COLORS.items():
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (6 + i, 5), color).save(tmp_path / split / name / f"{i}.png")
    return tmp_path


def test_split_class_image(folder):
    assert splits(folder) == ["train", "val"]
    data = read(folder, "train")
    assert isinstance(data, ClassificationData) and data.class_names == ("cat", "dog") and not data.problems
    assert [example.label for example in data.examples] == [0, 0, 0, 1, 1, 1]
    for example in data.examples:
        name = data.class_names[example.label]
        assert example.image.parent.name == name and (example.pixels() == COLORS[name]).all()


def test_class_image(folder):
    assert splits(folder / "train") == []
    for split in (None, "train", "test"):  # one part as a whole, as a .json file is
        assert len(read(folder / "train", split).examples) == 6


def test_folders_in_a_class_and_what_is_no_image(folder):
    (folder / "train/cat/more").mkdir()
    Image.new("L", (4, 4)).save(folder / "train/cat/more/A.JPEG")
    for name in ("cat/notes.txt", "cat/.hidden.png", "Thumbs.db", "stray.png"):
        (folder / "train" / name).write_bytes(b"no image")
    (folder / "train/.git/objects").mkdir(parents=True)
    (folder / "train/empty").mkdir()
    assert splits(folder) == ["train", "val"]  # though there is an image where a class's would be
    data = read(folder, "train")
    assert data.class_names == ("cat", "dog", "empty") and [e.label for e in data.examples] == [0] * 4 + [1] * 3
    assert data.problems == [f"{folder}/train/empty: no images in the folder of a class"]


def test_wanted_classes(folder):
    data = read(folder, "train", ("dog", "horse"))
    assert [example.label for example in data.examples] == [0] * 3 and data.class_names == ("dog", "horse")
    unknown = f"{folder}/train/cat/0.png: unknown class 'cat', left out (3 images, the first here)"
    assert data.problems == [f"{unknown}; known are dog, horse"]
    with pytest.raises(ValueError, match=r"train: none of its classes \(cat, dog\) is among horse"):
        read(folder, "train", ("horse",))


def test_an_unknown_split(folder):
    with pytest.raises(FileNotFoundError, match="test: missing; the splits of .* are train, val"):
        read(folder, "test")
    with pytest.raises(FileNotFoundError, match="None: missing"):
        read(folder)


def test_what_is_no_data_set(tmp_path):
    (tmp_path / "empty/class").mkdir(parents=True)
    (tmp_path / "file.txt").touch()
    for name in ("JPEGImages", "labels/train"):  # parts of other formats: no classes
        (tmp_path / "part" / name).mkdir(parents=True)
        Image.new("L", (4, 4)).save(tmp_path / "part" / name / "a.png")
    for name in ("empty", "file.txt", "part"):
        with pytest.raises(ValueError, match="no data set; expected ImageSets/Main or XML files .Pascal VOC") as caught:
            read(tmp_path / name, "train")
        assert str(caught.value).startswith(f"{tmp_path}/{name}: ")
    with pytest.raises(FileNotFoundError, match="gone: missing; expected a data set"):
        read(tmp_path / "gone", "train")
