"""The device's folder in environments of its own, without cspkeras and TensorFlow: the same boxes as Keras."""

import json
import shutil
import subprocess
import sys
import venv
from importlib.resources import files

import keras
import numpy as np
import pytest
from PIL import Image
from untrained import spread_outputs

from cspkeras.detection.images import letterbox
from cspkeras.tflite import convert

RUNTIMES = {"ai-edge-litert": ["ai-edge-litert", "numpy", "pillow"]}
if sys.version_info < (3, 12):  # where tflite-runtime stops
    RUNTIMES["tflite-runtime"] = ["tflite-runtime==2.14.0", "numpy<2", "pillow"]
PRECISIONS = ("float32", "float16", "int8")


@pytest.fixture(scope="module")
def case(make_detector, tmp_path_factory):
    """A folder with a file of each precision and images, and what Keras finds in each image."""
    folder = tmp_path_factory.mktemp("device")
    keras.utils.set_random_seed(5)
    model = make_detector(size=96)
    rng = np.random.default_rng(5)
    photos = {}
    for name, (h, w) in {"wide": (60, 150), "tall": (200, 90), "small": (40, 40)}.items():
        coarse = Image.fromarray(rng.integers(0, 255, (6, 6, 3), "uint8"))
        photos[name] = np.asarray(coarse.resize((w, h), Image.Resampling.BICUBIC))
    images = np.stack([letterbox(image, (96, 96))[0] for image in photos.values()]).astype("float32") / 255
    spread_outputs(model, images)
    (folder / "images").mkdir()
    for name, image in photos.items():
        Image.fromarray(image).save(folder / "images" / f"{name}.png")
    shutil.copytree(str(files("cspkeras.tflite.device")), folder / "phone")
    for precision in PRECISIONS:
        convert(model, folder / f"{precision}.tflite", precision, images[:, None])
    convert(brightest(), folder / "classifier.tflite", "int8", images[:, None], labels=("red", "green", "blue"))
    found = model.detect(list(photos.values()), score_threshold=0.5)
    assert sum(len(f["scores"]) for f in found) >= 6
    return folder, dict(zip(photos, found, strict=True))


def brightest():
    """A classifier that tells which of red, green and blue an image has most of."""
    image = keras.Input((96, 96, 3))
    means = keras.layers.GlobalAveragePooling2D()(image)
    return keras.Model(image, keras.layers.Softmax()(keras.layers.Rescaling(20.0)(means)), name="brightest")


@pytest.mark.slow
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_script_finds_what_keras_finds(case, tmp_path, runtime):
    folder, expected = case
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *RUNTIMES[runtime]], check=True)
    absent = subprocess.run([python, "-I", "-c", "import cspkeras"], capture_output=True)
    assert absent.returncode != 0
    for precision in PRECISIONS:
        output = tmp_path / precision
        command = [python, folder / "phone" / "detect.py", folder / f"{precision}.tflite", folder / "images"]
        subprocess.run([*command, "--output", output, "--score", "0.5"], check=True, cwd=tmp_path)
        images = json.loads((output / "detections.json").read_text())
        assert len(images) == len(expected)
        for image in images:
            name = image["file"].rsplit("/")[-1].removesuffix(".png")
            assert (output / f"{name}.png").is_file()
            if precision == "float32":
                compare(image["detections"], expected[name])
            else:  # an untrained network's many near ties fall either way in suppression
                pixels, share = {"float16": (1, 0.95), "int8": (6, 0.8)}[precision]
                assert share_found(image["detections"], expected[name], pixels) > share
    for name, color in {"red": (200, 90, 90), "blue": (40, 50, 99)}.items():
        Image.new("RGB", (120, 80), color).save(tmp_path / f"{name}.png")
    command = [
        python,
        folder / "phone" / "classify.py",
        folder / "classifier.tflite",
        "red.png",
        "blue.png",
        "--json",
        "all.json",
    ]
    subprocess.run(command, check=True, cwd=tmp_path)
    classes = json.loads((tmp_path / "all.json").read_text())
    assert [(record["file"], record["classes"][0]["label"]) for record in classes] == [
        ("red.png", "red"),
        ("blue.png", "blue"),
    ]


def compare(found, expected):
    """The same boxes in the same order."""
    assert len(found) == len(expected["scores"])
    boxes = np.array([d["box"] for d in found]).reshape(-1, 4)
    np.testing.assert_allclose(boxes, expected["boxes"], atol=0.1)
    np.testing.assert_allclose([d["score"] for d in found], expected["scores"], atol=1e-3)
    assert [int(d["label"]) for d in found] == expected["labels"].tolist()


def share_found(found, expected, pixels):
    """The share of Keras' surer boxes of which there is one of the same class within so many pixels."""
    sure = expected["scores"] > 0.6
    hits = [
        any(int(d["label"]) == label and np.abs(np.array(d["box"]) - box).max() < pixels for d in found)
        for box, label in zip(expected["boxes"][sure], expected["labels"][sure], strict=True)
    ]
    return np.mean(hits)
