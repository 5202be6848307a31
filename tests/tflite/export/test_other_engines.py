"""tf-keras models, and int8 files against those of tensorflow-model-optimization's engine."""

import keras
import numpy as np
import pytest
import tf_keras
import tfmot_peer
from every_layer import lively, noise

from cspkeras.tflite import convert
from cspkeras.tflite.runtime import litert

pytestmark = pytest.mark.integration

SIDE = 32
IMAGES = np.random.default_rng(0).uniform(0, 1, (12, SIDE, SIDE, 3)).astype("float32")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return lively(tfmot_peer.network(keras, SIDE))


@pytest.fixture(scope="module")
def twin(model):
    return tfmot_peer.twin(model)


def answers(path):
    run = litert.run_cpu(path, IMAGES)
    assert run.precision == "int8"
    assert sum(map(len, run.graph.float_operations())) == 0
    (found,) = run.outputs.values()
    return found[:, 0]


def test_int8_is_as_good_as_the_second_engines(model, twin, tmp_path):
    exact = model.predict(IMAGES, verbose=0)
    assert np.abs(twin.predict(IMAGES, verbose=0) - exact).max() < 1e-5
    ours = answers(convert(model, tmp_path / "ours.tflite", "int8", [IMAGES]))
    theirs = answers(convert(tfmot_peer.quantized(twin, IMAGES), tmp_path / "theirs.tflite", "int8"))
    assert 0 < noise(ours, exact) <= 1.1 * noise(theirs, exact)
    assert noise(theirs, exact) < 0.2, "the second engine's ranges are set"


def test_a_tf_keras_model_becomes_int8_by_the_converters_calibration(model, twin, tmp_path):
    found = answers(convert(twin, tmp_path / "x.tflite", "int8", [IMAGES]))
    assert 0 < noise(found, model.predict(IMAGES, verbose=0)) < 0.1


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_tf_keras_model_becomes_a_file_of_floats(twin, tmp_path, precision):
    run = litert.run_cpu(convert(twin, tmp_path / "x.tflite", precision), IMAGES)
    (found,) = run.outputs.values()
    assert run.precision == precision
    assert noise(found[:, 0], twin.predict(IMAGES, verbose=0)) < 0.01


def test_a_tf_keras_model_without_images_is_told(tmp_path):
    image = tf_keras.layers.Input((8, 8, 3))
    model = tf_keras.Model(image, tf_keras.layers.Conv2D(2, 1)(image), name="old")
    with pytest.raises(ValueError, match=r"int8 needs a model from .*, or calibration images. Received: old"):
        convert(model, tmp_path / "x.tflite", "int8")
    assert list(tmp_path.iterdir()) == []
