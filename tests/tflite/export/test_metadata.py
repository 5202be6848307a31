"""Settings and class names inside a .tflite file."""

import json
import re
import subprocess
import sys
import zipfile

import pytest

from cspkeras.tflite.device.contents import NoSettingsError
from cspkeras.tflite.device.detect import Detector
from cspkeras.tflite.export import metadata

SETTINGS = {
    "task": "detection",
    "model": "CSPPeleeNetEFM",
    "precision": "int8",
    "input": {
        "height": 416,
        "width": 416,
        "colors": "RGB",
        "mean": 0.0,
        "scale": 1 / 255,
        "resize": "letterbox",
        "fill": 114,
    },
    "boxes": "cyxhw",
    "score_threshold": 0.25,
    "iou_threshold": 0.5,
}
LABELS = ["red cell", "Blutplättchen", "球"]
MODEL = b"\x1c\0\0\0TFL3" + bytes(range(256)) * 3


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "model.tflite"
        path.write_bytes(content)
        return path

    return write


def test_what_is_attached_is_read_again(file):
    path = file(metadata.attach(MODEL, SETTINGS, LABELS))
    assert metadata.read(path) == ({"format": 1, **SETTINGS}, LABELS)
    assert Detector.read_settings(path) == metadata.read(path)  # the device's script has a reader of its own


def test_the_file_is_the_network_followed_by_a_zip_archive(file):
    path = file(metadata.attach(MODEL, SETTINGS, LABELS))
    assert path.read_bytes().startswith(MODEL)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.read("labels.txt").decode() == "red cell\nBlutplättchen\n球\n"
        assert json.loads(archive.read("cspkeras.json"))["input"]["scale"] == 1 / 255


def test_attaching_again_replaces_and_gives_the_same_bytes(file):
    once = metadata.attach(MODEL, SETTINGS, LABELS)
    assert metadata.attach(MODEL, SETTINGS, LABELS) == once
    assert metadata.attach(once, SETTINGS, LABELS) == once
    other = metadata.attach(once, {**SETTINGS, "precision": "float16"}, ["one"])
    assert metadata.read(file(other))[0]["precision"] == "float16"
    assert metadata.read(file(other))[1] == ["one"]
    assert metadata.attach(other, SETTINGS, LABELS) == once


def test_entries_of_others_stay(file):
    path = file(MODEL)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labelmap.txt", "theirs")
    path = file(metadata.attach(path.read_bytes(), SETTINGS, LABELS))
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == ["cspkeras.json", "labelmap.txt", "labels.txt"]
        assert archive.read("labelmap.txt") == b"theirs"
    assert path.read_bytes()[: len(MODEL)] == MODEL


@pytest.mark.parametrize("tail", [b"PK\5\6", b"PK\5\6" + b"\xff" * 18, b"PK\1\2PK\3\4"])
def test_weights_that_look_like_an_archive_stay_whole(file, tail):
    content = metadata.attach(MODEL + tail, SETTINGS, LABELS)
    assert content.startswith(MODEL + tail)
    assert metadata.read(file(content))[1] == LABELS


@pytest.mark.parametrize(
    "model, settings, labels, message",
    [
        (b"PK\3\4 no model", SETTINGS, LABELS, "not a .tflite file"),
        (b"", SETTINGS, LABELS, "not a .tflite file"),
        (MODEL, {**SETTINGS, "input": {"height": 416}}, LABELS, "lack input.width, input.colors"),
        (MODEL, {"task": "detection"}, LABELS, "lack model, precision, input, boxes"),
        (MODEL, SETTINGS, ["cell", ""], "labels must be"),
        (MODEL, SETTINGS, ["two\nlines"], r"Received: 'two\nlines'"),
        (MODEL, SETTINGS, [7], "Received: 7"),
    ],
)
def test_attach_names_what_is_wrong(model, settings, labels, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        metadata.attach(model, settings, labels)


def archive_of(**entries):
    def write(path):
        path.write_bytes(MODEL)
        with zipfile.ZipFile(path, "a") as archive:
            for name, content in entries.items():
                archive.writestr(name.replace("_", "."), content)

    return write


@pytest.mark.parametrize("read", [metadata.read, Detector.read_settings])
@pytest.mark.parametrize(
    "write, message",
    [
        (lambda path: path.write_bytes(b"GIF89a and more"), "not a .tflite file"),
        (lambda path: path.write_bytes(b""), "not a .tflite file"),
        (lambda path: path.write_bytes(MODEL), "carries no cspkeras settings; export it with"),
        (archive_of(labels_txt="a\n"), "carries no cspkeras settings; export it with"),
        (archive_of(cspkeras_json=json.dumps(SETTINGS)), "carries no cspkeras settings; export it with"),
        (archive_of(cspkeras_json='{"form', labels_txt="a\n"), "settings"),
        (archive_of(cspkeras_json="[1]", labels_txt="a\n"), "settings"),
        (archive_of(cspkeras_json=json.dumps({**SETTINGS, "format": 2}), labels_txt="a\n"), "format.* 2"),
    ],
)
def test_read_names_the_file_and_what_is_wrong(tmp_path, read, write, message):
    path = tmp_path / "some.tflite"
    write(path)
    with pytest.raises(ValueError, match=message) as error:
        read(path)
    assert str(path) in str(error.value)
    with pytest.raises(FileNotFoundError, match="missing.tflite"):
        read(tmp_path / "missing.tflite")


def test_a_file_whose_input_and_outputs_are_unknown_is_one_without_settings(file):
    about = {"task": "other", "precision": "int8", "weights": {"source": "x", "license": "MIT"}}
    path = file(metadata.attach(MODEL, about, ()))
    assert metadata.read(path)[0] == {"format": 1, **about}
    with pytest.raises(NoSettingsError, match="its settings say nothing of its input and outputs; export it with lab"):
        Detector.read_settings(path)


@pytest.mark.integration
def test_needs_the_standard_library_alone():
    code = f"import runpy; runpy.run_path({metadata.__file__!r})"
    subprocess.run([sys.executable, "-S", "-E", "-c", code], check=True, timeout=60)
