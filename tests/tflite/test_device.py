"""The device's script in environments of its own, without cspkeras and TensorFlow: the same boxes as Keras."""

import json
import shutil
import subprocess
import sys
import venv
from importlib.resources import files

import keras
import numpy as np
import pytest
from conftest import enliven
from PIL import Image

from cspkeras.detection.pictures import letterbox
from cspkeras.tflite import convert

RUNTIMES = {
    "tflite-runtime": ["tflite-runtime==2.14.0", "numpy<2", "pillow"],
    "ai-edge-litert": ["ai-edge-litert", "numpy", "pillow"],
}


@pytest.fixture(scope="module")
def case(make_detector, tmp_path_factory):
    """A folder with a float32 and an int8 file and pictures, and what Keras finds in each picture."""
    folder = tmp_path_factory.mktemp("device")
    keras.utils.set_random_seed(5)
    model = make_detector(size=96)
    rng = np.random.default_rng(5)
    pictures = {}
    for name, (h, w) in {"wide": (60, 150), "tall": (200, 90), "small": (40, 40)}.items():
        coarse = Image.fromarray(rng.integers(0, 255, (6, 6, 3), "uint8"))
        pictures[name] = np.asarray(coarse.resize((w, h), Image.Resampling.BICUBIC))
    images = np.stack([letterbox(picture, (96, 96))[0] for picture in pictures.values()]).astype("float32") / 255
    enliven(model, images)
    (folder / "pictures").mkdir()
    for name, picture in pictures.items():
        Image.fromarray(picture).save(folder / "pictures" / f"{name}.png")
    shutil.copy(str(files("cspkeras.tflite") / "detect.py"), folder)
    convert(model, folder / "float32.tflite", "float32")
    found = model.detect(list(pictures.values()), score_threshold=0.5)
    assert sum(len(f["scores"]) for f in found) >= 6
    return folder, dict(zip(pictures, found, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_script_finds_what_keras_finds(case, tmp_path, runtime):
    if runtime == "tflite-runtime" and sys.version_info >= (3, 12):
        pytest.skip("tflite-runtime 2.14.0 stops at Python 3.11")
    folder, expected = case
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *RUNTIMES[runtime]], check=True)
    absent = subprocess.run([python, "-I", "-c", "import cspkeras"], capture_output=True)
    assert absent.returncode != 0
    output = tmp_path / "found"
    command = [python, folder / "detect.py", folder / "float32.tflite", folder / "pictures"]
    subprocess.run([*command, "--output", output, "--score", "0.5"], check=True, cwd=tmp_path)

    pictures = json.loads((output / "detections.json").read_text())
    assert len(pictures) == len(expected)
    for picture in pictures:
        name = picture["file"].rsplit("/")[-1].removesuffix(".png")
        keras_found, found = expected[name], picture["detections"]
        assert (output / f"{name}.png").is_file()
        assert len(found) == len(keras_found["scores"])
        boxes = np.array([d["box"] for d in found]).reshape(-1, 4)
        np.testing.assert_allclose(boxes, keras_found["boxes"], atol=0.1)
        np.testing.assert_allclose([d["score"] for d in found], keras_found["scores"], atol=1e-3)
        assert [int(d["label"]) for d in found] == keras_found["labels"].tolist()
