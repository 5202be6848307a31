"""A data set's folder: links, names of every case, the image that an annotation means, text of every encoding."""

import json
import os

import pytest

from cspkeras.training.data.files.folder import MAX_DEPTH, Folder, by_split
from cspkeras.training.data.files.text import read_json, read_lines, read_text


@pytest.fixture
def make(tmp_path):
    """A function that makes empty files and returns their `Folder`."""

    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return Folder(tmp_path)

    return make


def names(folder, files):
    return [str(file.relative_to(folder.path)) for file in files]


def test_what_lies_in_a_folder(make):
    folder = make("b.txt", "a.JPG", ".hidden.jpg", "x/c.png", ".git/d.png", "__MACOSX/e.png", "x/y/f.webp")
    assert names(folder, folder.images) == ["a.JPG", "x/c.png", "x/y/f.webp"]
    assert names(folder, folder.own_images) == ["a.JPG"]
    assert names(folder, folder.files) == ["a.JPG", "b.txt", "x/c.png", "x/y/f.webp"]
    assert len(folder.all_files) == 7 and not folder.problems
    assert [str(part) for part in folder.folders] == [f"{folder}/x"] and os.fspath(folder) == str(folder)


def test_names_in_another_case(make):
    folder = make("Labels/Train/a.TXT", "Data/1.txt", "data/2.txt")
    assert names(folder, [folder.file("labels", "train", "a.txt")]) == ["Labels/Train/a.TXT"]
    assert folder.file("labels", "gone", "a.txt") is None and folder.folder("none") is None
    assert folder.file("data", "2.txt") and folder.file("Data", "1.txt")  # the exact name first
    assert folder.file("data", "1.txt") is None


def test_links(make, tmp_path):
    folder = make("set/real/a.png", "elsewhere/b.png")
    (tmp_path / "set/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set/again").symlink_to(tmp_path / "set/real")
    (tmp_path / "set/real/loop").symlink_to(tmp_path / "set")
    (tmp_path / "set/lost.png").symlink_to(tmp_path / "gone.png")
    folder = Folder(tmp_path / "set")
    assert names(folder, folder.images) == ["again/a.png", "linked/b.png", "real/a.png"]
    (line,) = folder.problems
    assert line == f"{tmp_path}/set/lost.png: is neither a file nor a folder (a link to nothing?), left out"


def test_links_without_end(tmp_path):
    for i in range(30):  # each folder holds two links to the next: 2^30 paths
        (tmp_path / f"set/{i}").mkdir(parents=True)
    (tmp_path / "set/30").mkdir()
    for i in range(30):
        for name in "ab":
            (tmp_path / f"set/{i}/{name}").symlink_to(tmp_path / f"set/{i + 1}")
    assert not Folder(tmp_path / "set").images and Folder(tmp_path / "set").problems
    deep = tmp_path / "deep"
    (deep / "/".join("d" * (MAX_DEPTH + 5))).mkdir(parents=True)
    (line,) = Folder(deep).problems
    assert line.endswith("folders are nested or linked too deeply, left out")


@pytest.mark.parametrize(
    "name, near, expected",
    (
        ("train/a.jpg", None, "train/a.jpg"),
        ("TRAIN/A.JPG", None, "train/a.jpg"),
        ("C:\\cats\\train\\a.jpg", None, "train/a.jpg"),
        ("/somewhere/else/b.png", None, "val/b.png"),
        ("b.tif", None, "val/b.png"),
        ("b", None, "val/b.png"),
        ("a.jpg", "val/labels/a.xml", "val/a.jpg"),
        ("a.jpg", "other/a.xml", None),  # two are as likely
        ("v1.2", None, "v1.2.png"),
        ("v1.3", None, None),
        ("c", None, "c.jpg"),  # of several kinds a JPEG first
        ("", None, None),
        ("../..", None, None),
    ),
)
def test_the_image_that_is_meant(make, name, near, expected):
    folder = make("train/a.jpg", "val/a.jpg", "val/b.png", "v1.2.png", "c.png", "c.jpg", "c.txt")
    image = folder.image(name, folder.path / near if near else None)
    assert image == (expected and folder.path / expected)


def test_splits_by_the_folders(make):
    folder = make("train/images/1.png", "images/valid/2.png", "extra/3.png", "Test2017/4.png")
    assert set(by_split(folder, folder.images)) == {"train", "valid", "Test2017"}
    folder = Folder(make("extra/3.txt").path)  # what has an annotation is a split of its own
    assert set(by_split(folder, folder.images)) == {"train", "valid", "Test2017", "other"}
    folder = make("a/1.png")
    assert list(by_split(Folder(folder.path / "a"), Folder(folder.path / "a").images)) == [None]


ENCODINGS = {"utf-8": b"", "utf-8-sig": b"", "utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_text_of_every_encoding(tmp_path, encoding):
    file, mark = tmp_path / "a.txt", ENCODINGS[encoding]
    file.write_bytes(mark + "Käse\r\nB\x0bC\rd\u2028e\n".encode(encoding))
    assert read_lines(file) == ["Käse", "B\x0bC", "d\u2028e", ""]
    file.write_bytes(mark + json.dumps(["Käse"]).encode(encoding))
    assert read_json(file) == ["Käse"]


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00\x01 caf\xe9")
    assert os.fsencode(read_text(tmp_path / "a.txt")) == b"\xff\xfe\x00\x01 caf\xe9"
    for content in (b"", b"{", b"[" * 100_000, b"\xff\xfe", b'{"a": ' + b"9" * 5000 + b"}"):
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(ValueError, match=f"^{tmp_path}/a.json: not valid JSON"):
            read_json(tmp_path / "a.json")
