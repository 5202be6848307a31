"""Swishes of very unequal channels, split into an equalized value and a gate."""

import keras
import numpy as np
import pytest
from keras import layers

from cspkeras.tflite import convert
from cspkeras.tflite.runtime.litert import run_cpu
from cspkeras.training.quantization.aware import calibrate, quantize_aware
from cspkeras.training.quantization.equalization import Gated, equalized

IMAGES = list(np.random.default_rng(0).uniform(0, 1, (8, 1, 24, 24, 3)).astype("float32"))


def network(next_layers, spread=300.0, activation="silu"):
    """A network whose first layer has four channels `spread` times as large as the others, which count as much."""
    keras.utils.set_random_seed(0)
    image = layers.Input((24, 24, 3))
    norm = layers.BatchNormalization(name="stem_bn")
    x = layers.Activation(activation, name="stem_act")(norm(layers.Conv2D(8, 3, name="stem")(image)))
    y = next_layers(x)
    sizes = np.where(np.arange(8) < 4, spread, 1.0)
    gamma, beta, *statistics = norm.get_weights()
    norm.set_weights([gamma * sizes, beta + 0.1, *statistics])
    model = keras.Model(image, layers.Dense(5, name="answer")(layers.Flatten()(y)))
    for layer in model.layers:
        if layer.name.startswith("next"):
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel / sizes[:, np.newaxis], bias])
    return model


NEXT = {
    "convolution": lambda x: layers.Conv2D(6, 3, name="next")(x),
    "depthwise": lambda x: layers.DepthwiseConv2D(3, name="next")(x),
    "padded": lambda x: layers.DepthwiseConv2D(3, strides=2, name="next")(layers.ZeroPadding2D(1)(x)),
    "two": lambda x: layers.Add()([layers.Conv2D(6, 3, name="next0")(x), layers.Conv2D(6, 3, name="next1")(x)]),
}
APART = {
    "added": lambda x: layers.Add()([layers.Conv2D(8, 1, name="next")(x), x]),
    "pooled": lambda x: layers.Conv2D(6, 3, name="next")(layers.AveragePooling2D(2)(x)),
    "grouped": lambda x: layers.Conv2D(6, 3, groups=2)(x),
}


def split(model):
    return [layer.name for layer in model.layers if isinstance(layer, Gated)]


def error(answers, model):
    wanted = model.predict(np.concatenate(IMAGES), verbose=0)
    found = np.concatenate([np.asarray(answers(image)) for image in IMAGES])
    return np.sqrt(np.square(found - wanted).mean() / wanted.var())


@pytest.mark.integration
@pytest.mark.parametrize("kind", NEXT)
def test_unequal_channels_are_split_and_answer_the_same(kind):
    model = network(NEXT[kind])
    before = model.get_weights()
    made = equalized(model, IMAGES)
    assert split(made) == ["stem_act_value"]
    assert error(made, model) < 1e-5
    assert all(map(np.array_equal, model.get_weights(), before)), "the model itself stays"


@pytest.mark.parametrize("kind", APART)
def test_what_other_layers_take_is_not_split(kind):
    model = network(APART[kind])
    assert equalized(model, IMAGES) is model


@pytest.mark.parametrize("options", [{"spread": 1.0}, {"activation": "relu"}], ids=str)
def test_equal_channels_and_other_activations_are_not_split(options):
    model = network(NEXT["depthwise"], **options)
    assert equalized(model, IMAGES) is model


@pytest.mark.integration
@pytest.mark.parametrize("kind", ["convolution", "padded"])
def test_8_bits_lose_a_fraction_of_what_they_did(kind, tmp_path):
    model = network(NEXT[kind])
    as_it_is = calibrate(quantize_aware(model), IMAGES)
    better = calibrate(quantize_aware(model, IMAGES), IMAGES)
    assert error(better, model) < 0.05 < 4 * error(better, model) < error(as_it_is, model)
    file = convert(better, tmp_path / "int8.tflite", "int8")
    run = run_cpu(file, np.concatenate(IMAGES))
    assert run.operations["DEQUANTIZE"] == run.operations["QUANTIZE"] == 1, "nothing falls back to floats"
    (answer,) = run.outputs.values()
    wanted = model.predict(np.concatenate(IMAGES), verbose=0)
    assert np.sqrt(np.square(np.asarray(answer).reshape(wanted.shape) - wanted).mean() / wanted.var()) < 0.06
