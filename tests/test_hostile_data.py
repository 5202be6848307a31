"""Data sets that claim what they do not hold: each ends in one line that names the file, in little memory and time."""

import json
import math
import os
import socket
import struct
import zipfile

import pytest
from PIL import Image
from small_data import small_voc
from tfrecord_frames import frame

from cspkeras.tflite.device.frames import frames, load_image
from cspkeras.training import ClassificationData, LabelledImage, read
from cspkeras.training.data.images import read_pixels, upright_size
from cspkeras.training.data.inspection import inspect
from cspkeras.training.data.reading import DataSet

BOX = {"bbox": [1, 2, 30, 20], "area": 600}
ESCAPES = "\x1b[31mred\x1b]0;T\x07\u202egpj"


def jpeg(path, width=64, height=48):
    """Write a JPEG whose header says another size than its pixels have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48)).save(path, "JPEG")
    content = bytearray(path.read_bytes())
    struct.pack_into(">HH", content, content.index(b"\xff\xc0") + 5, height, width)
    path.write_bytes(content)
    return path


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content) if isinstance(content, bytes) else path.write_text(content)


def voc(xml):
    """Return a function that writes a VOC folder of one image with an XML file."""

    def write(folder):
        jpeg(folder / "a.jpg")
        put(folder / "a.xml", xml)
        return folder / "a.xml"

    return write


def annotation(name="cat", before="", size=(64, 48)):
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20</ymax></bndbox>"
    sides = "<size><width>{}</width><height>{}</height></size>".format(*size)
    return f"{before}<annotation>{sides}<object><name>{name}</name>{box}</object></annotation>"


def coco(text=None, categories=({"id": 1, "name": "cat"},), **changes):
    """Return a function that writes a COCO folder of one image and object, or a text in place of its file."""

    def write(folder):
        jpeg(folder / "a.jpg")
        images = [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}]
        objects = [{"id": 1, "image_id": 1, "category_id": 1, **BOX, **changes}]
        stored = {"images": images, "annotations": objects, "categories": list(categories)}
        put(folder / "instances_train.json", text or json.dumps(stored))
        return folder / "instances_train.json"

    return write


def yolo(yaml, labels="0 0.5 0.5 0.2 0.2\n"):
    def write(folder):
        jpeg(folder / "images/a.jpg")
        put(folder / "labels/a.txt", labels)
        put(folder / "data.yaml", yaml)
        return folder / "data.yaml"

    return write


def records(content, name="x-train.tfrecord", **files):
    def write(folder):
        put(folder / name, content)
        for file, text in files.items():
            put(folder / file.replace("_", "."), text)
        return folder / name

    return write


def archive(size, count=1):
    """Return a function that writes a .zip file whose members say that they have `size` bytes each."""

    def write(folder):
        path = folder / "x.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
            for i in range(count):
                made.writestr(f"{i}.txt", bytes(100))
        content = bytearray(path.read_bytes())
        for i in range(len(content) - 4):
            if content[i : i + 4] == b"PK\x01\x02":
                struct.pack_into("<I", content, i + 24, size)
        path.write_bytes(content)
        return path

    return write


CHAIN = "<!DOCTYPE a [<!ENTITY e0 'x'>" + "".join(f"<!ENTITY e{i} '&e{i - 1};'>" for i in range(1, 40)) + "]>"
LAUGHS = "a: &a [x, x]\nb: &b [*a, *a]\nnames: [*b, *b]\ntrain: images\n"
DEEP = 100_000
REFUSED = {
    "XML of entities": (voc(annotation("&e39;", CHAIN)), "declares the entity 'e0', and entities are not read"),
    "deep XML": (voc("<annotation>" + "<a>" * DEEP), "not valid XML"),
    "deep JSON": (coco('{"images": [], "annotations": ' + "[" * DEEP), "not valid JSON"),
    "a class of 10 MB": (coco(categories=[{"id": 1, "name": "n" * 10**7}]), "10,000,000 characters of a name; at most"),
    "too many classes": (
        coco(categories=[{"id": i, "name": f"{i}"} for i in range(100_001)]),
        "100,001 classes; at most 100,000 are accepted, set CSPKERAS_MAX_CLASSES for more",
    ),
    "YAML that repeats itself": (yolo(LAUGHS), "an alias of a list or mapping"),
    "YAML with a kind": (yolo("names: [!!timestamp x]\ntrain: images\n"), "not valid YAML"),
    "YAML without end": (yolo("names: [a]\n" + "#" * 2**20), "bytes of YAML; at most 1,048,576 are accepted"),
    "a record of 2^60 bytes": (records(frame(b"", claims=2**60)), "damaged or cut off after 0 records"),
    "a record of 2^63 bytes": (
        records(frame(b"x") + frame(b"", claims=2**63)),
        "of 2 problems: .*record 0: no tf.train",
    ),
    "a record that isn't whole": (records(frame(b"x" * 9)[:-1]), "damaged or cut off after 0 records"),
    "records of many files": (
        records(frame(b"x"), "x-train-00000-of-9999999999.tfrecord"),
        "of 9999999999 files 9999999998 are missing",
    ),
    "an archive that unpacks to more": (archive(2**30), "1,073,741,824 unpacked bytes; at most 536,870,912 are acc"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_data_sets_that_are_refused(case, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    (tmp_path / "set").mkdir()
    write, message = REFUSED[case]
    file = write(tmp_path / "set")
    with pytest.raises((OSError, ValueError), match=message) as caught:
        read(file if file.suffix == ".zip" else tmp_path / "set", "train")
    assert len(str(caught.value).splitlines()) == 1 and str(tmp_path / "set") in str(caught.value)
    assert not list((tmp_path / "home").rglob("*.txt"))


BIG = 10**400
LEFT_OUT = {
    "a box of 400 digits": (coco(bbox=[BIG, 2, 3, 4]), 0, "annotations[0] of a.jpg: an object 'cat' without four"),
    "an area of 400 digits": (coco(area=BIG), 1, None),
    "a crowd of 400 digits": (coco(iscrowd=BIG), 1, None),
    "an image of 400 digits": (coco(image_id=BIG), 0, "of an image that is not listed"),
    "a size of 400 digits": (voc(annotation(size=("9" * 400, 1))), 0, "no <size> with a width and a height"),
    "a class of 5000 digits": (yolo("names: [a]\ntrain: images\n", "9" * 5000 + " 0.5 0.5 0.2 0.2\n"), 0, "not in 0"),
    "control characters": (voc(annotation("x&#x9b;2J&#x202e;")), 1, None),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_is_left_out_is_told_in_a_line(case, tmp_path):
    write, count, message = LEFT_OUT[case]
    file = write(tmp_path)
    good = tmp_path / "other"
    problems, boxes, names = [], 0, ()
    try:
        data = read(tmp_path, "train")
        problems, names = data.problems, data.class_names
        boxes = sum(len(example.boxes) for example in data.examples)
    except ValueError as e:
        problems = [str(e)]
    assert boxes == count and not good.exists() and file.exists()
    assert message is None or any(message in line for line in problems), problems
    assert not any(sign in text for text in (*problems, *names) for sign in "\x1b\x07\x9b\u202e\n")


def test_shards_that_are_missing_are_counted_not_listed(tmp_path):
    from cspkeras.training.data.readers.tfrecord import _missing

    files = [tmp_path / f"x-{i:05}-of-{10**12}.tfrecord" for i in (0, 1, 3)]
    assert _missing(files) == [f"{tmp_path}: of {10**12} files {10**12 - 3} are missing, the first is number 2"]


PIXELS = "169,000,000 pixels; at most 64,000,000 are accepted, set CSPKERAS_MAX_PIXELS for more"
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\n%%EndComments\n(x) print\n"
PICTURES = {
    "of 13,000 x 13,000": (lambda path: jpeg(path, 13000, 13000), PIXELS),
    "of 65,500 x 65,500": (lambda path: jpeg(path, 65500, 65500), "4,290,250,000 pixels; at most"),
    "EPS": (lambda path: path.write_bytes(EPS), "unknown or damaged format"),
    "SVG": (lambda path: path.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>"), "unknown or damaged format"),
    "a pipe": (os.mkfifo, "it is not a file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "it is not a file"),
    "a socket": (lambda path: socket.socket(socket.AF_UNIX).bind(os.fspath(path)), "it is not a file"),
    "a link to itself": (lambda path: path.symlink_to(path), "symbolic links"),
    "without end": (lambda path: path.touch() or os.truncate(path, 2**36), "68,719,476,736 bytes of an image"),
}


@pytest.mark.parametrize("case", PICTURES)
def test_images_that_are_refused(case, tmp_path, monkeypatch):
    write, message = PICTURES[case]
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    path = tmp_path / "a.jpg"
    write(path.relative_to(tmp_path) if case == "a socket" else path)
    for look in (read_pixels, upright_size):
        with pytest.raises(OSError, match=message if look is read_pixels else "not a readable image") as caught:
            look(path)
        assert str(path) in str(caught.value)
    ((_, _, error),) = frames([str(path)])
    assert isinstance(error, OSError)
    found = inspect({"train": ClassificationData([LabelledImage(path, 0)], ("cat",))})
    assert len(found.broken) == 1 and str(path) in found.broken[0]


def test_the_limit_of_pixels_is_raised_by_its_variable(tmp_path, monkeypatch):
    path = jpeg(tmp_path / "a.jpg", 20000, 20000)  # more than Pillow itself takes
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    with pytest.raises(ValueError, match="400,000,000 pixels; at most 64,000,000 are accepted"):
        load_image(path)
    monkeypatch.setenv("CSPKERAS_MAX_PIXELS", "400000000")
    assert upright_size(path) == (20000, 20000)
    monkeypatch.setenv("CSPKERAS_MAX_PIXELS", "many")
    with pytest.raises(ValueError, match="CSPKERAS_MAX_PIXELS must be a whole number of pixels. Received: 'many'"):
        load_image(path)


def test_only_the_listed_formats_of_images_are_opened(tmp_path):
    """Each of the suffixes that are images has its format in the list, and no format runs a program."""
    from cspkeras.tflite.device.frames import FORMATS, SUFFIXES

    Image.init()
    assert {Image.EXTENSION.get(suffix, "JPEG").replace("MPO", "JPEG") for suffix in SUFFIXES} == {*FORMATS}


def test_names_from_a_data_set_reach_no_terminal_as_they_are(tmp_path, capsys):
    from cspkeras.commands.main import main

    folder = small_voc(tmp_path / "voc", 2, 1)
    for file in (folder / "Annotations").glob("*.xml"):
        file.write_text(file.read_text().replace("</annotation>", annotation("e&#x9b;" * 900)[12:]))
    jpeg(folder / "JPEGImages" / f"{ESCAPES}.jpg")
    assert main(["data", "check", str(folder), "--sheet", str(tmp_path / "sheet.png")]) in (0, 1)
    said = "".join(capsys.readouterr())
    assert not set(said) & set("\x1b\x07\x9b\u202e") and max(map(len, said.splitlines())) <= 4200


def test_many_classes_and_boxes(tmp_path):
    """Each in a box, the half of them unknown: what is quadratic in them would take minutes."""
    count = 3000
    categories = [{"id": i, "name": f"c{i}"} for i in range(count)]
    images = [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}]
    objects = [{"id": i, "image_id": 1, "category_id": i, **BOX} for i in range(count)]
    jpeg(tmp_path / "a.jpg")
    put(
        tmp_path / "instances_train.json",
        json.dumps({"images": images, "annotations": objects, "categories": categories}),
    )
    names = [f"c{i}" for i in range(0, count, 2)]
    data = DataSet(tmp_path).read("train", names)
    assert len(data.problems) == count // 2
    figures = inspect({"train": data, "val": data}).splits["train"]["classes"]
    assert figures["c2"] == {"images": 1, "boxes": 1, "side": [round(math.sqrt(600), 1)] * 3}
