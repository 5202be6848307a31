"""Quantization-aware models: fake quantization, calibration, refinement."""

import inspect
import re
import sys

import keras
import numpy as np
import pytest
from every_layer import lively, noise
from keras import layers
from small_networks import small_detector
from untrained import calibrate_norms

import cspkeras
from cspkeras.graph import followers
from cspkeras.training.quantization.aware import (
    QuantizedDetector,
    calibrate,
    is_quantized,
    quantize_aware,
    quantizers_of,
)
from cspkeras.training.quantization.deployed import deployed
from cspkeras.training.quantization.flattening import flattened
from cspkeras.training.quantization.kinds import kind_of
from cspkeras.training.quantization.quantizers import FakeQuant, QuantizedLayer
from cspkeras.training.quantization.refinement import augmented, refine

IMAGES = np.random.default_rng(0).uniform(0, 1, (4, 64, 64, 3)).astype("float32")


def outputs(model, images=IMAGES):
    return [np.asarray(x) for x in keras.tree.flatten(model(images))]


def ordinary_layers():
    """A user's own model: layers of keras alone, activations inside convolutions, an operation, dropout."""
    image = layers.Input((32, 32, 3))
    x = layers.Rescaling(2.0, offset=-1.0)(image)
    x = layers.Conv2D(8, 3, activation="relu", padding="same")(x)
    y = layers.DepthwiseConv2D(3, padding="same", activation="sigmoid")(x)
    x = layers.Multiply()([x, y])
    x = layers.Add()([x, layers.Conv2D(8, 1)(x)])
    x = keras.ops.maximum(x, y)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU(max_value=6.0)(layers.Conv2D(8, 3, strides=2)(x))
    x = layers.AveragePooling2D(2)(layers.Dropout(0.5)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(5, activation="softmax")(x), name="ordinary")


@pytest.fixture(scope="module")
def lively_detector():
    return lively(small_detector())


@pytest.fixture(scope="module")
def quantized_detector(lively_detector):
    """The quantization-aware detector; a test may change its ranges alone."""
    return quantize_aware(lively_detector)


@pytest.mark.integration
def test_a_detector_is_flattened_exactly(lively_detector):
    for theirs, ours in zip(outputs(flattened(lively_detector)), outputs(lively_detector), strict=True):
        assert np.abs(theirs - ours).max() <= 1e-5 * max(1, np.abs(ours).max())


def test_a_users_model_is_flattened_exactly():
    model = lively(ordinary_layers())
    images = IMAGES[:, :32, :32]
    assert np.abs(outputs(flattened(model), images)[0] - outputs(model, images)[0]).max() < 1e-5


def test_a_network_may_be_deeper_than_pythons_limit_of_calls():
    x = image = keras.Input((2, 2, 1))
    for _ in range(150):
        x = layers.Add()([x, image])
    model, before = keras.Model(image, x), sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 180)  # fewer calls than a quantized model has layers
    try:
        assert len(quantize_aware(model).layers) > 300
        assert sys.getrecursionlimit() < before
    finally:
        sys.setrecursionlimit(before)


def test_calibration_begins_anew_and_bad_images_change_nothing():
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.ReLU()(keras.layers.Conv2D(4, 3)(image)))
    images = np.random.default_rng(0).random((4, 8, 8, 3), "float32")
    again, fresh = (calibrate(quantize_aware(model), [part]) for part in (10 * images, images))
    wide = [quantizer.steps() for quantizer in quantizers_of(again)]
    with pytest.raises(ValueError, match="finite numbers"):
        calibrate(again, [images, images + np.nan])
    assert [quantizer.steps() for quantizer in quantizers_of(again)] == wide
    calibrate(again, [images])
    assert [q.steps() for q in quantizers_of(again)] == [q.steps() for q in quantizers_of(fresh)] != wide


@pytest.mark.parametrize("build", [cspkeras.CSPResNeXt50, cspkeras.MobileNetV2])
@pytest.mark.slow
def test_backbones_are_flattened_exactly_and_deployed_as_they_are_quantized(build):
    model = calibrate_norms(build(include_top=False, input_shape=(64, 64, 3)), IMAGES)
    (theirs,), (ours,) = outputs(flattened(model)), outputs(model)
    assert np.abs(theirs - ours).max() <= 1e-5 * np.abs(ours).max()
    quantized = calibrate(quantize_aware(model), [IMAGES])
    (rounded,), (in_the_file,) = outputs(quantized), outputs(lambda x: deployed(quantized)([x]))
    # After dozens of random layers a step that rounds the other way is a difference of its own.
    assert noise(in_the_file, rounded) < 1.2 * noise(rounded, ours) < 0.3
    assert noise(in_the_file, ours) < 1.1 * noise(rounded, ours)


@pytest.mark.integration
def test_every_layer_is_there_and_every_kernel_is_rounded(lively_detector, quantized_detector):
    assert isinstance(quantized_detector, QuantizedDetector)
    assert is_quantized(quantized_detector) and not is_quantized(lively_detector)
    found = {layer.name: layer for layer in quantized_detector.layers}
    assert set(found) >= {layer.name for layer in lively_detector.layers}
    with_kernel = {layer.name for layer in lively_detector.layers if kind_of(layer).kernel}
    assert {name for name, layer in found.items() if isinstance(layer, QuantizedLayer)} == with_kernel
    after = followers(quantized_detector)
    assert all(isinstance(layer, FakeQuant) for layer in after[found["image"]])


