"""The range in which a model takes pixels, by its first layers."""

import keras
import numpy as np
import pytest
from keras import applications, layers, ops

from cspkeras.classification.pixels import BYTES, SIGNED, UNIT, Pixels, pixels_of, recognized_pixels


def model_of(*steps, shape=(16, 16, 3)):
    x = image = keras.Input(shape)
    for step in steps:
        x = step(x)
    return keras.Model(image, layers.Conv2D(2, 1)(x))


def normalization(mean, deviation):
    return layers.Normalization(mean=[mean] * 3, variance=[deviation**2] * 3)


def adapted(images, **options):
    layer = layers.Normalization(**options)
    layer.adapt(images)
    return layer


def two_branches(x):
    x = layers.Rescaling(1 / 255)(x)
    return layers.Add()([layers.Conv2D(3, 1)(x), layers.Conv2D(3, 1)(x)])


NOISE = np.random.default_rng(0).random((4, 16, 16, 3), "float32")
FLIP = keras.Sequential([layers.RandomFlip(), layers.RandomRotation(0.1)])
HEADS = {  # first layers, and what they take
    "none": ([], None),
    "Rescaling to 0..1": ([layers.Rescaling(1 / 255)], BYTES),
    "Rescaling to -1..1": ([layers.Rescaling(1 / 127.5, -1)], BYTES),
    "Rescaling of 0..1": ([layers.Rescaling(2.0, -1.0)], UNIT),
    "Rescaling to 0..255": ([layers.Rescaling(255.0)], UNIT),
    "Rescaling of -1..1": ([layers.Rescaling(127.5, 127.5)], SIGNED),
    "Rescaling that changes nothing": ([layers.Rescaling(1.0)], None),
    "Normalization of 0..255": ([normalization(110, 60)], BYTES),
    "Normalization of 0..1": ([normalization(0.45, 0.22)], UNIT),
    "adapted to 0..255": ([adapted(255 * NOISE)], BYTES),
    "adapted to 0..1, a number for each pixel": ([adapted(NOISE, axis=(1, 2, 3))], UNIT),
    "augmentation before it": ([FLIP, layers.Rescaling(1 / 255)], BYTES),
    "inside of a model": ([keras.Sequential([layers.RandomFlip(), layers.Rescaling(1 / 255)])], BYTES),
    "sizes before it": ([layers.Resizing(8, 8), layers.ZeroPadding2D(1), layers.Rescaling(1 / 255)], BYTES),
    "arithmetic": ([lambda x: ops.cast(x, "float32") / 127.5 - 1], BYTES),
    "preprocess_input, tf": ([applications.mobilenet_v2.preprocess_input], BYTES),
    "preprocess_input, caffe": ([applications.resnet50.preprocess_input], BYTES),
    "branches after it": ([two_branches], BYTES),
    "a norm with weights": ([layers.BatchNormalization()], None),
    "a convolution before it": ([layers.Conv2D(3, 1), layers.Rescaling(1 / 255)], None),
}


@pytest.mark.parametrize("head", HEADS)
def test_the_first_layers_show_what_a_model_takes(head):
    steps, expected = HEADS[head]
    model = model_of(*steps)
    assert recognized_pixels(model) == expected
    assert pixels_of(model) == (expected or UNIT)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("EfficientNetB0", BYTES),
        ("EfficientNetV2B0", BYTES),
        ("ConvNeXtTiny", BYTES),
        ("MobileNetV3Small", BYTES),
        ("MobileNetV2", None),
    ],
)
def test_keras_applications(name, expected):
    assert recognized_pixels(getattr(applications, name)(weights=None, input_shape=(32, 32, 3))) == expected


@pytest.mark.parametrize("shape", [(28, 28, 1), (None, None, 3)])
def test_grey_images_and_any_size(shape):
    assert recognized_pixels(model_of(layers.Rescaling(1 / 255), shape=shape)) == BYTES


def test_no_image_shows_nothing():
    vector, images = keras.Input((4,)), [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    assert recognized_pixels(keras.Model(vector, layers.Dense(2)(vector))) is None
    assert recognized_pixels(keras.Model(images, layers.Add()(images))) is None


def test_what_is_given_counts():
    model = model_of(layers.Rescaling(1 / 255))
    assert pixels_of(model, scale=[0.5]) == Pixels(0.0, 0.5)
    assert pixels_of(model, mean=127.5) == Pixels(127.5, 1.0)
    assert pixels_of(model, [124, 116, 104], 1 / 58) == Pixels((124.0, 116.0, 104.0), 1 / 58)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (dict(mean=[1, 2]), r"mean must be a number, or 3, one for each channel. Received: mean=\[1, 2\]"),
        (dict(scale="much"), "scale must be a number, or 3, one for each channel. Received: scale='much'"),
        (dict(mean=float("nan")), "mean must be a number"),
        (dict(scale=[1, 0, 1]), "scale must not be 0"),
    ],
)
def test_wrong_numbers(given, message):
    with pytest.raises(ValueError, match=message):
        pixels_of(model_of(), **given)


def test_images_become_inputs():
    pixels, images = Pixels((124.0, 116.0, 104.0), 1 / 58), np.random.default_rng(1).integers(0, 256, (2, 5, 6, 3))
    expected = (images - np.array([124, 116, 104])) / 58
    np.testing.assert_allclose(pixels.of(images), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(pixels.of_unit(np.float32(images / 255)), expected, rtol=1e-4, atol=1e-4)
    assert pixels.limits() == pytest.approx((-124 / 58, 151 / 58))
    unit = np.float32(images / 255)
    assert UNIT.of_unit(unit) is unit
    grey = BYTES.of_unit(unit, channels=1)
    np.testing.assert_allclose(grey[..., 0], images @ np.array([0.299, 0.587, 0.114]), rtol=1e-4)
