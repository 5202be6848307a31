"""classify.py, on a classifier of colours that needs no training."""

import base64
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cell_detector
import keras
import numpy as np
import pytest
from cell_detector import LABELS, drawn_image
from PIL import Image

from cspkeras.tflite import convert
from cspkeras.tflite.device import classify

pytestmark = pytest.mark.integration

SCRIPT = Path(classify.__file__).resolve()
COLOURS = {"red": (200, 0, 0), "green": (0, 180, 0), "blue": (0, 0, 220)}


def classifier(softmax=True):
    """By the image's mean colour: the logits are eight times its parts in 0..1."""
    image = keras.Input((32, 48, 3))
    x = keras.layers.Rescaling(8.0)(keras.layers.GlobalAveragePooling2D()(image))
    return keras.Model(image, keras.layers.Softmax()(x) if softmax else x, name="colours")


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A file of probabilities, one of logits, an int8 one, and a detector's."""
    folder = tmp_path_factory.mktemp("classifiers")
    convert(classifier(), folder / "probabilities.tflite", labels=LABELS)
    convert(classifier(softmax=False), folder / "logits.tflite", labels=LABELS)
    pixels = (np.full((4, 32, 48, 3), np.eye(4, 3)[i % 4], "float32") for i in range(32))
    convert(classifier(), folder / "int8.tflite", "int8", pixels, labels=LABELS)
    cell_detector.write(folder / "detector.tflite")
    return folder


@pytest.fixture
def album(tmp_path):
    """An image of each colour in one folder, a broken file beside them."""
    (tmp_path / "album").mkdir()
    for name, colour in COLOURS.items():
        Image.new("RGB", (96, 64), colour).save(tmp_path / "album" / f"{name}.png")
    (tmp_path / "album" / "broken.png").write_bytes(b"no image")
    return tmp_path


def run(script, *arguments, cwd, **options):
    command = [sys.executable, str(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=cwd, **options)


@pytest.mark.parametrize(("name", "tolerance"), [("probabilities", 1e-5), ("logits", 1e-5), ("int8", 0.03)])
def test_a_classifier_gives_the_likeliest_classes_first(files, name, tolerance):
    found = classify.Classifier(files / f"{name}.tflite", threads=1)
    for label, colour in COLOURS.items():
        answers = found.classify(np.full((20, 90, 3), colour, "uint8"))
        expected = dict(zip(LABELS, softmax(np.array(colour) / 255 * 8), strict=True))
        assert answers[0][0] == label and len(answers) == 3
        assert [score for _, score in answers] == sorted((score for _, score in answers), reverse=True)
        for name, score in answers:
            assert score == pytest.approx(expected[name], abs=tolerance)
    assert found.classify(np.full((9, 9, 3), 200, "uint8"), top=2)[0][1] == pytest.approx(
        1 / 3, abs=max(tolerance, 0.01)
    )
    assert list(found.times) == ["preprocess", "inference", "postprocess"]


@pytest.mark.parametrize("size", [(32, 100), (90, 48), (64, 96)])
def test_it_looks_at_the_middle(files, size):
    height, width = size
    image = np.full((*size, 3), COLOURS["red"], "uint8")
    scale = min(height / 32, width / 48)
    top, left = round((height - 32 * scale) / 2), round((width - 48 * scale) / 2)
    image[top : height - top, left : width - left] = COLOURS["green"]
    assert classify.Classifier(files / "probabilities.tflite").classify(image)[0][0] == "green"


def test_the_command_line_lists_each_image(files, album):
    done = run(SCRIPT, files / "int8.tflite", "album", "missing.png", "--top", 2, "--json", "out/all.json", cwd=album)
    assert done.returncode == 0, done.stderr
    records = json.loads((album / "out" / "all.json").read_text())
    assert [Path(record["file"]).stem for record in records] == ["blue", "green", "red"]
    for record in records:
        assert record["classes"][0]["label"] == Path(record["file"]).stem and len(record["classes"]) == 2
        assert (record["width"], record["height"]) == (96, 64)
    assert re.fullmatch(
        r"album/blue.png: blue (1\.00|0\.\d\d), \w+ 0\.\d\d, \d+\.\d ms per frame", done.stdout.splitlines()[0]
    )
    assert "album/broken.png: skipped: " in done.stderr and "missing.png: skipped: No such file" in done.stderr
    assert re.fullmatch(r"images: 3, skipped: 2, median \d+\.\d ms per frame", done.stdout.splitlines()[-1])


def test_lines_of_json_and_a_file_without_settings(files, album):
    content = (files / "probabilities.tflite").read_bytes()
    (album / "bare.tflite").write_bytes(content[: content.index(b"PK\x03\x04")])
    (album / "names.txt").write_text("\n".join(LABELS))
    encoded = base64.b64encode((album / "album" / "green.png").read_bytes()).decode()
    lines = "\n".join(["album/red.png", json.dumps({"image": encoded, "id": "x"})])
    done = run(SCRIPT, "bare.tflite", "-", "--labels", "names.txt", "--threads", 1, cwd=album, input=lines)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(f["file"], f["classes"][0]["label"]) for f in found] == [("album/red.png", "red"), ("x", "green")]


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("classify", ["{detector}"], "classify.py: {detector}: its settings say task: detection; detect.py runs it"),
        ("detect", ["{logits}"], "detect.py: {logits}: its settings say task: classification; classify.py runs it"),
        ("classify", ["{logits}", "--top", "0"], "classify.py: top must be at least 1. Received: 0"),
        ("classify", ["{missing}"], "classify.py: {missing}: No such file or directory"),
        (
            "classify",
            ["{logits}", "--labels", "two.txt"],
            "{logits}: 2 labels for 3 classes; give --labels FILE with 3 names",
        ),
    ],
)
def test_the_command_lines_say_in_one_line_what_is_wrong(files, album, script, arguments, message):
    (album / "two.txt").write_text("one\ntwo")
    paths = {name: files / f"{name}.tflite" for name in ("detector", "logits", "missing")}
    model, *options = (argument.format(**paths) for argument in arguments)
    done = run(SCRIPT.with_name(f"{script}.py"), model, "album/red.png", *options, cwd=album)
    assert done.returncode == 1 and not done.stdout
    assert message.format(**paths) in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


def test_both_scripts_run_in_a_copy_of_their_folder(files, album):
    Image.fromarray(drawn_image(96, 64, (16, 32, 32, 48))).save(album / "photo.png")
    shutil.copytree(SCRIPT.parent, album / "phone")
    environment = {"PATH": ""}
    done = run("phone/detect.py", files / "detector.tflite", "photo.png", cwd=album, env=environment)
    assert done.returncode == 0 and "1 object (red" in done.stdout, done.stderr
    done = run("phone/classify.py", files / "int8.tflite", "album/red.png", cwd=album, env=environment)
    assert done.returncode == 0 and re.match(r"album/red.png: red (1\.00|0\.\d\d), ", done.stdout), done.stderr
