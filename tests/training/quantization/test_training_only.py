"""Keras' layers of random, noise and augmentation inside a model: listed from Keras itself, all are left out."""

import keras
import numpy as np
import pytest
from random_layers import IMAGES, RANDOM, by_maps, in_a_row, made

from cspkeras.tflite import convert
from cspkeras.tflite.runtime import litert
from cspkeras.training.quantization.flattening import flattened
from cspkeras.training.quantization.kinds import kind_of


def test_there_are_many():
    assert len(RANDOM) >= 28
    assert {"RandomFlip", "RandAugment", "AugMix", "MixUp", "CutMix", "Dropout", "GaussianNoise"} <= set(RANDOM)


@pytest.mark.parametrize("name", RANDOM)
def test_a_random_layer_is_left_out(name):
    layer = made(name)
    image = keras.Input(IMAGES.shape[1:])
    model = keras.Model(image, keras.layers.Conv2D(4, 1)(by_maps(name, layer)(image)))
    flat = flattened(model)
    assert kind_of(layer).training_only
    assert not [operation for operation in flat.operations if type(operation) is type(layer)]
    assert np.abs(np.asarray(flat(IMAGES)) - np.asarray(model.layers[-1](IMAGES))).max() < 1e-6


@pytest.fixture(scope="module")
def pair():
    """A model with all of these layers in a row before and between its own, and the same without them."""
    own = [keras.layers.Conv2D(3, 3, padding="same", activation="relu"), keras.layers.Dense(4, name="answers")]
    models = []
    for between in (in_a_row, lambda x: x):
        image = keras.Input(IMAGES.shape[1:], name="image")
        x = between(own[0](between(image)))
        models.append(keras.Model(image, own[1](keras.layers.Flatten()(x))))
    return models


@pytest.mark.integration
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_file_of_a_model_with_all_of_them_is_that_of_the_model_without(pair, tmp_path, precision):
    answers = []
    for i, model in enumerate(pair):
        calibration = [IMAGES] if precision == "int8" else None
        path = convert(model, tmp_path / f"{i}.tflite", precision, calibration, strict=True)
        run = litert.run_cpu(path, IMAGES)
        assert run.precision == precision
        answers.append((run.outputs["answers"], run.operations))
    (found, operations), (wanted, expected) = answers
    np.testing.assert_array_equal(found, wanted)
    assert operations == expected
