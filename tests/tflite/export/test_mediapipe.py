"""Exported files in MediaPipe Tasks, in an environment of its own: what MediaPipe finds is what the script finds."""

import json
import subprocess
import venv
from pathlib import Path

import keras
import numpy as np
import pytest
from cell_detector import LABELS, drawn_image, networks, settings
from PIL import Image

from cspkeras.tflite import convert
from cspkeras.tflite.device import detect
from cspkeras.tflite.export import mediapipe as mediapipe_metadata
from cspkeras.tflite.export import metadata
from cspkeras.tflite.export.flatbuffer import pack, unpack

THRESHOLD = 0.5


@pytest.fixture(scope="module")
def mediapipe(tmp_path_factory):
    """A function: what a task of MediaPipe's answers for a file and an image."""
    folder = tmp_path_factory.mktemp("mediapipe")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "mediapipe>=1.2,<2"], check=True, timeout=300)

    def run(task, model, image):
        Image.fromarray(image).save(folder / "image.png")
        script = Path(__file__).parents[2] / "support" / "mediapipe_tasks.py"
        command = [python, "-I", script, task, model, folder / "image.png", str(THRESHOLD)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-1000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


def embedded(content, about):
    """A file's bytes with MediaPipe's metadata."""
    model = unpack(content)
    mediapipe_metadata.embed(model, about, LABELS)
    return pack(model)


@pytest.mark.slow
def test_object_detector_gives_the_scripts_boxes(mediapipe, tmp_path):
    path = tmp_path / "cells.tflite"
    about = settings(score_threshold=THRESHOLD, iou_threshold=0.3)  # MediaPipe's own overlap; ours can't be given
    path.write_bytes(metadata.attach(embedded(networks()["float32"], about), about, LABELS))
    image = drawn_image(96, 64, (16, 32, 32, 48))
    image[:16, 64:80, 1] = 230
    found, expected = mediapipe("detect", path, image), detect.Detector(path).detect(image)
    assert [f["label"] for f in found] == [LABELS[label] for label in expected["labels"]] == ["red", "green"]
    np.testing.assert_allclose([f["score"] for f in found], expected["scores"], atol=1e-3)
    np.testing.assert_allclose([f["box"] for f in found], expected["boxes"], atol=1.1)  # its boxes are whole pixels


@pytest.mark.slow
def test_image_classifier_names_the_colour(mediapipe, tmp_path):
    image = keras.Input((32, 32, 3))
    means = keras.layers.GlobalAveragePooling2D()(image)
    model = keras.Model(image, keras.layers.Softmax()(keras.layers.Rescaling(8.0)(means)))
    path = convert(model, tmp_path / "colors.tflite", labels=LABELS)
    green = np.full((32, 32, 3), (0, 200, 0), np.uint8)
    (best,) = mediapipe("classify", path, green)
    expected = float(np.ravel(model(np.float32(green[None]) / 255))[1])
    assert best["label"] == "green" and best["score"] == pytest.approx(expected, abs=1e-3)


def test_the_metadata_leaves_the_network_as_it_is():
    content = networks()["float32"]
    once = embedded(content, settings())
    assert once[4:8] == b"TFL3" and len(once) < len(content) + 2500
    assert embedded(once, settings()).count(b"DETECTOR_METADATA") == 1


def test_raw_boxes_are_nothing_for_mediapipe():
    assert b"TFLITE_METADATA" not in embedded(networks()["float32"], settings(boxes="raw"))
