"""What annotation tools export, recognized by what lies in the folder; every file is used or told."""

import os
import shutil
import zipfile

import pytest
from export_truth import draw, put
from exports import ALL, EXPORTS, check
from mutations import files_told
from PIL import Image

from cspkeras.training import read, splits
from cspkeras.training.data.files.folder import Folder
from cspkeras.training.data.leftovers import leftovers
from cspkeras.training.data.reading import DataSet


def parts_of(data_set):
    return {split: data_set.read(split) for split in data_set.splits or [None]}


@pytest.mark.parametrize("name", EXPORTS)
def test_read_as_it_is(name, tmp_path):
    expected = EXPORTS[name](tmp_path)
    data_set = DataSet(tmp_path)
    assert [known.key for known in data_set.fitting] == [name.partition("-")[0]] and data_set.choice() is None
    assert splits(tmp_path) == expected
    parts = parts_of(data_set)
    for split, data in parts.items():
        check(data, None if split == "default" else split)
    same = {"train": "training", "training": "train", "val": "validation", "valid": "val", "validation": "valid"}
    for split in expected:
        if split in same:
            check(read(tmp_path, same[split]), split)
    used = frozenset().union(*(data.files for data in parts.values()))
    images = [example.image for data in parts.values() for example in data.examples]
    assert all(getattr(image, "file", image) in used for image in images)
    assert data_set.seen(parts).startswith(f"{tmp_path}: {data_set.fitting[0].name}; ")


