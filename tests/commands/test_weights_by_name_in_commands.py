"""`--weights` of the commands: published weights by name, from a server on this machine in place of their hosts."""

import dataclasses
import hashlib
import json
import shutil
import struct
from contextlib import ExitStack

import numpy as np
import pytest
from file_server import serving

from cspkeras.commands.main import main
from cspkeras.saving import load_detector
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


THINGS = {"blue": "person", "green": "car", "red": "dog"}


@pytest.fixture
def mirror(monkeypatch, tmp_path):
    """A function that puts a file on a mirror as a network's published one."""
    with ExitStack() as stack:

        def publish(name, content):
            digest = hashlib.sha256(content).hexdigest()
            row = dataclasses.replace(PUBLISHED[name]["coco"], size=len(content), checksum=f"sha256:{digest}")
            monkeypatch.setitem(PUBLISHED[name], "coco", row)
            monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))
            server = stack.enter_context(serving(content))
            monkeypatch.setenv("CSPKERAS_MIRROR", server.url)
            return server

        yield publish


@pytest.fixture
def data(make_voc):
    """Made-up images whose objects are called as three of COCO's."""
    folder = make_voc()
    for path in folder.glob("Annotations/*.xml"):
        text = path.read_text()
        for color, thing in THINGS.items():
            text = text.replace(f"<name>{color}</name>", f"<name>{thing}</name>")
        path.write_text(text)
    return folder


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
def test_one_command_from_nothing_to_an_int8_file(mirror, test_data, tmp_path, capsys):
    published = mirror("YOLOXNano", (test_data / "models/yolox_nano.onnx").read_bytes())  # a real one
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


TINY = "--model", "YOLOv4Tiny", "--weights", "coco"  # of the fewest layers


@pytest.mark.slow
def test_the_other_commands_take_them_as_well(mirror, data, tmp_path, monkeypatch, capsys, caplog):
    floats = np.random.default_rng(0).uniform(1e-3, 2e-2, PUBLISHED["YOLOv4Tiny"]["coco"].size // 4 - 5)
    published = mirror("YOLOv4Tiny", struct.pack("<5i", 0, 2, 5, 0, 0) + floats.astype("<f4").tobytes())
    served = []

    def make_server(file, *_):
        served.append(metadata.read(file))
        raise KeyboardInterrupt

    def run(command, *options):
        status = main([command, *map(str, options)])
        return status, capsys.readouterr()

    row = PUBLISHED["YOLOv4Tiny"]["coco"]
    origin = {"source": row.url, "license": row.license}
    where, once = ("--data", data, "--run"), ("--set", "epochs=1", "--set", "batch_size=2")
    status, said = run("train", *TINY, *where, tmp_path / "run", *once, "--size", 64)
    assert status == 0, said.err
    assert "is of 80 classes, not 3: their predictions stay as initialized" in caplog.text
    trained = load_detector(tmp_path / "run" / "best.keras")
    assert set(trained.class_names) == set(THINGS.values()) and trained.origin == origin

    status, said = run("evaluate", *TINY, "--data", data, "--split", "val", "--json")
    assert status == 0, said.err
    assert set(json.loads(said.out)["per_class"]) >= set(THINGS.values())

    status, said = run("quantize", *TINY, *where, tmp_path / "int8", "--loss", 1, "--refine", 0)
    assert status == 0, said.err
    settings, labels = metadata.read(tmp_path / "int8" / "int8.tflite")
    assert (settings["precision"], settings["weights"]) == ("int8", origin)

    monkeypatch.setattr("cspkeras.tflite.browser.server.make_server", make_server)
    assert run("serve", "YOLOv4Tiny", "--weights", "coco")[0] == 130  # of Ctrl-C
    ((settings, labels),) = served
    assert (settings["precision"], settings["weights"], tuple(labels)) == ("float16", origin, COCO)
    assert published.requests == [("/yolov4-tiny.weights", None)]  # fetched once
