"""Conversion in another process, as it is done where Keras runs on another backend than TensorFlow."""

import logging
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers
from outside_code import Doubled, halved
from small_networks import shallow_detector

from cspkeras.tflite import convert
from cspkeras.tflite.export import metadata, other_backend
from cspkeras.tflite.export.other_backend import convert_elsewhere
from cspkeras.tflite.runtime import litert
from cspkeras.training import calibrate, quantize_aware

IMAGES = np.random.default_rng(0).random((2, 64, 64, 3), "float32")
JAX = """
import sys
import keras
import numpy as np
from cspkeras.tflite import convert
assert keras.backend.backend() == "jax"
folder, images = sys.argv[1], np.random.default_rng(0).random((2, 64, 64, 3), "float32")
for name in ("float16", "int8"):
    model = keras.saving.load_model(f"{folder}/{name}.keras")
    convert(model, f"{folder}/{name}.jax.tflite", name)
"""


def classifier(*more):
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation=halved, name="conv")(image)
    for layer in (*more, layers.GlobalAveragePooling2D(), layers.Dense(3, "softmax")):
        x = layer(x)
    return keras.Model(image, x, name="tiny")


def endless():
    while True:
        yield IMAGES[:, :8, :8]


CASES = {  # the model, the precision and what else `convert` is given
    "classes": (
        lambda: classifier(Doubled()),
        "float16",
        {"labels": ["a", "b", "c"], "mean": np.float32(127.5), "scale": 1 / 127.5},
    ),
    "a detector": (shallow_detector, "int8", {"calibration": [IMAGES], "io": "uint8", "decode": "host"}),
}


def assert_alike(one, other):
    """The same settings, labels and answers; names within a file may differ."""
    assert metadata.read(one) == metadata.read(other)
    found, expected = (litert.run_cpu(path) for path in (one, other))
    assert list(found.outputs) == list(expected.outputs)
    for name, values in expected.outputs.items():
        np.testing.assert_array_equal(found.outputs[name], values)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_it_gives_the_same_file(case, tmp_path):
    build, precision, options = CASES[case]
    model = build()
    here = convert(model, tmp_path / "here.tflite", precision, **options)
    calibration = options.pop("calibration", None)
    there = convert_elsewhere(model, tmp_path / "there.tflite", calibration, precision=precision, **options)
    assert there == tmp_path / "there.tflite"
    assert_alike(there, here)


@pytest.mark.slow
def test_under_jax(tmp_path):
    detector = shallow_detector()
    detector.save(tmp_path / "float16.keras")
    quantized = calibrate(quantize_aware(detector), [IMAGES])
    quantized.save(tmp_path / "int8.keras")
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", JAX, tmp_path], env=environment, check=True, stderr=subprocess.DEVNULL)
    for precision, model in (("float16", detector), ("int8", quantized)):
        here = convert(model, tmp_path / "here.tflite", precision)
        assert_alike(tmp_path / f"{precision}.jax.tflite", here)


@pytest.mark.slow
def test_what_it_says_is_heard(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "cspkeras"):
        convert_elsewhere(classifier(), tmp_path / "x.tflite", endless(), precision="int8")
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0].startswith("calibration took 512 batches, 1024 inputs, of what may have no end")
    assert "conv_activation (Activation)" in lines[1]
    with pytest.raises(ValueError, match="^int8 needs a model from .* Received: tiny, calibration=None$"):
        convert_elsewhere(classifier(), tmp_path / "y.tflite", None, precision="int8")
    assert [path.name for path in tmp_path.iterdir()] == ["x.tflite"]


@pytest.mark.integration
def test_batches_that_break_off_end_it(tmp_path):
    def batches():
        yield IMAGES[:, :8, :8]
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        convert_elsewhere(classifier(), tmp_path / "x.tflite", batches(), precision="int8")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module, name", (("__main__", "Hidden"), (__name__, "here.<locals>.Hidden")))
def test_code_that_no_other_process_can_import(module, name, tmp_path):
    place = {"__module__": module, "__qualname__": name}
    model = classifier(type("Hidden", (layers.Layer,), {"call": lambda self, x: x + 1, **place})())
    with pytest.raises(ValueError, match=f"it can't import {name}; define such code at the top of a module of its own"):
        convert_elsewhere(model, tmp_path / "x.tflite", None)


def test_a_model_that_can_not_be_saved(tmp_path, monkeypatch):
    def save(path):
        raise NotImplementedError("first line\nsecond line")

    model = classifier()
    monkeypatch.setattr(model, "save", save)
    with pytest.raises(
        ValueError, match=r"the model can't be saved for it \(first line\); convert with .*=tensorflow$"
    ):
        convert_elsewhere(model, tmp_path / "x.tflite", None)


@pytest.mark.integration
def test_a_process_that_dies(tmp_path, monkeypatch):
    monkeypatch.setattr(other_backend, "CHILD", "raise SystemExit(3)")
    with pytest.raises(RuntimeError, match="^tiny: the process that converts with TensorFlow ended with status 3$"):
        convert_elsewhere(classifier(), tmp_path / "x.tflite", None)