@pytest.mark.parametrize("name", ("voc-roboflow", "yolo", "labelme", "coco-cvat"))
def test_archives(name, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    expected = EXPORTS[name](tmp_path / "set/my export")
    archive = shutil.make_archive(tmp_path / "my export", "zip", tmp_path / "set")
    assert splits(archive) == expected
    for split in expected or [None]:
        check(read(archive, split), split)
    (folder,) = (tmp_path / "home/datasets").iterdir()
    before = folder.stat().st_mtime_ns
    assert splits(archive) == expected and folder.stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", ("empty", "text", "cut", "other bytes"))
def test_archives_that_are_damaged(damage, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", "cat " * 1000)
    content = file.read_bytes()
    file.write_bytes(
        {
            "empty": b"",
            "text": b"no archive",
            "cut": content[:-30],
            "other bytes": content[:45] + b"\xff" * 4 + content[49:],
        }[damage]
    )
    with pytest.raises(ValueError, match=rf"^{file}: can't be unpacked \(") as caught:
        read(file)
    assert "\n" not in str(caught.value) and not list((tmp_path / "home/datasets").iterdir())


def test_an_archive_that_does_not_fit(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../../outside.txt", "x" * 3_000_000)
    with monkeypatch.context() as small:
        small.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 8, 2_000_000))
        with pytest.raises(OSError, match=r"a.zip: can't be unpacked \(needs 2 MiB, but .* has 1 MiB free"):
            read(tmp_path / "a.zip")
    with pytest.raises(ValueError, match="no data set"):
        read(tmp_path / "a.zip")
    assert not list(tmp_path.glob("**/../outside.txt")) and len(list(tmp_path.glob("home/datasets/*/outside.txt"))) == 1


def test_where_two_formats_fit(tmp_path):
    EXPORTS["voc-labelimg"](tmp_path)
    EXPORTS["coco-labelstudio"](tmp_path)
    data_set = DataSet(tmp_path)
    assert data_set.choice() == (f"{tmp_path}: read as voc; it fits coco too, which --format chooses")
    check(read(tmp_path, format="coco"))
    with pytest.raises(ValueError, match="^format 'VOC': is not known; expected voc, coco, yolo, "):
        read(tmp_path, format="VOC")


def test_annotations_that_are_not_known_forbid_to_read_classes(tmp_path):
    EXPORTS["voc-roboflow"](tmp_path)
    for file in tmp_path.rglob("*.xml"):
        file.write_text("<other/>")
    with pytest.raises(
        ValueError, match=r"\.xml lies beside images, but in none of the known formats, .*--format folder"
    ):
        read(tmp_path, "train")
    for split in ("train", "valid"):
        (tmp_path / split / "cat").mkdir()
        for file in (tmp_path / split).glob("*.*"):
            file.rename(tmp_path / split / "cat" / file.name)
    assert read(tmp_path, "train", format="folder").class_names == ("cat",)


KINDS = {  # a file's place: its content, or a function that writes it
    "notes.txt": "notes",
    "README.md": "# notes",
    "LICENSE": "free",
    ".DS_Store": "x",
    "._frame_000000.jpg": "x",
    "Thumbs.db": "x",
    "desktop.ini": "x",
    "__MACOSX/a.jpg": "x",
    ".git/config": "x",
    "IMG_1.heic": "x",
    "IMG_2.HEIF": "x",
    "raw.dng": "x",
    "drawing.svg": "<svg/>",
    "layers.psd": "x",
    "paper.pdf": "x",
    "more.jpg": lambda path: draw(path, ()),
    "MORE.JPG": lambda path: draw(path, ()),
    "shot.png": lambda path: Image.new("L", (9, 9)).save(path),
    "shot.jfif": lambda path: Image.new("L", (9, 9)).save(path, "JPEG"),
    "shot.avif": lambda path: Image.new("RGB", (9, 9)).save(path),
    "empty.jpg": "",
    "broken.png": "no image",
    "orphan.txt": "0 .5 .5 .1 .1\n",
    "ORPHAN.TXT": "0 .5 .5 .1 .1\n",
    "orphan.xml": "<annotation><filename>gone.jpg</filename></annotation>",
    "empty.txt": "",
    "film.mp4": "x",
    "old.zip": "x",
    "weights.pt": "x",
    "train.cache": "x",
    "sub/deep/notes.txt": "notes",
    "labels.npy": "x",
}
PLACES = ("", "train", "images", "images/train", "labels", "data")


@pytest.mark.parametrize("name", EXPORTS)
def test_every_other_file_is_told(name, tmp_path):
    """Each kind of file, in each of a data set's folders: used, or in exactly one of the lines."""
    EXPORTS[name](tmp_path)
    for place in filter(lambda place: (tmp_path / place).is_dir(), PLACES):
        for kind, content in KINDS.items():
            path = tmp_path / place / kind
            path.parent.mkdir(parents=True, exist_ok=True)
            if callable(content):
                content(path)
            else:
                path.write_text(content)
    data_set = DataSet(tmp_path)
    parts = {split: data_set.read(split) for split in set(data_set.splits) - {"other"} or [None]}
    lines = {line for data in parts.values() for line in data.problems}
    used = frozenset().union(*(data.files for data in parts.values()))
    left = [file for file in Folder(tmp_path).all_files if file not in used]
    told = [line for kind in data_set.leftovers(list(parts.values())) for line in kind]
    assert files_told(told) == len(left), told
    examples = {getattr(example.image, "file", example.image) for data in parts.values() for example in data.examples}
    for image in (file for file in used - examples if file.suffix.lower() in (".jpg", ".png", ".jfif", ".avif")):
        assert any(str(image) in line for line in lines), image


def test_a_folder_of_many_files_of_which_none_is_usable(tmp_path):
    (tmp_path / "labels").mkdir()
    for i in range(2000):
        os.close(os.open(tmp_path / f"labels/{i}.txt", os.O_CREAT))
    with pytest.raises(ValueError, match=r"no data set; expected .* \(found 2000 \.txt\)$") as caught:
        read(tmp_path)
    assert len(str(caught.value)) < 1000
    draw(tmp_path / "images/a.jpg", ())
    put(tmp_path / "classes.txt", "cat\n")
    with pytest.raises(ValueError, match="classes.txt|no image with a usable object; found 1 images without one$"):
        read(tmp_path)
    put(tmp_path / "labels/a.txt", "0 .5 .5 .5 .5")
    data = read(tmp_path)
    assert data.problems == [
        f"{tmp_path}/labels/0.txt: an annotation without an image, left out (2000 files, the first here)"
    ]
    folder = Folder(tmp_path)
    assert leftovers(folder, data.files) == ([], [f"{tmp_path}: 2000 other files, not used (2000 .txt)"])


def test_a_read_only_data_set_and_one_that_cannot_be_opened(tmp_path, monkeypatch):
    EXPORTS["yolo-labelimg"](tmp_path / "set")
    for path in (tmp_path / "set").iterdir():
        path.chmod(0o444)
    (tmp_path / "set").chmod(0o555)
    check(read(tmp_path / "set"))

    def closed(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", closed)  # root may open all
    with pytest.raises(PermissionError):
        read(tmp_path / "set")


def test_a_split_that_holds_the_other_splits(tmp_path):
    EXPORTS["yolo"](tmp_path)
    text = (tmp_path / "data.yaml").read_text().replace("train: images/train", "train: images")
    (tmp_path / "data.yaml").write_text(text)
    train, val = read(tmp_path, "train"), read(tmp_path, "val")
    assert {example.image for example in val.examples} < {example.image for example in train.examples}


@pytest.mark.parametrize("name", sorted(set(EXPORTS) - {"tfrecord-roboflow"}))  # which holds its images
def test_names_that_are_not_utf8(name, tmp_path):
    """An image, and the files of its stem, renamed as an old .zip file leaves them: works, or is told."""
    EXPORTS[name](tmp_path)
    for file in Folder(tmp_path).files:
        if file.stem.startswith("frame_000000") or file.suffix in (".csv", ".json", ".txt", ".xml"):
            content = file.read_bytes()
            if file.suffix not in (".jpg", ".png", ".PNG"):
                file.write_bytes(content.replace(b"frame_000000", b"frame\xe9"))
            if file.stem.startswith("frame_000000"):
                file.rename(os.fsdecode(os.fsencode(file).replace(b"frame_000000", b"frame\xe9")))
    data_set = DataSet(tmp_path)
    try:
        parts = parts_of(data_set)
    except ValueError as e:  # XML's encoding is fixed
        assert "not valid XML" in str(e) and str(tmp_path) in str(e)
        return
    count = sum(len(data.examples) for data in parts.values())
    told = [line for data in parts.values() for line in data.problems]
    told += [line for lines in data_set.leftovers(list(parts.values())) for line in lines]
    assert count == len(ALL) or told
    for line in told:
        assert ascii(line).isascii()