@pytest.mark.integration
def test_calibration_sets_ranges_and_leaves_weights(lively_detector, quantized_detector):
    def kept():
        names = "kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance"
        return {w.path: np.array(w) for w in quantized_detector.weights if w.name in names}

    before = kept()
    calibrate(quantized_detector, [IMAGES[:2], IMAGES[2:]])
    assert len(before) > 50
    for name, value in kept().items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)
    rounded = outputs(quantized_detector)
    for ours, exact in zip(rounded, outputs(lively_detector), strict=True):
        assert 0 < np.abs(ours - exact).mean() < 0.05 * np.ptp(exact)
    in_the_file = keras.tree.flatten(deployed(quantized_detector)([IMAGES]))
    for found, ours in zip(in_the_file, rounded, strict=True):
        assert np.abs(found - ours).mean() < 0.01 * np.ptp(ours), "batch-norms are part of the kernels there"


NAN = np.where(np.arange(64)[:, None] == 5, np.float32(np.nan), IMAGES[:1])
WRONG = {  # batches for a backbone at 64x64 pixels, and what is said of them
    "none": ([], "calibration needs at least one batch of images; received none"),
    "another size": ([IMAGES[:, :32, :32]], "calibration takes batches (N, 64, 64, 3). Received: (4, 32, 32, 3)"),
    "no batch axis": (IMAGES, "(N, 64, 64, 3). Received: (64, 64, 3)"),
    "four channels": ([np.zeros((1, 64, 64, 4))], "(N, 64, 64, 3). Received: (1, 64, 64, 4)"),
    "an empty batch": ([IMAGES[:0]], "(N, 64, 64, 3). Received: (0, 64, 64, 3)"),
    "with labels": ([(IMAGES, np.zeros(4))], "(N, 64, 64, 3), the images alone. Received: a tuple of 2"),
    "bytes": ([IMAGES, (IMAGES * 255).astype("uint8")], "pixels in 0..1, as csppeleenet takes them. Received: 0 to 2"),
    "below zero": ([IMAGES - 4], "of pixels in 0..1, as csppeleenet takes them. Received: -3.99"),
    "NaN": ([NAN], "(N, 64, 64, 3) of finite numbers. Received: 192 that are not"),
}


def one_layer(name, size=64):
    """What `quantize_aware` makes of a model of one convolution; the name of a backbone of ours tells its range."""
    image = layers.Input((size, size, 3))
    return quantize_aware(keras.Model(image, layers.Conv2D(2, 1)(image), name=name))


@pytest.fixture(scope="module")
def uncalibrated():
    return one_layer("csppeleenet")


@pytest.mark.integration
@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_calibrate_is_told(case, uncalibrated):
    batches, message = WRONG[case]
    with pytest.raises(ValueError, match=re.escape(message)):
        calibrate(uncalibrated, batches)
    quantizers = [layer for layer in uncalibrated.layers if isinstance(layer, FakeQuant)]
    assert quantizers and not any(quantizer.calibrates for quantizer in quantizers)


def test_a_normalized_input_is_a_backbones_too_and_any_a_users(uncalibrated):
    calibrate(uncalibrated, [cspkeras.preprocess_input(IMAGES * 255, layout="timm")])
    calibrate(one_layer("mine"), [IMAGES * 255])


def test_a_model_that_gives_zeros_is_calibrated():
    image = layers.Input((8, 8, 3))
    x = layers.LeakyReLU()(layers.Conv2D(4, 1, kernel_initializer="zeros")(image))
    x = layers.Concatenate()([x, layers.Conv2D(4, 1, kernel_initializer="zeros")(image)])
    (found,) = outputs(calibrate(quantize_aware(keras.Model(image, x)), [IMAGES[:, :8, :8]]), IMAGES[:, :8, :8])
    assert np.abs(found).max() < 1e-6


def test_a_folded_norms_zero_channel_does_not_lose_its_bias():
    image = layers.Input((8, 8, 3))
    norm = layers.BatchNormalization()
    model = keras.Model(image, norm(layers.Conv2D(4, 1)(image)))
    norm.gamma.assign([0, 0, 1, 1])
    norm.beta.assign([3, -2, 0, 1])
    quantized = calibrate(quantize_aware(model), [IMAGES[:, :8, :8]])
    in_the_file = np.asarray(deployed(quantized)([IMAGES[:, :8, :8]]))
    assert np.abs(in_the_file[..., :2] - [3, -2]).max() < 0.05


@pytest.mark.integration
def test_refinement_brings_the_answers_nearer():
    image = layers.Input((16, 16, 3))
    x = layers.Conv2D(16, 3, strides=2, activation="swish")(image)
    x = layers.Conv2D(16, 3, activation="swish")(x)
    model = keras.Model(image, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))
    images = IMAGES.reshape(-1, 16, 16, 3)
    exact = model(images)
    quantized = calibrate(quantize_aware(model), [images])
    for weight in quantized.trainable_weights:  # as if 8 bits had moved every answer
        weight.assign(weight * 1.1)

    def error():
        return float(np.square(quantized(images) - exact).mean())

    before = error()
    refine(quantized, model, augmented([images[:32], images[32:]]), steps=60, learning_rate=1e-3)
    assert error() < before / 2


def test_refinement_without_pictures_is_an_error():
    model = ordinary_layers()
    with pytest.raises(ValueError, match="for each of 200 steps; received 0"):
        refine(quantize_aware(model), model, augmented([]))
