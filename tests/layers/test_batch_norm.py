"""The fused batch-norm, against Keras' own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cspkeras.layers import BatchNormalization

RNG = np.random.default_rng(0)
OPTIONS = [
    dict(),
    dict(epsilon=1e-5, momentum=0.9),
    dict(axis=3),
    dict(axis=1),
    dict(scale=False),
    dict(center=False),
    dict(renorm=True),
]
SHAPES = [(2, 5, 6, 8), (1, 1, 1, 8), (3, 8)]


def pair(options, shape=SHAPES[0], dtype="float32"):
    """Return our layer and Keras' own with the same weights, and an image."""
    image = tf.constant(RNG.normal(3, 2, shape), dtype)
    ours, own = BatchNormalization(**options, dtype=dtype), layers.BatchNormalization(**options, dtype=dtype)
    for layer in (ours, own):
        layer.build(shape)
    own.set_weights([RNG.uniform(0.5, 1.5, weight.shape) for weight in own.get_weights()])
    ours.set_weights(own.get_weights())
    return ours, own, image


def step(layer, image):
    """Return the output in training and the gradients of its weighted sum."""
    weights = tf.reshape(tf.range(tf.size(image)), tf.shape(image))
    with tf.GradientTape() as tape:
        tape.watch(image)
        out = layer(image, training=True)
        loss = tf.reduce_mean(tf.sin(tf.cast(weights, "float32")) * tf.cast(out, "float32"))
    return out, *tape.gradient(loss, [image, *layer.trainable_weights])


def assert_steps_alike(ours, own, image, run=step, **tolerance):
    for one, other in zip(run(ours, image), step(own, image), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(tf.cast(one, "float32"), tf.cast(other, "float32"), **tolerance)
    for one, other in zip(ours.weights, own.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.integration
@pytest.mark.parametrize("jit_compile", [None, False, True])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_values_gradients_and_averages_are_keras(options, jit_compile):
    ours, own, image = pair(options)
    run = step if jit_compile is None else tf.function(step, jit_compile=jit_compile)
    assert_steps_alike(ours, own, image, run, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours(image), own(image), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_shape(shape):
    assert_steps_alike(*pair({}, shape), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision(dtype):
    ours, own, image = pair({})
    half, policy = tf.cast(image, keras.DTypePolicy(dtype).compute_dtype), keras.DTypePolicy(dtype)
    ours, own = (type(layer).from_config({**layer.get_config(), "dtype": policy}) for layer in (ours, own))
    for layer in (ours, own):
        layer.build(half.shape)
    assert_steps_alike(ours, own, half, rtol=0.02, atol=0.02)


def test_it_is_one_operation_forward_and_one_backward():
    ours, _, image = pair({})
    operations = [op.type for op in tf.function(step).get_concrete_function(ours, image).graph.get_operations()]
    assert operations.count("FusedBatchNormV3") == operations.count("FusedBatchNormGradV3") == 1


def test_a_frozen_one_keeps_its_averages():
    ours, _, image = pair({})
    ours.trainable = False
    before = ours.get_weights()
    np.testing.assert_array_equal(ours(image, training=True), ours(image))
    for old, new in zip(before, ours.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_it_is_saved_as_keras_own_is(tmp_path):
    ours, own, image = pair(OPTIONS[1])
    assert {**ours.get_config(), "name": ""} == {**own.get_config(), "name": ""}
    model = keras.Sequential([layers.Input(image.shape[1:]), ours])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.layers[0], BatchNormalization)
    np.testing.assert_array_equal(loaded(image), model(image))
