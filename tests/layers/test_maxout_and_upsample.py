"""Maxout and upsampling, against plain NumPy and TensorFlow."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from keras import layers

from cspkeras.layers import Maxout, Upsample

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("filters", [1, 3, 4, 12])
def test_maxout_takes_the_best_of_every_nth_channel(filters):
    x = RNG.normal(size=(2, 3, 5, 12)).astype("float32")
    expected = x.reshape(2, 3, 5, -1, filters).max(axis=3)
    layer = Maxout(filters)
    np.testing.assert_array_equal(layer(x), expected)
    assert layer.compute_output_shape((None, None, 5, 12)) == (None, None, 5, filters)


def test_maxout_names_the_channels_that_do_not_fit():
    with pytest.raises(ValueError, match=r"Maxout to 5 channels .* Received: input_shape=\(None, 4, 4, 12\)"):
        Maxout(5)(layers.Input((4, 4, 12)))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_upsampling_repeats_the_nearest_pixel(size):
    x = RNG.normal(size=(2, 3, 5, 4)).astype("float32")
    expected = x.repeat(size, axis=1).repeat(size, axis=2)
    layer = Upsample(size)
    np.testing.assert_array_equal(layer(x), expected)
    assert layer.compute_output_shape((None, 3, None, 4)) == (None, 3 * size, None, 4)
    flexible = layers.Input((None, None, 4))
    np.testing.assert_array_equal(keras.Model(flexible, layer(flexible))(x), expected)


@pytest.mark.parametrize("jit_compile", [None, False, True])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_gradient_of_upsampling_is_tensorflows(size, jit_compile):
    x, weights = (tf.constant(RNG.normal(size=shape), "float32") for shape in ((2, 3, 5, 4), (3 * size, 5 * size, 4)))

    def gradient(x, upsample):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.sin(upsample(x)) * weights)
        return tape.gradient(loss, x)

    ours = gradient if jit_compile is None else tf.function(gradient, jit_compile=jit_compile)
    expected = gradient(x, lambda x: tf.image.resize(x, weights.shape[:2], "nearest"))
    np.testing.assert_allclose(ours(x, Upsample(size)), expected, rtol=1e-5, atol=1e-5)


def test_bilinear_upsampling_weighs_the_centres_of_pixels():
    x = np.array([0.0, 4.0, 8.0], "float32").reshape(1, 1, 3, 1)
    layer = Upsample(2, "bilinear")
    np.testing.assert_allclose(np.ravel(layer(x)), 2 * [0, 1, 3, 5, 7, 8], atol=1e-6)
    assert Upsample.from_config(layer.get_config()).interpolation == "bilinear"


@pytest.mark.parametrize("layer", [Maxout(4), Upsample(2)], ids=lambda layer: layer.name)
def test_nothing_has_more_dimensions_than_a_mobile_gpu_takes(layer):
    graph = tf.function(layer).get_concrete_function(tf.TensorSpec((1, 4, 6, 8))).graph
    assert max(len(tensor.shape) for operation in graph.get_operations() for tensor in operation.outputs) == 4


@pytest.mark.integration
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_upsampling_is_exported_as_one_operation(interpolation, tmp_path):
    layer = Upsample(3, interpolation)
    model = keras.Sequential([layers.Input((4, 6, 8), batch_size=1), layer])
    model.export(tmp_path / "model.tflite", format="litert", verbose=0)
    interpreter = Interpreter(str(tmp_path / "model.tflite"))
    interpreter.allocate_tensors()
    operations = [op["op_name"] for op in interpreter._get_ops_details()]
    name = {"nearest": "RESIZE_NEAREST_NEIGHBOR", "bilinear": "RESIZE_BILINEAR"}[interpolation]
    assert [operation for operation in operations if operation != "DELEGATE"] == [name]
