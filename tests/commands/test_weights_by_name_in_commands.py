"""`--weights` of the commands: published weights by name, from a server on this machine in place of their hosts."""

import dataclasses
import hashlib
import shutil

import pytest
from file_server import serving

from cspkeras.commands.main import main
from cspkeras.tflite.device.detect import Detector
from cspkeras.tflite.export import metadata
from cspkeras.weights.published.coco import COCO
from cspkeras.weights.published.rows import PUBLISHED

OUT, DATA = ("--output", "x.tflite"), ("--data", "none")
COMMANDS = {
    "export": ("export", *OUT, "--model"),
    "evaluate": ("evaluate", *DATA, "--model"),
    "quantize": ("quantize", *DATA, "--model"),
    "train": ("train", *DATA, "--model"),
    "serve": ("serve",),
}


@pytest.fixture
def published(monkeypatch, test_data, tmp_path):
    """Put a real YOLOX-Nano on a mirror, in the published file's place."""
    content = (test_data / "models/yolox_nano.onnx").read_bytes()
    row = dataclasses.replace(
        PUBLISHED["YOLOXNano"]["coco"],
        size=len(content),
        checksum=f"sha256:{hashlib.sha256(content).hexdigest()}",
    )
    monkeypatch.setitem(PUBLISHED["YOLOXNano"], "coco", row)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))
    with serving(content) as server:
        monkeypatch.setenv("CSPKERAS_MIRROR", server.url)
        yield server


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "train"])
def test_a_wrong_name_is_one_line(one_error, command, tmp_path):
    run = (*COMMANDS[command], "YOLOXNano", "--weights", "cocoo")
    run += ("--run", str(tmp_path / "run")) if command == "quantize" else ()
    assert "such as coco. Received: weights='cocoo'" in one_error(*run)
    run = (*COMMANDS[command], "YOLOXNanoo", *run[run.index("--weights") :])
    argument = "FILE" if command == "serve" else "--model"
    assert f"{argument} must be a network's name, such as YOLOXNano" in one_error(*run)


def test_the_page_runs_no_classifier(one_error):
    assert "FILE must be a detector's name. Received: FILE='PeleeNet'" in one_error(
        "serve", "PeleeNet", "--weights", "imagenet"
    )


def test_published_names_without_a_network_say_how(one_error):
    line = one_error("export", "--model", "YOLOv4", *OUT)
    assert line.endswith(
        "YOLOv4: missing; expected a .keras file with a detector, a classifier or another model, or "
        "--weights coco beside this network's name"
    )


def test_the_table_of_weights(capsys):
    assert main(["models", "--weights", "YOLO*"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("YOLOX") for line in lines) >= 4 and not any("imagenet" in line for line in lines)


@pytest.mark.integration
def test_one_command_from_nothing_to_an_int8_file(published, test_data, tmp_path, capsys):
    photos, file = tmp_path / "photos", tmp_path / "x.tflite"
    photos.mkdir()
    for image in sorted((test_data / "data/coco_free/images").glob("*.jpg"))[:3]:
        shutil.copy(image, photos)
    names = ("--model", "YOLOXNano", "--weights", "coco", "--size", "32", "32")
    command = ("export", *names, "--precision", "int8", "--data", str(photos), "--output", str(file))
    assert main(command) == 0, capsys.readouterr().err
    assert published.requests == [("/yolox_nano.onnx", None)]
    settings, labels = metadata.read(file)
    assert settings["weights"] == {"source": PUBLISHED["YOLOXNano"]["coco"].url, "license": "Apache-2.0"}
    assert (tuple(labels), settings["model"], settings["precision"]) == (COCO, "yoloxnano", "int8")
    assert settings["input"]["width"] == 32
    Detector(str(file))
