"""The grouped convolution, against Keras' own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from keras import layers

from cspkeras.layers import GroupedConv2D

RNG = np.random.default_rng(0)
OPTIONS = [
    dict(groups=2),
    dict(groups=4, padding="same", use_bias=False),
    dict(groups=8, strides=2, padding="same", activation="relu"),
    dict(groups=4, strides=2),
    dict(groups=2, dilation_rate=2, padding="same"),
    dict(groups=8, kernel_size=1),
    dict(groups=1),
]


def pair(options):
    """Return our layer and Keras' own with the same weights, and an image."""
    options = dict(filters=16, kernel_size=3) | options
    image = tf.constant(RNG.normal(size=(2, 9, 10, 8)).astype("float32"))
    ours, own = GroupedConv2D(**options), layers.Conv2D(**options)
    for layer in (ours, own):
        layer.build(image.shape)
    own.set_weights([RNG.normal(size=weight.shape) for weight in own.get_weights()])
    ours.set_weights(own.get_weights())
    return ours, own, image


def gradients(layer, image):
    with tf.GradientTape() as tape:
        tape.watch(image)
        loss = tf.reduce_sum(tf.square(layer(image)))
    return tape.gradient(loss, [image, *layer.trainable_weights])


@pytest.mark.integration
@pytest.mark.parametrize("jit_compile", [None, False, True])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_values_and_gradients_are_keras(options, jit_compile):
    ours, own, image = pair(options)
    value, gradient = ours, gradients
    if jit_compile is not None:
        value = tf.function(ours, jit_compile=jit_compile)
        gradient = tf.function(gradients, jit_compile=jit_compile)
    np.testing.assert_allclose(value(image), own(image), rtol=1e-4, atol=1e-4)
    for one, other in zip(gradient(ours, image), gradients(own, image), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


def test_it_is_native_forward_and_backward_where_tensorflow_has_the_gradient(monkeypatch):
    monkeypatch.setattr("cspkeras.layers._differentiable", lambda dtype: True)  # not every CPU has it: only the graph
    ours, _, image = pair(OPTIONS[1])
    operations = [op.type for op in tf.function(gradients).get_concrete_function(ours, image).graph.get_operations()]
    assert {"Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter"} <= set(operations)
    assert not [name for name in operations if "Call" in name], "a function of its own, which XLA may have to compile"


@pytest.mark.integration
@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision(dtype):
    ours, own, image = pair(OPTIONS[1] | {"dtype": keras.DTypePolicy(dtype)})
    assert ours(image).dtype == keras.DTypePolicy(dtype).compute_dtype
    np.testing.assert_allclose(tf.cast(ours(image), "float32"), tf.cast(own(image), "float32"), rtol=0.02, atol=0.1)
    for one, other in zip(tf.function(gradients)(ours, image), gradients(own, image), strict=True):
        np.testing.assert_allclose(one, other, rtol=0.05, atol=2)


def test_where_tensorflow_has_no_gradient_keras_own_way_is_taken(monkeypatch):
    ours, own, image = pair(OPTIONS[1])
    monkeypatch.setattr("cspkeras.layers._differentiable", lambda dtype: False)
    for one, other in zip(gradients(ours, image), gradients(own, image), strict=True):
        np.testing.assert_array_equal(one, other)


def test_channels_first_keeps_keras_own_way():
    layer = GroupedConv2D(4, 3, groups=2, padding="same", data_format="channels_first")
    assert layer.compute_output_shape((2, 6, 5, 7)) == (2, 4, 5, 7)
    own = layers.Conv2D(4, 3, groups=2, padding="same")
    image = RNG.normal(size=(2, 5, 7, 6)).astype("float32")
    own.build(image.shape)
    layer.build((2, 6, 5, 7))
    layer.set_weights(own.get_weights())
    out = tf.function(layer, jit_compile=True)(image.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(tf.transpose(out, (0, 2, 3, 1)), own(image), rtol=1e-4, atol=1e-5)


def test_it_is_saved_as_a_conv2d_is(tmp_path):
    ours, own, image = pair(OPTIONS[2])
    assert {**ours.get_config(), "name": ""} == {**own.get_config(), "name": ""}
    model = keras.Sequential([layers.Input(image.shape[1:]), ours])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.layers[0], GroupedConv2D)
    np.testing.assert_array_equal(loaded(image), model(image))


@pytest.mark.integration
@pytest.mark.parametrize("options", OPTIONS[:4], ids=str)
def test_it_is_exported_as_one_operation(tmp_path, options):
    ours, _, image = pair(options)
    model = keras.Sequential([layers.Input(image.shape[1:], batch_size=1), ours])
    path = str(tmp_path / "model.tflite")
    model.export(path, format="litert", verbose=0)
    interpreter = Interpreter(path)
    interpreter.allocate_tensors()
    operations = [op["op_name"] for op in interpreter._get_ops_details()]
    assert [name for name in operations if name != "DELEGATE"] == ["CONV_2D"]
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[:1])
    interpreter.invoke()
    out = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(out, model(image[:1]), rtol=1e-4, atol=1e-4)
