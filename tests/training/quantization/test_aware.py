"""Translation to tf-keras, fake quantization, calibration."""

import math
import re

import keras
import numpy as np
import pytest
from keras import layers
from small_networks import small_detector

import cspkeras
from cspkeras.training.quantization.aware import calibrate, quantize_aware, unwrap
from cspkeras.training.quantization.flattening import flattened
from cspkeras.training.quantization.quantizers import UNLIMITED
from cspkeras.training.quantization.refinement import augmented, refine
from cspkeras.training.quantization.translation import translate

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


def randomized(model):
    """Batch-norms that are not the identity, so that a mistake in their weights shows."""
    rng = np.random.default_rng(1)
    for variable in model.weights:
        if variable.path.rsplit("/")[-1] in ("gamma", "beta", "moving_mean", "moving_variance"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


@pytest.fixture(scope="module")
def randomized_detector():
    return randomized(small_detector())


@pytest.fixture(scope="module")
def quantized_detector(randomized_detector):
    """The quantization-aware detector; a test may change its ranges alone."""
    return quantize_aware(randomized_detector)


@pytest.mark.integration
def test_a_detector_translates_exactly(randomized_detector):
    for theirs, ours in zip(outputs(translate(randomized_detector)), outputs(randomized_detector), strict=True):
        assert np.abs(theirs - ours).max() <= 1e-5 * max(1, np.abs(ours).max())


def test_a_users_model_translates_exactly():
    model = randomized(ordinary_layers())
    images = IMAGES[:, :32, :32]
    assert np.abs(outputs(translate(flattened(model)), images)[0] - outputs(model, images)[0]).max() < 1e-5


@pytest.mark.parametrize("build", [cspkeras.CSPResNeXt50, cspkeras.CSPDarknet53Elastic, cspkeras.MobileNetV2])
@pytest.mark.slow
def test_backbones_translate_exactly(build):
    model = build(include_top=False, input_shape=(64, 64, 3))
    (theirs,), (ours,) = outputs(translate(flattened(model))), outputs(model)
    assert np.abs(theirs - ours).max() <= 1e-5 * np.abs(ours).max()


@pytest.mark.integration
def test_every_layer_is_wrapped(randomized_detector, quantized_detector):
    inner = [layer for layer in quantized_detector.layers if not layer.name.startswith("quant_")]
    assert [layer.name for layer in inner] == ["image"]
    wrapped = {unwrap(layer).name for layer in quantized_detector.layers}
    assert wrapped >= {layer.name for layer in randomized_detector.layers}


@pytest.mark.integration
def test_calibration_sets_ranges_and_leaves_weights(randomized_detector, quantized_detector):
    def kept():
        return {w.name: w.numpy() for w in quantized_detector.weights if "moving" in w.name or "kernel:" in w.name}

    before = kept()
    calibrate(quantized_detector, [IMAGES[:2], IMAGES[2:]])
    for name, value in kept().items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)
    for ours, exact in zip(outputs(quantized_detector), outputs(randomized_detector), strict=True):
        assert 0 < np.abs(ours - exact).mean() < 0.05 * np.ptp(exact)


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
    assert all(layer.trainable for layer in uncalibrated.layers)


def test_a_normalized_input_is_a_backbones_too_and_any_a_users(uncalibrated):
    calibrate(uncalibrated, [cspkeras.preprocess_input(IMAGES * 255, layout="timm")])
    calibrate(one_layer("mine"), [IMAGES * 255])


@pytest.mark.slow
def test_a_quantized_detector_trains_and_detects(make_detector):
    quantized = quantize_aware(make_detector())
    quantized.compile("adam")
    boxes = np.tile(np.float32([[0.1, 0.2, 0.5, 0.6], [0, 0, 0, 0]]), (4, 1, 1))
    target = {"boxes": boxes, "labels": np.tile(np.int32([1, -1]), (4, 1))}
    losses = quantized.fit(IMAGES, target, batch_size=4, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    (found,) = quantized.detect([(IMAGES[0] * 255).astype("uint8")], score_threshold=0.0)
    assert found["boxes"].shape[1] == 4 and len(found["boxes"]) == len(found["scores"]) > 0


def test_an_operation_with_settings_is_named():
    image = layers.Input((32, 32, 3))
    with pytest.raises(ValueError, match="more than tensors"):
        quantize_aware(keras.Model(image, image[..., :2]))


@pytest.mark.integration
def test_what_is_concatenated_shares_one_range(quantized_detector):
    def range_of(name):
        return quantized_detector.get_layer(f"quant_{name}").quantize_config.output.range

    shared = ["stage3_fuse", "stage3_part1_act", "stage3_part2_transition_act", "neck_p4_concat"]
    assert len({range_of(name) for name in shared}) == 1
    assert range_of("stage3_block1_concat") is range_of("stage3_block2_near_conv2_act")
    assert range_of("stage3_block1_concat") is not range_of("stage3_fuse")


@pytest.mark.slow
def test_raw_scores_have_a_range_of_their_own_and_values_before_a_swish_a_floor():
    model = cspkeras.YOLOXNano(classes=2, input_shape=(32, 32, 3))
    quantized = quantize_aware(model)

    def output(name):
        return quantized.get_layer(f"quant_{name}").quantize_config.output

    for level in ("p3", "p4", "p5"):
        assert {output(f"head_{level}_{part}").range.fixed for part in ("scores", "objectness", "classes")} == {8.0}
        assert output(f"head_{level}_boxes").tail == 0
    assert output("stem_conv_bn").limits == (-8, math.inf)
    assert output("stem_conv_act").limits == UNLIMITED


def test_a_model_that_gives_zeros_is_calibrated():
    image = layers.Input((8, 8, 3))
    x = layers.LeakyReLU()(layers.Conv2D(4, 1, kernel_initializer="zeros")(image))
    x = layers.Concatenate()([x, layers.Conv2D(4, 1, kernel_initializer="zeros")(image)])
    (found,) = outputs(calibrate(quantize_aware(keras.Model(image, x)), [IMAGES[:, :8, :8]]), IMAGES[:, :8, :8])
    assert np.abs(found).max() < 1e-6


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
